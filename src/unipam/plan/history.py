"""The plan at a past moment, rebuilt from the journal. See `plan.tree` for what makes that possible."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import tee

import msgspec

from unipam.addr.prefix import Range
from unipam.model import objects
from unipam.model.records import SPACE, Claim, Entry, Extent
from unipam.plan.reads import Use, use
from unipam.plan.tree import Node, node
from unipam.store.api import Tx

HOLDERS = (SPACE, objects.BLOCK, objects.EXTERNAL, objects.SUBNET)
"""What may hold something in the plan itself."""
_FIRST_PART, _GROWTH = 256, 8
"""Claims that are read first, and how many times as many with each part: looking again costs more than reading."""


class PastPlan:
    """The plan as it was at a moment; only what is asked for is read. It lives as long as its transaction."""

    def __init__(self, tx: Tx, at: float) -> None:
        self._tx = tx
        self._past = tx.past(at)
        self._extents: dict[int, Mapping[str, Extent]] = {}
        self._gaps: dict[int, Iterator[Range]] = {}

    def spaces(self) -> list[Node[objects.Facts]]:
        """Return the spaces, by name."""
        return [node(claim) for claim in sorted(self._claims(self._past.spaces()), key=lambda claim: claim.owner)]

    def claims(self, parent: int, first: int = 0) -> Iterator[Claim]:
        """Yield what was directly under an object from an address on, in address order."""
        limit = _FIRST_PART
        while numbers := self._past.stood((parent,), first, limit):
            found = self._claims(numbers)
            yield from found
            if len(numbers) < limit or not found:
                return
            first, limit = found[-1].last + 1, limit * _GROWTH

    def named(self, parent: int, name: str) -> list[Claim]:
        """Return what was directly under an object by the name of its owner: of what may hold something."""
        found = self._claims(self._past.stood((parent,), kinds=HOLDERS))
        return [claim for claim in found if claim.owner.holder == name]

    def gaps(self, claim: Claim, first: int) -> Iterator[Range]:
        """Yield what was free in it from an address on.

        What was free in all of it is read once: its own row tells the largest of that, and the rows in it all.
        """
        if first > claim.first:
            return self._past.gaps(claim.id, first, claim.last)
        known = self._gaps.get(claim.id) or self._past.gaps(claim.id, claim.first, claim.last)
        self._gaps[claim.id], found = tee(known)
        return found

    def uses(self, claims: Sequence[Claim]) -> Mapping[int, Use]:
        """Return how full these were, by number."""
        self._sum([claim.id for claim in claims])
        return {claim.id: self._use(claim) for claim in claims}

    def _use(self, claim: Claim) -> Use:
        found = self._extents[claim.id]
        reserved = found.get(objects.RESERVATION, Extent(0, 0)).addresses
        return use(claim, sum(each.addresses for each in found.values()), reserved)

    def count(self, parent: int) -> int:
        """Return how many objects were directly under a parent."""
        self._sum([parent])
        return sum(each.claims for each in self._extents[parent].values())

    def _sum(self, parents: Collection[int]) -> None:
        """Learn what was under these, unless it is known: the rows of a block and of its space both tell it."""
        unknown = [parent for parent in parents if parent not in self._extents]
        found = self._past.extents(unknown) if unknown else {}
        for parent in unknown:
            self._extents[parent] = {kind: each for (under, kind), each in found.items() if under == parent}

    def everything(self) -> dict[int, list[Node[objects.Facts]]]:
        """Return every object by what it was in, in address order; the spaces are under 0, by name."""
        found = {0: self.spaces()}
        level = [space.id for space in found[0]]
        while level:
            claims = self._claims(self._past.stood(level))
            for claim in claims:
                found.setdefault(claim.parent, []).append(node(claim))
            level = [claim.id for claim in claims if claim.kind in HOLDERS]
        return found

    def _claims(self, numbers: Sequence[int]) -> list[Claim]:
        """Return the claims that entries of these numbers tell of, as far as the journal has those, in this order."""
        entries = {entry.id: entry for entry in self._tx.entries_numbered(numbers)}
        begun = self._tx.beginnings([number for number, entry in entries.items() if entry.generation])
        return [_claim(entries[n], begun.get(n, n)) for n in numbers if n in entries]


class _Kind(msgspec.Struct):
    """The one fact that a claim has beside its details."""

    type: str


_kind = msgspec.json.Decoder(_Kind)


def _claim(entry: Entry, number: int) -> Claim:
    return Claim(
        entry.parent, entry.first, entry.last, _kind.decode(entry.details).type, entry.owner, since=entry.at,
        generation=entry.id, details=entry.details, id=number,
    )  # fmt: skip
