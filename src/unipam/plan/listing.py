"""Objects of one kind across blocks and spaces, sorted and filtered by the database. Functions of one transaction."""

from __future__ import annotations

import base64
import binascii
from typing import Any, NamedTuple, cast

import msgspec

from unipam.addr.prefix import Range
from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.model.records import AGE, PLACE, SPACE, UNTIL, Claim, Selection
from unipam.plan import tree
from unipam.plan.blocks import blocks
from unipam.plan.permissions import HIDDEN, Visibility
from unipam.store.api import Tx
from unipam.store.listing import position

ORDERS = {
    "cidr": PLACE, "created": AGE, "name": "name", "desc": "desc", "by": "created_by", "status": "status",
    "until": UNTIL, "id": "id",
}  # fmt: skip
"""By what a listing may be sorted, and what that is to the store; `-` before it turns it round."""
LISTED = (objects.BLOCK, objects.RESERVATION, objects.NETWORK, objects.EXTERNAL, objects.SUBNET, objects.ENDPOINT)

_BETWEEN = {objects.SUBNET: (objects.EXTERNAL,), objects.ENDPOINT: (objects.EXTERNAL, objects.SUBNET)}
"""The kinds that lie between a block and what is listed."""
_MOST = 100_000


class Wish(NamedTuple):
    """What is to be listed: a kind; in one space, and block of it, if those are given; that has `text` somewhere, or,
    where this reads as a prefix or an address, shares addresses with it; with this status.
    """

    kind: str
    space: str = ""
    block: str = ""
    text: str = ""
    status: str = ""
    sort: str = "cidr"
    after: str = ""
    limit: int = 100


class Row(msgspec.Struct, frozen=True):
    """An object of the plan as a row. `path` are the names of what it is in, the space first."""

    kind: str
    name: str
    cidr: str
    path: tuple[str, ...]
    desc: str
    id: str
    number: int
    generation: int
    since: float
    until: float | None
    status: str
    by: str
    created_on: float
    state: str
    subject: str = ""
    settled_on: float | None = None
    settled_by: str = ""


class Part(NamedTuple):
    """A part of a listing, what comes after it (None: nothing), and how many rows there are in all."""

    rows: list[Row]
    next: str | None
    total: int


def listed(tx: Tx, wish: Wish, visibility: Visibility) -> Part:
    """Return a part of a listing. Raises Missing for a space or block, BadValue for what cannot be listed or sorted."""
    wanted = _selection(tx, wish)
    found = tx.select(wanted._replace(limit=wish.limit + 1))
    paths = Paths(tx)
    rows = [row_of(claim, paths.of(claim.parent), visibility) for claim in found[: wish.limit]]
    following = mark(found[wish.limit - 1], wanted.order) if len(found) > wish.limit else None
    return Part(rows, following, tx.tally(wanted))


def _selection(tx: Tx, wish: Wish) -> Selection:
    if wish.kind not in LISTED:
        raise BadValue(f"kind: {wish.kind!r} is none of {', '.join(LISTED)}", field="kind", value=wish.kind)
    order = ORDERS.get(wish.sort.removeprefix("-"))
    if order is None:
        raise BadValue(f"sort: {wish.sort!r} is none of {', '.join(ORDERS)}", field="sort", value=wish.sort)
    place = place_in(wish.text)
    return Selection(
        wish.kind, _parents(tx, wish), place, "" if place else wish.text, wish.status, order,
        wish.sort.startswith("-"), unmark(wish.after), wish.limit,
    )  # fmt: skip


def place_in(text: str) -> Range | None:
    """Return the addresses that a search text means, if it reads as an address or a prefix."""
    if not any(sign in text for sign in ".:/"):
        return None
    try:
        prefix = objects.parse_place(text.strip())
    except BadValue:
        return None
    return Range(prefix.first, prefix.last)


def _parents(tx: Tx, wish: Wish) -> tuple[int, ...] | None:
    """Return what the objects lie under; None: anything. Raises Missing."""
    if not wish.space:
        return None
    root = tree.find_space(tx, wish.space)
    inside = tree.find_block(tx, root.id, wish.block) if wish.block else None
    found = [inside.id] if inside else [root.id, *(each.id for each in blocks(tx, root.id))]
    for kind in _BETWEEN.get(wish.kind, ()):
        found = [claim.id for parent in found for claim in tx.select(Selection(kind, (parent,), limit=_MOST))]
    return tuple(found)


class Paths:
    """Finds the names of what objects are in; each is looked up once."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._known: dict[int, tuple[str, ...]] = {0: ()}

    def of(self, number: int) -> tuple[str, ...]:
        """Return the names from the space down to the object of this number."""
        if number not in self._known:
            claim = self._tx.claim(number)
            name = "" if claim is None else getattr(objects.decode(claim.details), "name", "")
            self._known[number] = () if claim is None else (*self.of(claim.parent), name)
        return self._known[number]


def row_of(claim: Claim, path: tuple[str, ...], visibility: Visibility) -> Row:
    """Return an object as a row; a network that is not in sight holds its place and has no name."""
    facts = objects.decode(claim.details)
    name, number = str(getattr(facts, "name", "")), str(getattr(facts, "id", ""))
    if isinstance(facts, objects.Network) and not (path and visibility.sees(path[0], facts.id)):
        name = number = HIDDEN
    return Row(
        claim.kind, name or number, text_of(claim), path, str(getattr(facts, "desc", "") or ""), number, claim.id,
        claim.generation, claim.since, claim.until, getattr(facts, "status", ""), getattr(facts, "created_by", ""),
        getattr(facts, "created_on", claim.since), claim.state,
        getattr(facts, "subject", ""),
    )  # fmt: skip


def text_of(claim: Claim) -> str:
    """Return an object's addresses as people write them; empty for a space, which has all."""
    if claim.kind == SPACE:
        return ""
    return claim.text if claim.kind == objects.ENDPOINT else str(tree.prefix_of(claim))


def mark(claim: Claim, order: str) -> str:
    """Return the text by which the next part of a listing begins behind this claim."""
    where = position(claim, order, _members(claim))
    return base64.urlsafe_b64encode(msgspec.msgpack.encode((where[0], str(where[1])))).decode().rstrip("=")


def _members(claim: Claim) -> dict[str, Any]:
    return cast("dict[str, Any]", msgspec.json.decode(claim.details))


_position = msgspec.msgpack.Decoder(tuple[str | int | float, str])


def unmark(text: str) -> tuple[str | float, int] | None:
    """Read what `mark` returned. Raises BadValue."""
    if not text:
        return None
    try:
        value, number = _position.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return value, int(number)
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        raise BadValue("after: this is not the end of any part: begin anew", field="after", value=text) from None
