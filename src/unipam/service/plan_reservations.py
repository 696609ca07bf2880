"""Reservations: prefixes kept for networks to come. Functions of one transaction; see `service.plan`.

`reserve_all` serves many requests in one transaction: everything is decided before anything is written, so that one
request's refusal costs the others nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple, cast

import msgspec

from unipam.addr.prefix import Prefix
from unipam.model import plan as model
from unipam.model.errors import BadValue, Duplicate, Exhausted, Missing, Overlap, Refused, UnipamError
from unipam.model.plan import F, Reservation
from unipam.model.records import Owner
from unipam.service import plan
from unipam.service.plan import By, Draft, Node
from unipam.service.plan_blocks import settled_key, space_of
from unipam.service.plan_space import FreeSpace
from unipam.store.api import Tx

SETTLE = "settle"
MOST = 1000
"""Prefixes that one request may ask for."""

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ID_LENGTH = 22
_LETTERS = bytes(ord(_ALPHABET[byte % len(_ALPHABET)]) for byte in range(256))
_SURPLUS = bytes(range(256 // len(_ALPHABET) * len(_ALPHABET), 256))
_SWEEP = 1000


class Wanted(NamedTuple):
    """Prefixes that a caller wants reserved, all or none.

    Either `prefix` itself, or `amount` prefixes of length `bits` (as people write it), each in the first of the blocks
    that has room. `until` is when the reservations end if no network came (epoch seconds; None: never).
    """

    by: By
    space: str
    blocks: tuple[str, ...]
    bits: int = 0
    prefix: Prefix | None = None
    amount: int = 1
    desc: str | None = None
    reverse: bool = False
    smallest: bool = False
    until: float | None = None


class Reserved(NamedTuple):
    """A reservation and where it is. `cidr` is None only where nothing holds the place any more."""

    space: str
    block: str
    prefix: str
    facts: Reservation
    generation: int = 0
    until: float | None = None


def new_id() -> str:
    """A new reservation id: 22 characters that cannot be mistaken for one another, as those of the original."""
    text = ""
    while len(text) < _ID_LENGTH:
        # Bytes beyond the last whole multiple of the alphabet's length would favour its beginning.
        text += secrets.token_bytes(2 * _ID_LENGTH).translate(_LETTERS, _SURPLUS).decode()
    return text[:_ID_LENGTH]


Place = tuple[str, Node[model.Block]]
"""A block, and the name of its space."""


class _Decided(NamedTuple):
    """A reservation that is to be written down."""

    by: By
    place: Place
    draft: Draft

    def as_reserved(self, generation: int) -> Reserved:
        """The same once that is done."""
        _, (space, block), (_, prefix, _, facts, until) = self
        return Reserved(space, block.facts.name, str(prefix), cast("Reservation", facts), generation, until)


class _Batch:
    """The reservations of one transaction while they are being decided."""

    def __init__(self, tx: Tx, now: float, ids: Callable[[], str]) -> None:
        self.tx = tx
        self.now = now
        self.ids = ids
        self.free = FreeSpace(tx)
        self._blocks: dict[tuple[str, str], Place] = {}

    def block(self, space: str, name: str) -> Place:
        """The block, looked up once; what has run out in it is cleared away first."""
        key = (space, name)
        if key not in self._blocks:
            root = plan.find_space(self.tx, space)
            found = plan.find_block(self.tx, root.id, name)
            expire_block(self.tx, found, self.now)
            self._blocks[key] = (root.facts.name, found)
        return self._blocks[key]

    def serve(self, wanted: Wanted) -> list[_Decided]:
        """Decide one request."""
        model.check_remark(wanted.desc)
        if not 1 <= wanted.amount <= MOST:
            raise BadValue(f"amount: {wanted.amount} is not from 1 to {MOST}", field="amount", value=wanted.amount)
        blocks, by = _find_blocks(self, wanted), wanted.by._replace(now=self.now)
        decided = []
        for place, prefix in self._named(wanted.prefix, blocks) if wanted.prefix else self._sized(wanted, blocks):
            facts = Reservation(self.ids(), self.now, by.actor, by.subject, desc=wanted.desc)
            decided.append(_Decided(by, place, Draft(place[1].id, prefix, Owner(facts.id), facts, wanted.until)))
        return decided

    def _named(self, prefix: Prefix, blocks: list[Place]) -> list[tuple[Place, Prefix]]:
        block = blocks[0][1]
        plan.require_inside(prefix, block.prefix, f"the block {block.facts.name}")
        plan.refuse_overlap(self.tx, block.id, prefix)
        if not self.free.is_free(block.claim, prefix):
            raise Overlap(f"{prefix} overlaps a reservation made a moment ago", prefix=str(prefix))
        self.free.take(block.claim, prefix)
        return [(blocks[0], prefix)]

    def _sized(self, wanted: Wanted, blocks: list[Place]) -> list[tuple[Place, Prefix]]:
        """Prefixes from the first blocks that have room; they are given back when there are not enough."""
        found: list[tuple[Place, Prefix]] = []
        try:
            for place in blocks:
                found += [(place, prefix) for prefix in self._some(wanted, place[1], wanted.amount - len(found))]
                if len(found) == wanted.amount:
                    return found
            names = ", ".join(block.facts.name for _, block in blocks) or "an empty list"
            raise Exhausted(f"no free /{wanted.bits} in {names}", size=wanted.bits, blocks=list(wanted.blocks))
        except UnipamError:
            for (_, block), prefix in found:
                self.free.give_back(block.claim, prefix)
            raise

    def _some(self, wanted: Wanted, block: Node[model.Block], amount: int) -> list[Prefix]:
        try:
            length = model.length_in(block.prefix, wanted.bits)
        except Exhausted:
            return []
        return self.free.draw(block.claim, length, amount, reverse=wanted.reverse, smallest=wanted.smallest)


def _find_blocks(batch: _Batch, wanted: Wanted) -> list[Place]:
    """Every block of the request. Raises Missing with all the names that are none."""
    plan.find_space(batch.tx, wanted.space) if not wanted.blocks else None
    found, unknown = [], []
    for name in wanted.blocks:
        try:
            found.append(batch.block(wanted.space, name))
        except Missing as error:
            if error.facts.get("kind") != model.BLOCK:
                raise
            unknown.append(name)
    if unknown:
        raise Missing(f"there is no block named {', '.join(map(repr, unknown))}", kind=model.BLOCK, value=unknown)
    return found


def next_free(
    free: FreeSpace, block: Node[F], bits: int, *, reverse: bool = False, smallest: bool = False
) -> Prefix | None:
    """A free prefix of the length under a parent, not taken yet. Raises BadValue when it is no length at all."""
    try:
        length = model.length_in(block.prefix, bits)
    except Exhausted:
        return None
    return free.find(block.claim, length, reverse=reverse, smallest=smallest)


def reserve_all(
    tx: Tx, wanted: Sequence[Wanted], now: float, ids: Callable[[], str] = new_id
) -> list[list[Reserved] | UnipamError]:
    """Serve requests in this order, each all or none; of each what was reserved, or the error that refused it."""
    batch = _Batch(tx, now, ids)
    outcomes = [_decide(batch, request) for request in wanted]
    decided = [each for outcome in outcomes if isinstance(outcome, list) for each in outcome]
    by, drafts = [each.by for each in decided], [each.draft for each in decided]
    claims = plan.create_all(tx, by, drafts) if decided else []
    batch.free.remember()
    done = iter([each.as_reserved(claim.generation) for each, claim in zip(decided, claims, strict=True)])
    return [list(islice(done, len(each))) if isinstance(each, list) else each for each in outcomes]


def _decide(batch: _Batch, wanted: Wanted) -> list[_Decided] | UnipamError:
    try:
        return batch.serve(wanted)
    except (Refused, BadValue) as error:
        return error


def reserve(tx: Tx, wanted: Wanted, now: float, ids: Callable[[], str] = new_id) -> list[Reserved]:
    """Serve one request. Raises what refuses it: Missing, BadValue, Outside, Overlap or Exhausted."""
    outcome = reserve_all(tx, [wanted], now, ids)[0]
    if isinstance(outcome, UnipamError):
        raise outcome
    return outcome


def pending(tx: Tx, block: Node[model.Block]) -> list[Node[Reservation]]:
    """The reservations that hold their place in the block, in address order."""
    return plan.children(tx, block.id, Reservation)


class Settled(msgspec.Struct, frozen=True):
    """What is kept of a reservation that holds no place any more."""

    cidr: str
    facts: Reservation


_settled = msgspec.json.Decoder(Settled)


def settled(tx: Tx, space: int, block: int) -> list[Settled]:
    """The block's reservations that are over, but not archived."""
    return [_settled.decode(text) for _, text in tx.notes(settled_key(space, block))]


