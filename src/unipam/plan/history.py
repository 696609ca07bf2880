"""The plan at a past moment, rebuilt from the journal. See `plan.tree` for what makes that possible."""

from __future__ import annotations

from typing import NamedTuple

from unipam.model import objects as model
from unipam.model.records import Claim, Entry
from unipam.plan.tree import CHANGE, CREATE, Node, node
from unipam.store.api import Tx


class PastPlan(NamedTuple):
    """The plan as it was: its objects by number, in the order of the tree."""

    at: float
    objects: dict[int, Node[model.Facts]]

    def under(self, parent: int) -> list[Node[model.Facts]]:
        """Return the objects directly under another (0: the spaces), in address order, spaces by name."""
        found = [each for each in self.objects.values() if each.claim.parent == parent]
        return sorted(found, key=lambda each: (each.claim.first, each.claim.owner))


def plan_at(tx: Tx, moment: float) -> PastPlan:
    """Return every object of the plan as it was at `moment` (epoch seconds). The journal is read whole up to there."""
    by_generation: dict[int, Claim] = {}
    for entry in tx.entries(moment):
        before = by_generation.pop(entry.generation, None)
        if entry.verb == CREATE:
            by_generation[entry.id] = _claim(entry, entry.id)
        elif entry.verb == CHANGE and before is not None:
            by_generation[entry.id] = _claim(entry, before.id)
    return PastPlan(moment, {claim.id: node(claim) for claim in by_generation.values()})


def _claim(entry: Entry, number: int) -> Claim:
    kind = str(model.decode(entry.details).__struct_config__.tag)
    return Claim(
        entry.parent, entry.first, entry.last, kind, entry.owner, since=entry.at, generation=entry.id,
        details=entry.details, id=number,
    )  # fmt: skip
