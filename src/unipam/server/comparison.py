"""The plan compared with the cloud, once for each state of both, whoever asks: findings, and how networks stand.

Both read the whole plan, which takes a second where it is large. Nothing is kept but the last result, and it is good
for as long as the journal has not moved and what is seen of the cloud is the same, however often it is looked at.
"""

from __future__ import annotations

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
    """Compares, and keeps the last result; of two who ask at once both may do the work."""

    def __init__(self) -> None:
        self._last: Compared | None = None

    def of(self, tx: Tx, snapshot: Snapshot) -> Compared:
        """Return the comparison of the plan as it is now with this snapshot of the register's own."""
        entry, last = tx.last_entry(), self._last
        if last is not None and last.holds_for(entry, snapshot):
            found = last._replace(snapshot=snapshot)
        else:
            blocks = list(planned(tx))
            found = Compared(entry, snapshot, findings(blocks, snapshot), standings(blocks, snapshot))
        self._last = found
        return found