def reservations(tx: Tx, space: str, block: str, *, with_settled: bool = False) -> list[Reserved]:
    """A block's reservations, oldest first. Raises Missing."""
    root = plan.find_space(tx, space)
    found = plan.find_block(tx, root.id, block)
    rows = [as_reserved(root.facts.name, found.facts.name, each) for each in pending(tx, found)]
    if with_settled:
        past = settled(tx, root.id, found.id)
        rows += [Reserved(root.facts.name, found.facts.name, s.cidr, s.facts) for s in past]
    return sorted(rows, key=lambda row: (row.facts.created_on, row.generation))


def as_reserved(space: str, block: str, node: Node[Reservation]) -> Reserved:
    """A reservation with its place in words."""
    return Reserved(space, block, str(node.prefix), node.facts, node.claim.generation, node.claim.until)


def find(tx: Tx, space: str, block: str, reservation: str) -> Reserved:
    """One reservation, also a settled one. Raises Missing."""
    root = plan.find_space(tx, space)
    found = plan.find_block(tx, root.id, block)
    node = _find_pending(tx, found, reservation)
    if node is not None:
        return as_reserved(root.facts.name, found.facts.name, node)
    note = tx.note(settled_key(root.id, found.id, reservation)) if is_id(reservation) else ""
    if not note:
        raise plan.missing(model.RESERVATION, reservation)
    past = _settled.decode(note)
    return Reserved(root.facts.name, found.facts.name, past.cidr, past.facts)


