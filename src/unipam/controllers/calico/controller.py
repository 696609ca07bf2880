"""Calico's garbage controller: frees what pods, nodes and calls that died have left in Calico's datastore."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from unipam.addr.prefix import format_address
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.controllers.calico import policies
from unipam.controllers.calico.measures import Measures
from unipam.controllers.calico.observing import Mirrors, Observed
from unipam.controllers.calico.removing import Done, Remover
from unipam.controllers.calico.vms import Machines
from unipam.controllers.election import Tell
from unipam.controllers.term import Term
from unipam.dialects.calico.datastore.api import Datastore
from unipam.dialects.calico.documents.times import SECOND
from unipam.dialects.calico.rules.garbage import Garbage, Policy, Seen, Suspect, look
from unipam.dialects.calico.rules.leases import Lease, SeenHandle

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_LEAST_PAUSE, _SHARE = 2.0, 20
"""Seconds between two looks at least; and a look may take one of so many parts of the time."""
_LONGEST_PAUSE = 60.0
_PATIENCE, _LOOK = 30.0, 0.5
"""Seconds that mirrors have to become whole, and between two looks at whether they are."""
_MOST_TOLD = 100
"""Leases of one round that have a line of their own in the log."""


class CalicoGarbage:
    """A Controller (`controllers.controller`)."""

    name = "calico"

    def __init__(self, datastore: Datastore, api: KubernetesApi, tell: Tell, policy: Policy | None) -> None:
        """Go by a policy; without one, by what the cluster says once this process leads."""
        self._datastore, self._api, self._tell, self._policy = datastore, api, tell, policy
        self._mirrors: Mirrors | None = None
        self._machines = Machines(api, Policy().vms)
        self._remover = Remover(datastore, api)
        self._measures = Measures()
        self._suspects: Mapping[Suspect, float] = {}
        self._handles: Mapping[str, SeenHandle] = {}
        self._term: Term | None = None
        self._due: float | None = 0.0
        self._began = self._earliest = 0.0
        self._locked = False

    def observe(self, term: Term) -> Observed:
        """See `Controller.observe`."""
        if term is not self._term:  # another process may have led: what was suspect may have been in order meanwhile
            self._suspects = {}
        self._term = term
        self._wait(term)
        if self._policy is None:
            self._policy = policies.of_cluster(self._datastore, self._tell)
        if self._mirrors is None:
            self._mirrors = Mirrors(self._datastore, self._api, self._wake)
        _await(self._mirrors, term)
        self._began = time.monotonic()
        observed = self._mirrors.look(self._suspects, self._began)
        self._handles = observed.seen.handles
        return observed.with_machines(self._machines.known(observed.seen))

    def desired(self, observed: Observed, now: float) -> Garbage:
        """See `Controller.desired`. In a datastore that is locked nothing is garbage, nor suspect."""
        seen = Seen({}, {}, {}, observed.seen.living) if observed.locked else observed.seen
        return look(seen, observed.before, self._policy or Policy(), observed.at, int(now * SECOND))

    def carry_out(self, changes: Garbage, term: Term) -> Done:
        """See `Controller.carry_out`."""
        now = time.monotonic()
        self._suspects, self._due = changes.suspects, changes.due
        self._earliest = now + min(max(_LEAST_PAUSE, _SHARE * (now - self._began)), _LONGEST_PAUSE)
        return self._remover.remove(changes, self._handles, term)

    def report(self, observed: Observed, done: Done) -> None:
        """See `Controller.report`."""
        seconds = time.monotonic() - observed.at
        for leak in done.released[:_MOST_TOLD]:
            self._tell("leak released", reason=leak.why, **_described(leak.lease))
        counts = {"alive": len(done.alive), **done.counts()}
        if any(counts.values()):
            self._tell("garbage collected", seconds=round(seconds, 3), **counts)
        if observed.locked != self._locked:
            self._locked = observed.locked
            self._tell("datastore locked" if observed.locked else "datastore unlocked")
        if not observed.locked:
            self._measures.take(observed, done, seconds)

    def metrics(self) -> Iterable[Metric]:
        """See `Controller.metrics`."""
        return self._measures.metrics()

    def close(self) -> None:
        """See `Controller.close`."""
        if self._mirrors:
            self._mirrors.close()
        self._datastore.close()

    def _wake(self) -> None:
        if (term := self._term) is not None:
            term.wake()

    def _wait(self, term: Term) -> None:
        """Wait until something has changed or a suspect is due, and not for less than the last round allows."""
        if term.wait(_LONGEST_PAUSE if self._due is None else min(self._due, _LONGEST_PAUSE)):
            term.rest(self._earliest - time.monotonic())


def _await(mirrors: Mirrors, term: Term) -> None:
    """Wait until every mirror is whole; for so long, and then whoever looks is told which is not."""
    until = time.monotonic() + _PATIENCE
    while mirrors.problems and time.monotonic() < until and term.wait(_LOOK):
        pass


def _described(lease: Lease) -> dict[str, str]:
    return {
        "address": format_address(lease.address), "handle": lease.handle, "node": lease.node,
        "namespace": lease.namespace, "name": lease.name,
    }  # fmt: skip
