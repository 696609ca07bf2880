"""What the agent tells the world: one structured line a call, and metrics. Nothing leaves the machine by itself."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from unipam.cni import attachment
from unipam.cni.call import Answer, Call
from unipam.ledger.reads import pools
from unipam.ledger.reconcile import Suspect
from unipam.model import facts
from unipam.model.errors import BadInput, UnipamError

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from unipam.ledger.open import Ledgers

_BUCKETS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 4)


class Watch:
    """Writes a line of JSON to stderr for everything that happens, and counts it."""

    def __init__(self) -> None:
        self._count: Callable[[str, str, str, float], None] = lambda *_: None
        self._count_reclaimed: Callable[[], None] = lambda: None

    def observe(self, call: Call, given: Answer, seconds: float) -> None:
        """One call was answered after so many seconds."""
        outcome, verb = "ok" if given.code == 0 else "error", call.verb
        self._count(call.plugin, verb, outcome, seconds)
        line: dict[str, object] = {
            "time": time.time(),
            "event": "call",
            "verb": verb,
            "plugin": call.plugin,
            "container": call.env.get("CNI_CONTAINERID", ""),
            "interface": call.env.get("CNI_IFNAME", ""),
            "outcome": outcome,
            "ms": round(seconds * 1000, 3),
        }
        if pod := attachment.pod(attachment.arguments(call)):
            line["pod"] = pod
        line.update(given.facts)
        self._write(line)

    def reclaimed(self, directory: str, suspect: Suspect) -> None:
        """A leaked lease was released."""
        claim = suspect.claim
        self._count_reclaimed()
        self.say(
            "reclaimed",
            directory=directory,
            address=claim.text,
            container=claim.owner.holder,
            pod=facts.tell(claim.details).pod,
            reason=suspect.reason,
        )

    def say(self, event: str, **facts: object) -> None:
        """One line for something else."""
        self._write({"time": time.time(), "event": event, **facts})

    def _write(self, line: dict[str, object]) -> None:
        with contextlib.suppress(OSError):  # who reads the log has gone; pods need their addresses all the same
            os.write(2, msgspec.json.encode(line) + b"\n")

    def serve_metrics(
        self, address: str, ledgers: Callable[[], Ledgers], directories: Callable[[], Iterable[str]]
    ) -> None:
        """Answer Prometheus at HOST:PORT. Raises BadInput when that cannot be listened at."""
        from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server

        registry = CollectorRegistry()
        labels = ("plugin", "verb", "outcome")
        calls = Histogram(
            "unipam_call_seconds", "Calls answered, by duration", labels, registry=registry, buckets=_BUCKETS
        )
        reclaimed = Counter("unipam_reclaimed_total", "Leaked leases released by the sweep", registry=registry)
        registry.register(_Pools(ledgers, directories))
        self._count = lambda plugin, verb, outcome, s: calls.labels(plugin, verb, outcome).observe(s)
        self._count_reclaimed = reclaimed.inc
        host, _, port = address.rpartition(":")
        try:
            start_http_server(int(port), host or "127.0.0.1", registry)
        except (OSError, ValueError, OverflowError) as error:
            raise BadInput(f"cannot serve metrics at {address}: {error}: choose another --metrics HOST:PORT") from None


class _Pools:
    """How full the pools are, counted when Prometheus asks."""

    def __init__(self, ledgers: Callable[[], Ledgers], directories: Callable[[], Iterable[str]]) -> None:
        self._ledgers = ledgers
        self._directories = directories

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        from prometheus_client.core import GaugeMetricFamily

        gauge = GaugeMetricFamily(
            "unipam_pool_addresses", "Addresses of a pool by state", labels=("directory", "network", "pool", "state")
        )
        for directory in self._directories():
            for pool in self._pools(directory):
                for state in ("used", "cooling", "free", "reserved"):
                    gauge.add_metric((directory, pool.network, str(pool.number), state), float(getattr(pool, state)))
        yield gauge

    def _pools(self, directory: str) -> list:  # type: ignore[type-arg]
        try:
            ledger = self._ledgers().find(directory)
            return pools(ledger) if ledger else []
        except UnipamError:
            return []
