"""The controllers' process: an election, the controllers' loops while it leads, signals, an orderly hand-over."""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from unipam.clients import systemd
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.clients.kubernetes.lease import Lease
from unipam.controllers.controller import Controller
from unipam.controllers.election import Election, Tell, Timing
from unipam.controllers.health import Health, State
from unipam.controllers.log import tell
from unipam.controllers.loop import Loop
from unipam.controllers.term import Term

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_LAST_WORD = 1.5
"""Seconds that a controller's write under way has when the process is to end, so that another leads within two."""

_LOOK = 0.02
"""Seconds between two looks at whether it is at its end."""

_SICK = 10
"""Rounds that failed in a row from which on a controller is not well."""

Make = Callable[[KubernetesApi], Controller[Any, Any, Any]]
"""Makes a controller. Raises UnipamError for settings that make no sense."""


class Settings(NamedTuple):
    """How the process runs. `listen` is HOST:PORT of health and metrics, empty for none."""

    controllers: tuple[Make, ...]
    kubeconfig: str = ""
    namespace: str = "kube-system"
    lease: str = "unipam-controller"
    identity: str = ""
    listen: str = ""
    timing: Timing = Timing()
    waiting: Callable[[], list[dict[str, object]]] = list
    """Tells what waits for Azure, for whoever asks at `listen`."""


def run(settings: Settings) -> None:
    """Contend, and lead whenever elected, until SIGTERM or SIGINT. Raises UnipamError when it cannot begin."""
    stop = _stopped_by_signals()
    api = KubernetesApi(settings.kubeconfig)
    process = Process([Loop(make(api), tell) for make in settings.controllers], tell)
    health = Health(settings.listen, process.state, process.metrics, settings.waiting) if settings.listen else None
    identity = settings.identity or f"{os.uname().nodename}_{os.getpid()}"
    contested = Lease(api, settings.namespace, settings.lease)
    tell(
        "contending",
        lease=str(contested),
        identity=identity,
        controllers=[each.controller.name for each in process.loops],
    )
    systemd.ready()
    try:
        process.contend(Election(contested, identity, stop, tell, settings.timing), stop)
    finally:
        for loop in process.loops:
            loop.controller.close()
        if health:
            health.close()
        api.close()
    tell("stopped", identity=identity)


def _stopped_by_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set.

    A thread of its own waits for them: a handler would run in the midst of the main thread, which may have just that
    event's lock, and wait for it for ever.
    """
    stop, signals = threading.Event(), {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # in every thread that is begun from here on

    def wait() -> None:
        signal.sigwait(signals)
        stop.set()

    threading.Thread(target=wait, name="signals", daemon=True).start()
    return stop


class Process:
    """The controllers' loops, and whether they work at the moment."""

    def __init__(self, loops: Sequence[Loop], tell: Tell) -> None:
        self.loops, self._tell = loops, tell
        self._term: Term | None = None

    def contend(self, election: Election, stop: threading.Event) -> None:
        """Lead whenever elected, until the process is to stop."""
        while (term := election.win()) is not None:
            self._tell("leading")
            threads = self._begin(term)
            election.hold(term)
            term.end()
            finished = _finish(threads, stop)
            self._tell("leading no more", finished=finished)
            if stop.is_set() and finished:  # else a write is under way still, and others wait for the lease's end
                election.release()

    def _begin(self, term: Term) -> list[threading.Thread]:
        self._term = term
        threads = [
            threading.Thread(target=each.run, args=(term,), name=each.controller.name, daemon=True)
            for each in self.loops
        ]
        for thread in threads:
            thread.start()
        return threads

    @property
    def leading(self) -> bool:
        """Whether this process leads."""
        term = self._term
        return term is not None and term.lasts

    def state(self) -> State:
        """Return how the process is."""
        sick = [f"{each.controller.name}: {each.problem}" for each in self.loops if each.failures >= _SICK]
        return State("; ".join(sick) if self.leading else "", leading=self.leading)

    def metrics(self) -> Iterator[Metric]:
        """Yield whether this process leads, how its rounds went, and what the controllers tell."""
        from prometheus_client.core import GaugeMetricFamily

        yield GaugeMetricFamily("unipam_controller_leading", "Whether this process leads.", value=float(self.leading))
        failures = GaugeMetricFamily(
            "unipam_controller_failed_rounds",
            "Rounds that failed since the last one that did not.",
            labels=("controller",),
        )
        for loop in self.loops:
            failures.add_metric((loop.controller.name,), float(loop.failures))
        yield failures
        for loop in self.loops if self.leading else ():
            yield from loop.controller.metrics()


def _finish(threads: Sequence[threading.Thread], stop: threading.Event) -> bool:
    """Wait for the rounds under way, not for long when the process is to stop; whether all have ended."""
    until = math.inf
    while any(thread.is_alive() for thread in threads) and time.monotonic() < until:
        if stop.is_set():
            until = min(until, time.monotonic() + _LAST_WORD)
        time.sleep(_LOOK)
    return not any(thread.is_alive() for thread in threads)
