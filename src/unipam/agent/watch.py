"""What the agent tells the world: one structured line a call, and metrics. Nothing leaves the machine by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from unipam.agent.log import Log
from unipam.cni.call import Answer, Call
from unipam.ledger.reconcile import Suspect
from unipam.logline import entry
from unipam.model import facts

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from unipam.ledger.open import Ledgers

_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 4)


class Watch:
    """Writes a line of JSON for everything that happens, and counts it. Who tells it of something never waits."""

    def __init__(self, log: Log | None = None) -> None:
        self._log = log or Log()
        self._count: Callable[[str, str, str, float], None] = lambda *_: None
        self._count_reclaimed: Callable[[], None] = lambda: None

    def observe(self, call: Call, given: Answer, seconds: float) -> None:
        """Log and count a call that took so many seconds. Raises nothing: it was answered, told or not."""
        try:
            self._observe(call, given, seconds)
        except Exception as error:  # noqa: BLE001 (a defect of ours in what is told must not end the agent)
            self.say("call not told", error=repr(error))

    def _observe(self, call: Call, given: Answer, seconds: float) -> None:
        outcome, verb = "ok" if given.code == 0 else "error", call.verb
        self._count(call.plugin, verb, outcome, seconds)
        told: dict[str, object] = {
            "verb": verb,
            "plugin": call.plugin,
            "container": call.env.get("CNI_CONTAINERID", ""),
            "interface": call.env.get("CNI_IFNAME", ""),
            "outcome": outcome,
            "ms": round(seconds * 1000, 3),
        }
        if pod := call.arguments.pod:
            told["pod"] = pod
        self._log.write({**entry("call", "info" if outcome == "ok" else "warning"), **told, **given.facts})

    def reclaimed(self, directory: str, suspect: Suspect) -> None:
        """Log and count a leaked lease that was released."""
        claim = suspect.claim
        self._count_reclaimed()
        self.say(
            "reclaimed",
            directory=directory,
            address=claim.text,
            container=claim.owner.holder,
            pod=facts.read_lease(claim.details).pod,
            reason=suspect.reason,
        )

    def say(self, event: str, **facts: object) -> None:
        """Log something else, in one line."""
        self._log.write(entry(event, "warning" if "error" in facts else "info", **facts))

    def finish(self) -> None:
        """Write what is still to be written, as far as anybody reads it."""
        self._log.finish()

    def serve_metrics(
        self, address: str, ledgers: Callable[[], Ledgers], directories: Callable[[], Iterable[str]]
    ) -> None:
        """Answer Prometheus at HOST:PORT. Raises BadInput when that cannot be listened at."""
        from unipam.agent import metrics

        metrics.serve(address, self.measure(ledgers, directories))

    def measure(self, ledgers: Callable[[], Ledgers], directories: Callable[[], Iterable[str]]) -> CollectorRegistry:
        """Count from now on what happens; return the registry of all that is counted."""
        from prometheus_client import CollectorRegistry, Counter, Histogram

        from unipam.agent import metrics

        registry = CollectorRegistry()
        labels = ("plugin", "verb", "outcome")
        calls = Histogram(
            "unipam_call_seconds", "Calls answered, by duration", labels, registry=registry, buckets=_BUCKETS
        )
        reclaimed = Counter("unipam_reclaimed_total", "Leaked leases released by the sweep", registry=registry)
        registry.register(metrics.Pools(ledgers, directories))
        registry.register(metrics.Dropped(self._log))
        self._count = lambda plugin, verb, outcome, s: calls.labels(plugin, verb, outcome).observe(s)
        self._count_reclaimed = reclaimed.inc
        return registry
