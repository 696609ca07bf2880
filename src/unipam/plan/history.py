"""The plan at a past moment, rebuilt from the journal. See `plan.tree` for what makes that possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from unipam.model import objects as model
from unipam.model.records import Claim, Entry
from unipam.plan.tree import CHANGE, CREATE, Node, node
from unipam.store.api import Tx


class PastPlan:
    """The plan as it was at a moment, by what its objects were in; their facts are read when they are asked for."""

    def __init__(self, at: float, claims: Iterable[Claim]) -> None:
        self.at = at
        self._under: dict[int, list[Claim]] = {}
        for claim in claims:
            self._under.setdefault(claim.parent, []).append(claim)
        for some in self._under.values():
            some.sort(key=lambda claim: (claim.first, claim.owner))

    def claims(self, parent: int) -> Sequence[Claim]:
        """Return what was directly under an object (0: the spaces), in address order, spaces by name."""
        return self._under.get(parent, ())

    def under(self, parent: int) -> list[Node[model.Facts]]:
        """Return the objects directly under another, in the same order."""
        return [node(claim) for claim in self.claims(parent)]

    @property
    def objects(self) -> Iterator[Node[model.Facts]]:
        """Yield every object."""
        return (node(claim) for some in self._under.values() for claim in some)


def plan_at(tx: Tx, moment: float) -> PastPlan:
    """Return every object of the plan as it was at `moment` (epoch seconds).

    The database finds the lines of the journal that were not replaced by then; only those are read.
    """
    found = tx.unreplaced(moment, (CREATE, CHANGE))
    begun = tx.beginnings([entry.id for entry in found if entry.generation], moment)
    made = ((entry, begun.get(entry.id) if entry.generation else entry.id) for entry in found)
    return PastPlan(moment, (_claim(entry, number) for entry, number in made if number is not None))


class _Kind(msgspec.Struct):
    """The one fact that a claim has beside its details."""

    type: str


_kind = msgspec.json.Decoder(_Kind)


def _claim(entry: Entry, number: int) -> Claim:
    return Claim(
        entry.parent, entry.first, entry.last, _kind.decode(entry.details).type, entry.owner, since=entry.at,
        generation=entry.id, details=entry.details, id=number,
    )  # fmt: skip
