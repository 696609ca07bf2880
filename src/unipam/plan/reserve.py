"""Reserving: prefixes are found and kept for networks to come.

`reserve_all` serves many requests in one transaction: everything is decided before anything is written, so that one
request's refusal costs the others nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple, cast

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.errors import BadValue, Exhausted, Missing, Overlap, Refused, UnipamError
from unipam.model.objects import Reservation
from unipam.model.records import Owner
from unipam.plan import tree
from unipam.plan.free import FreeSpace
from unipam.plan.reservations import Reserved, expire_block, new_ids
from unipam.plan.tree import Author, Draft, Node
from unipam.store.api import Tx

MOST = 1000
"""Prefixes that one request may ask for."""


class ReservationRequest(NamedTuple):
    """Prefixes that a caller wants reserved, all or none.

    Either `prefix` itself, or `amount` prefixes of length `bits` (as people write it), each in the first of the blocks
    that has room. `until` is when the reservations end if no network came (epoch seconds; None: never).
    """

    by: Author
    space: str
    blocks: tuple[str, ...]
    bits: int = 0
    prefix: Prefix | None = None
    amount: int = 1
    desc: str | None = None
    reverse: bool = False
    smallest: bool = False
    until: float | None = None


BlockOfSpace = tuple[str, Node[objects.Block]]
"""A block, and the name of its space."""


class _Decided(NamedTuple):
    """A reservation that is to be written down."""

    by: Author
    place: BlockOfSpace
    draft: Draft

    def as_reserved(self, generation: int) -> Reserved:
        """Return what is reserved once that is done."""
        _, (space, block), (_, prefix, _, facts, until) = self
        return Reserved(space, block.facts.name, str(prefix), cast("Reservation", facts), generation, until)


class _Batch:
    """The reservations of one transaction while they are being decided."""

    def __init__(self, tx: Tx, now: float) -> None:
        self.tx = tx
        self.now = now
        self.free = FreeSpace(tx)
        self._blocks: dict[tuple[str, str], BlockOfSpace] = {}

    def block(self, space: str, name: str) -> BlockOfSpace:
        """Return the block, looked up once; what has run out in it is cleared away first."""
        key = (space, name)
        if key not in self._blocks:
            root = tree.find_space(self.tx, space)
            found = tree.find_block(self.tx, root.id, name)
            expire_block(self.tx, found, self.now)
            self._blocks[key] = (root.facts.name, found)
        return self._blocks[key]

    def serve(self, wanted: ReservationRequest) -> list[_Decided]:
        """Decide one request."""
        objects.check_remark(wanted.desc)
        if not 1 <= wanted.amount <= MOST:
            raise BadValue(f"amount: {wanted.amount} is not from 1 to {MOST}", field="amount", value=wanted.amount)
        blocks, by = _find_blocks(self, wanted), wanted.by._replace(now=self.now)
        found = self._named(wanted.prefix, blocks) if wanted.prefix else self._sized(wanted, blocks)
        decided = []
        for number, (place, prefix) in zip(new_ids(len(found)), found, strict=True):
            facts = Reservation(number, self.now, by.actor, by.subject, desc=wanted.desc)
            decided.append(_Decided(by, place, Draft(place[1].id, prefix, Owner(number), facts, wanted.until)))
        return decided

    def _named(self, prefix: Prefix, blocks: list[BlockOfSpace]) -> list[tuple[BlockOfSpace, Prefix]]:
        block = blocks[0][1]
        tree.require_inside(prefix, block.prefix, f"the block {block.facts.name}")
        tree.refuse_overlap(self.tx, block.id, prefix)
        if not self.free.is_free(block.claim, prefix):
            raise Overlap(f"{prefix} overlaps a reservation made a moment ago", prefix=str(prefix))
        self.free.take(block.claim, prefix)
        return [(blocks[0], prefix)]

    def _sized(self, wanted: ReservationRequest, blocks: list[BlockOfSpace]) -> list[tuple[BlockOfSpace, Prefix]]:
        """Return prefixes from the first blocks that have room; they are given back when there are not enough."""
        found: list[tuple[BlockOfSpace, Prefix]] = []
        try:
            for place in blocks:
                found += [(place, prefix) for prefix in self._some(wanted, place[1], wanted.amount - len(found))]
                if len(found) == wanted.amount:
                    return found
        except UnipamError:
            self._give_back(found)
            raise
        self._give_back(found)
        raise self._exhausted(wanted, [block for _, block in blocks])

    def _give_back(self, found: list[tuple[BlockOfSpace, Prefix]]) -> None:
        for (_, block), prefix in found:
            self.free.give_back(block.claim, prefix)

    def _exhausted(self, wanted: ReservationRequest, blocks: list[Node[objects.Block]]) -> Exhausted:
        from unipam.plan.room import room_left  # most requests find room

        names = ", ".join(block.facts.name for block in blocks) or "an empty list"
        room = f": {room_left(self.tx, self.free, blocks)}" if blocks else ""
        return Exhausted(f"no free /{wanted.bits} in {names}{room}", size=wanted.bits, blocks=list(wanted.blocks))

    def _some(self, wanted: ReservationRequest, block: Node[objects.Block], amount: int) -> list[Prefix]:
        try:
            length = objects.length_in(block.prefix, wanted.bits)
        except Exhausted:
            return []
        return self.free.draw(block.claim, length, amount, reverse=wanted.reverse, smallest=wanted.smallest)


def _find_blocks(batch: _Batch, wanted: ReservationRequest) -> list[BlockOfSpace]:
    """Return every block of the request. Raises Missing with all the names that are none."""
    tree.find_space(batch.tx, wanted.space) if not wanted.blocks else None
    found, unknown = [], []
    for name in wanted.blocks:
        try:
            found.append(batch.block(wanted.space, name))
        except Missing as error:
            if error.facts.get("kind") != objects.BLOCK:
                raise
            unknown.append(name)
    if unknown:
        raise Missing(f"there is no block named {', '.join(map(repr, unknown))}", kind=objects.BLOCK, value=unknown)
    return found


def reserve_all(tx: Tx, wanted: Sequence[ReservationRequest], now: float) -> list[list[Reserved] | UnipamError]:
    """Serve requests in this order, each all or none; of each what was reserved, or the error that refused it."""
    batch = _Batch(tx, now)
    outcomes = [_decide(batch, request) for request in wanted]
    decided = [each for outcome in outcomes if isinstance(outcome, list) for each in outcome]
    by, drafts = [each.by for each in decided], [each.draft for each in decided]
    claims = tree.create_all(tx, by, drafts) if decided else []
    batch.free.remember()
    done = iter([each.as_reserved(claim.generation) for each, claim in zip(decided, claims, strict=True)])
    return [list(islice(done, len(each))) if isinstance(each, list) else each for each in outcomes]


def _decide(batch: _Batch, wanted: ReservationRequest) -> list[_Decided] | UnipamError:
    try:
        return batch.serve(wanted)
    except (Refused, BadValue) as error:
        return error


def reserve(tx: Tx, wanted: ReservationRequest, now: float) -> list[Reserved]:
    """Serve one request. Raises what refuses it: Missing, BadValue, Outside, Overlap or Exhausted."""
    outcome = reserve_all(tx, [wanted], now)[0]
    if isinstance(outcome, UnipamError):
        raise outcome
    return outcome
