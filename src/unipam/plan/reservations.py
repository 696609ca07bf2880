"""Reservations: prefixes kept for networks to come. How they come to be is in `plan.reserve`.

Functions of one transaction; see `plan.tree`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import msgspec

from unipam.model import objects
from unipam.model.errors import Duplicate, Missing
from unipam.model.objects import Reservation
from unipam.plan import tree
from unipam.plan.blocks import settled_key, space_of
from unipam.plan.tree import Author, Node
from unipam.store.api import Tx

SETTLE, ARCHIVE = "settle", "archive"

_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ID_LENGTH = 22
_LETTERS = bytes(ord(_ALPHABET[byte % len(_ALPHABET)]) for byte in range(256))
_SURPLUS = bytes(range(256 // len(_ALPHABET) * len(_ALPHABET), 256))
_SWEEP = 1000


class Reserved(NamedTuple):
    """A reservation and where it is. `cidr` is None only where nothing holds the place any more."""

    space: str
    block: str
    prefix: str
    facts: Reservation
    generation: int = 0
    until: float | None = None


def new_ids(amount: int) -> list[str]:
    """Return new reservation ids: 22 characters that cannot be mistaken for one another, as those of the original."""
    text = ""
    while len(text) < amount * _ID_LENGTH:
        # Bytes beyond the last whole multiple of the alphabet's length would favour its beginning.
        text += secrets.token_bytes(2 * amount * _ID_LENGTH).translate(_LETTERS, _SURPLUS).decode()
    return [text[place : place + _ID_LENGTH] for place in range(0, amount * _ID_LENGTH, _ID_LENGTH)]


def pending(tx: Tx, block: Node[objects.Block]) -> list[Node[Reservation]]:
    """Return the reservations that hold their place in the block, in address order."""
    return tree.children(tx, block.id, Reservation)


class Settled(msgspec.Struct, frozen=True):
    """What is kept of a reservation that holds no place any more."""

    cidr: str
    facts: Reservation


_settled = msgspec.json.Decoder(Settled)


def read_settled(note: str) -> Settled:
    """Return what a note keeps of a reservation that is over."""
    return _settled.decode(note)


def settled(tx: Tx, space: int, block: int) -> list[Settled]:
    """Return the block's reservations that are over, but not archived."""
    return [_settled.decode(text) for _, text in tx.notes(settled_key(space, block))]


def reservations(tx: Tx, space: str, block: str, *, with_settled: bool = False) -> list[Reserved]:
    """Return a block's reservations, oldest first. Raises Missing."""
    root = tree.find_space(tx, space)
    found = tree.find_block(tx, root.id, block)
    rows = [as_reserved(root.facts.name, found.facts.name, each) for each in pending(tx, found)]
    if with_settled:
        past = settled(tx, root.id, found.id)
        rows += [Reserved(root.facts.name, found.facts.name, s.cidr, s.facts) for s in past]
    return sorted(rows, key=lambda row: (row.facts.created_on, row.generation))


def as_reserved(space: str, block: str, node: Node[Reservation]) -> Reserved:
    """Return a reservation with its place in words."""
    return Reserved(space, block, str(node.prefix), node.facts, node.claim.generation, node.claim.until)


class _Location(NamedTuple):
    """A block and the space that it is in."""

    space: Node[objects.Space]
    block: Node[objects.Block]


class _Found(NamedTuple):
    """A reservation in words, and the claim that holds its place; None: it is over."""

    row: Reserved
    pending: Node[Reservation] | None


def _locate(tx: Tx, space: str, block: str) -> _Location:
    root = tree.find_space(tx, space)
    return _Location(root, tree.find_block(tx, root.id, block))


def find(tx: Tx, space: str, block: str, reservation: str) -> Reserved:
    """Return one reservation, also a settled one. Raises Missing."""
    found = _find(tx, _locate(tx, space, block), reservation)
    if found is None:
        raise tree.missing(objects.RESERVATION, reservation)
    return found.row


def _find(tx: Tx, place: _Location, reservation: str) -> _Found | None:
    space, block = place.space.facts.name, place.block.facts.name
    node = _find_pending(tx, place.block, reservation)
    if node is not None:
        return _Found(as_reserved(space, block, node), node)
    note = tx.note(_settled_key(place, reservation)) if is_id(reservation) else ""
    if not note:
        return None
    past = _settled.decode(note)
    return _Found(Reserved(space, block, past.cidr, past.facts), None)


def _settled_key(place: _Location, reservation: str) -> str:
    return settled_key(place.space.id, place.block.id, reservation)


def is_id(text: str) -> bool:
    """Return whether anything could have this id."""
    return len(text) == _ID_LENGTH and all(letter in _ALPHABET for letter in text)


def _find_pending(tx: Tx, block: Node[objects.Block], reservation: str) -> Node[Reservation] | None:
    claims = tx.claims_of(block.id, reservation) if is_id(reservation) else []
    return next((cast("Node[Reservation]", tree.node(c)) for c in claims if c.kind == objects.RESERVATION), None)


def cancel(  # noqa: PLR0913 (what is given up where, by whom, and how)
    tx: Tx,
    by: Author,
    space: str,
    block: str,
    ids: Sequence[str],
    check: Callable[[Reserved], None],
    *,
    archive: bool = False,
) -> None:
    """Give up reservations, all or none. `check` may refuse each before anything is done.

    Those that are over already stay as they are; to `archive` them takes them out of the listings, and leaves them to
    the journal (D15). Raises Duplicate, Missing with every id that is none, or Stale.
    """
    place = _locate(tx, space, block)
    found = _find_all(tx, place, ids)
    for row, _ in found:
        check(row)
    for row, node in found:
        if node is not None:
            settle(tx, by, place.block, node, objects.CANCELLED)
        elif archive:
            tree.remark(tx, by, ARCHIVE, f"{objects.RESERVATION}/{row.facts.id}", f"{row.prefix}, {row.facts.status}")
            tx.drop_note(_settled_key(place, row.facts.id))


def _find_all(tx: Tx, place: _Location, ids: Sequence[str]) -> list[_Found]:
    if len(set(ids)) != len(ids):
        raise Duplicate("a reservation is named twice", ids=list(ids))
    found = {each: _find(tx, place, each) for each in ids}
    unknown = [each for each, there in found.items() if there is None]
    if unknown:
        raise Missing(f"no such reservation: {', '.join(unknown)}", kind=objects.RESERVATION, value=unknown)
    return [there for there in found.values() if there is not None]


def settle(tx: Tx, by: Author, block: Node[objects.Block], node: Node[Reservation], status: str) -> Reservation:
    """End a reservation: its place is free, and it is listed among the settled ones."""
    facts = msgspec.structs.replace(node.facts, status=status, settled_on=by.now, settled_by=by.actor)
    tree.remove(tx, by, node.claim, SETTLE, facts)
    key = settled_key(space_of(block.claim), block.id, facts.id)
    tx.set_note(key, msgspec.json.encode(Settled(str(node.prefix), facts)).decode())
    return facts


def expire_block(tx: Tx, block: Node[objects.Block], now: float) -> int:
    """Settle the reservations of a block whose time is over; how many."""
    by = Author("unipam", "system", now, "nobody used it in time")
    over = [c for c in tx.expired(block.id, now, now, _SWEEP) if c.kind == objects.RESERVATION]
    for claim in over:
        settle(tx, by, block, cast("Node[Reservation]", tree.node(claim)), objects.EXPIRED)
    return len(over)
