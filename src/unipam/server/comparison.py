"""The plan compared with the cloud, once for each state of both, whoever asks: findings, and how networks stand.

Nothing is kept but the last result. It is good for as long as what is seen of the cloud is the same, and no line of the
journal was written that it depends on: who signs in, or reserves what no network of the cloud has to do with, does not
make it anew.
"""

from __future__ import annotations

import math
import threading
from typing import NamedTuple

from unipam.model.cloud import Snapshot
from unipam.plan.cloud.drift import Finding, findings
from unipam.plan.cloud.findings import Scope, planned
from unipam.plan.cloud.standing import Standing, standings
from unipam.store.api import Tx

_MOST_LINES = 2000
"""Lines of the journal that are looked at; where there are more since, comparing anew takes no longer."""


class Compared(NamedTuple):
    """What came of it, of which journal entry and snapshot, and what of the plan it depends on."""

    entry: int
    snapshot: Snapshot
    findings: list[Finding]
    standings: list[Standing]
    scope: Scope

    @property
    def taken(self) -> float:
        """Return when the cloud was seen that the plan was compared with."""
        return self.snapshot.taken

    def holds_for(self, tx: Tx, entry: int, snapshot: Snapshot) -> bool:
        """Return whether a comparison of the plan at this entry with a snapshot would have the same result."""
        return self._saw(snapshot) and 0 <= entry - self.entry <= _MOST_LINES and not self._changed(tx, entry)

    def _saw(self, snapshot: Snapshot) -> bool:
        own = self.snapshot
        return own is snapshot or (
            bool(own.taken) == bool(snapshot.taken)
            and own.subscriptions == snapshot.subscriptions
            and own.networks == snapshot.networks
        )

    def _changed(self, tx: Tx, entry: int) -> bool:
        if entry == self.entry:
            return False
        lines = list(tx.entries(math.inf, self.entry))
        before = tx.entries_numbered([each.generation for each in lines if each.generation])
        return any(map(self.scope.concerns, (*lines, *before)))


class Comparison:
    """Compares, and keeps the last result. Threads that ask at once wait for the one that does the work."""

    def __init__(self) -> None:
        self._last: Compared | None = None
        self._working = threading.Lock()

    def of(self, tx: Tx, snapshot: Snapshot) -> Compared:
        """Return the comparison of the plan as it is now with this snapshot of the register's own."""
        entry = tx.last_entry()
        with self._working:
            last = self._last
            if last is not None and last.holds_for(tx, entry, snapshot):
                self._last = last._replace(entry=entry, snapshot=snapshot)
            else:
                self._last = _compared(tx, entry, snapshot)
            return self._last


def _compared(tx: Tx, entry: int, snapshot: Snapshot) -> Compared:
    blocks, scope = planned(tx, snapshot)
    return Compared(entry, snapshot, findings(blocks, snapshot), standings(blocks, snapshot), scope)
