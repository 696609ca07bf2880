"""The plan at a past moment, rebuilt from the journal. See `plan.tree` for what makes that possible."""

from __future__ import annotations

from typing import NamedTuple

from unipam.model import objects as model
from unipam.model.records import Claim, Entry
from unipam.plan.tree import CHANGE, CREATE, Node
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
    """Return every object of the plan as it was at `moment` (epoch seconds).

    The database finds the lines of the journal that were not replaced by then; only those are read.
    """
    found = tx.unreplaced(moment, (CREATE, CHANGE))
    begun = tx.beginnings([entry.id for entry in found if entry.generation], moment)
    made = [(entry, begun.get(entry.id) if entry.generation else entry.id) for entry in found]
    return PastPlan(moment, {number: _node(entry, number) for entry, number in made if number is not None})


def _node(entry: Entry, number: int) -> Node[model.Facts]:
    facts = model.decode(entry.details)
    claim = Claim(
        entry.parent, entry.first, entry.last, str(facts.__struct_config__.tag), entry.owner, since=entry.at,
        generation=entry.id, details=entry.details, id=number,
    )  # fmt: skip
    return Node(claim, facts)
