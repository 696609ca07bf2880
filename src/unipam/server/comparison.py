"""The plan compared with the cloud, once for each state of both, whoever asks: findings, and how networks stand.

Both read the whole plan, which takes a second where it is large. Nothing is kept but the last result, and it is good
for as long as neither the journal nor the snapshot has moved.
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
    taken: float
    findings: list[Finding]
    standings: list[Standing]


class Comparison:
    """Compares, and keeps the last result; of two who ask at once both may do the work."""

    def __init__(self) -> None:
        self._last: Compared | None = None

    def of(self, tx: Tx, snapshot: Snapshot) -> Compared:
        """Return the comparison of the plan as it is now with this snapshot of the register's own."""
        entry, last = tx.last_entry(), self._last
        if last is not None and (last.entry, last.taken) == (entry, snapshot.taken):
            return last
        blocks = list(planned(tx))
        found = Compared(entry, snapshot.taken, findings(blocks, snapshot), standings(blocks, snapshot))
        self._last = found
        return found