def is_id(text: str) -> bool:
    """Whether anything could have this id."""
    return len(text) == _ID_LENGTH and all(letter in _ALPHABET for letter in text)


def _find_pending(tx: Tx, block: Node[model.Block], reservation: str) -> Node[Reservation] | None:
    claims = tx.claims_of(block.id, reservation) if is_id(reservation) else []
    return next((cast("Node[Reservation]", plan.node(c)) for c in claims if c.kind == model.RESERVATION), None)


def cancel(tx: Tx, by: By, space: str, block: str, ids: Sequence[str], check: Callable[[Reserved], None]) -> None:
    """Give up reservations; settled ones stay as they are. `check` may refuse each before anything is done.

    Raises Duplicate, Missing with every id that is none, or Stale.
    """
    if len(set(ids)) != len(ids):
        raise Duplicate("a reservation is named twice", ids=list(ids))
    root = plan.find_space(tx, space)
    found = plan.find_block(tx, root.id, block)
    rows, unknown = [], []
    for each in ids:
        try:
            rows.append(find(tx, space, block, each))
        except Missing:
            unknown.append(each)
    if unknown:
        raise Missing(f"no such reservation: {', '.join(unknown)}", kind=model.RESERVATION, value=unknown)
    for row in rows:
        check(row)
    for row in rows:
        node = _find_pending(tx, found, row.facts.id)
        if node is not None:
            settle(tx, by, found, node, model.CANCELLED)


def settle(tx: Tx, by: By, block: Node[model.Block], node: Node[Reservation], status: str) -> Reservation:
    """A reservation is over: its place is free, and it is listed among the settled ones."""
    facts = msgspec.structs.replace(node.facts, status=status, settled_on=by.now, settled_by=by.actor)
    plan.remove(tx, by, node.claim, SETTLE, facts)
    key = settled_key(space_of(block.claim), block.id, facts.id)
    tx.set_note(key, msgspec.json.encode(Settled(str(node.prefix), facts)).decode())
    return facts


def archive(tx: Tx, space: str, block: str, reservation: str) -> None:
    """Drop a settled reservation from the listings; the journal keeps it (D15). Raises Missing."""
    root = plan.find_space(tx, space)
    found = plan.find_block(tx, root.id, block)
    key = settled_key(root.id, found.id, reservation)
    if not is_id(reservation) or not tx.note(key):
        raise plan.missing("settled reservation", reservation)
    tx.drop_note(key)


def expire_block(tx: Tx, block: Node[model.Block], now: float) -> int:
    """Settle the reservations of a block whose time is over; how many."""
    by = By("unipam", "system", now, "nobody used it in time")
    over = [c for c in tx.expired(block.id, now, now, _SWEEP) if c.kind == model.RESERVATION]
    for claim in over:
        settle(tx, by, block, cast("Node[Reservation]", plan.node(claim)), model.EXPIRED)
    return len(over)
