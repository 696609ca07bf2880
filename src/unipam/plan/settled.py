"""Reservations that are over, across blocks and spaces, the last settled first. Functions of one transaction.

They are notes beside the plan (`plan.reservations`), and are read whole: as many as have not been archived.
"""

from __future__ import annotations

from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.plan import tree
from unipam.plan.blocks import settled_key
from unipam.plan.listing import Part, Paths, Row, Wish, listed, place_in
from unipam.plan.parts import Paging, has_text, part_of
from unipam.plan.permissions import Visibility
from unipam.plan.reservations import Settled, read_settled
from unipam.store.api import Tx

OVER = ("over", objects.FULFILLED, objects.CANCELLED, objects.EXPIRED)
"""The statuses of reservations that hold no place any more; the first stands for all of them."""
_MEMBERS = {"cidr": "cidr", "created": "created_on", "desc": "desc", "by": "by", "status": "status", "id": "id",
            "until": "settled_on"}  # fmt: skip


def any_part(tx: Tx, wish: Wish, visibility: Visibility) -> Part:
    """Return a part of a listing of objects, those included that are over, if their status is asked for."""
    if wish.kind == objects.RESERVATION and wish.status in OVER:
        return settled_part(tx, wish._replace(status="" if wish.status == OVER[0] else wish.status))
    return listed(tx, wish, visibility)


def settled_part(tx: Tx, wish: Wish) -> Part:
    """Return a part of the reservations that are over. Raises Missing for a space or block, BadValue for a sort."""
    space = tree.find_space(tx, wish.space).id if wish.space else None
    block = tree.find_block(tx, space, wish.block).id if space is not None and wish.block else None
    start = "settled/" if space is None else settled_key(space, block)
    paths = Paths(tx)
    found = [_row(read_settled(text), paths.of(int(key.split("/")[2]))) for key, text in tx.notes(start)]
    rows = [row for row in found if wish.status in ("", row.status) and _matches(row, wish.text)]
    rows.sort(key=lambda row: -(row.settled_on or 0))
    sort = wish.sort.removeprefix("-")
    if sort not in _MEMBERS:
        raise BadValue(f"sort: {wish.sort!r} is none of {', '.join(_MEMBERS)}", field="sort", value=wish.sort)
    by = "" if wish.sort == "cidr" else wish.sort.replace(sort, _MEMBERS[sort])
    part = part_of(
        [{"id": row.id, "row": row, **_values(row)} for row in rows], Paging(wish.limit, wish.after, "", by), "id"
    )
    return Part([each["row"] for each in part["items"]], part["next"], part["total"])


def _values(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in _MEMBERS.values()}


def _row(past: Settled, path: tuple[str, ...]) -> Row:
    facts = past.facts
    return Row(
        objects.RESERVATION, facts.id, past.cidr, path or ("", ""), facts.desc or "", facts.id, 0, 0,
        facts.created_on, None, facts.status, facts.created_by, facts.created_on, "", facts.subject,
        facts.settled_on, facts.settled_by or "",
    )  # fmt: skip


def _matches(row: Row, text: str) -> bool:
    place = place_in(text)
    if place is not None:
        own = objects.parse_cidr(row.cidr)
        return own.first <= place.last and own.last >= place.first
    return has_text([row.desc, row.by, row.id, row.settled_by], text.lower())
