"""The plan compared with the cloud, once for each state of both, whoever asks: findings, and how networks stand.

Both read the whole plan, which takes a second where it is large. Nothing is kept but the last result, and it is good
for as long as the journal has not moved and what is seen of the cloud is the same, however often it is looked at.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from unipam.model.cloud import Snapshot
from unipam.plan.cloud.drift import Finding, findings
from unipam.plan.cloud.findings import planned
from unipam.plan.cloud.standing import Standing, standings
from unipam.store.api import Tx


class Compared(NamedTuple):
    """What came of it, and of which journal entry and snapshot."""

    entry: int
    snapshot: Snapshot
    findings: list[Finding]
    standings: list[Standing]

    @property
    def taken(self) -> float:
        """Return when the cloud was seen that the plan was compared with."""
        return self.snapshot.taken

    def holds_for(self, entry: int, snapshot: Snapshot) -> bool:
        """Return whether a comparison of these would have the same result."""
        own = self.snapshot
        return (
            self.entry == entry
            and bool(own.taken) == bool(snapshot.taken)
            and own.subscriptions == snapshot.subscriptions
            and own.networks == snapshot.networks
        )


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
            if last is not None and last.holds_for(entry, snapshot):
                self._last = last._replace(snapshot=snapshot)
            else:
                blocks = list(planned(tx))
                self._last = Compared(entry, snapshot, findings(blocks, snapshot), standings(blocks, snapshot))
            return self._last
