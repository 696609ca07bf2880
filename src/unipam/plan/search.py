"""One question to everything: an address, a prefix, a part of a name, of a description or of an id."""

from __future__ import annotations

import msgspec

from unipam.addr.prefix import Prefix, Range
from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.model.objects import fold
from unipam.model.records import SPACE, Selection
from unipam.plan import tree
from unipam.plan.listing import LISTED, Paths, Row, row_of
from unipam.plan.permissions import HIDDEN, Visibility
from unipam.store.api import Tx

SHOWN = 8
"""Objects of one kind that are answered."""
_LOOKED_AT = 60
"""Objects of one kind that are looked at: the text may stand in what is not a name, a description or an id."""
LEAST = 2
"""Characters of a text that is looked for."""


class Group(msgspec.Struct, frozen=True):
    """What was found of one kind; `more`: that is not all."""

    kind: str
    items: list[Row]
    more: bool


class Answer(msgspec.Struct, frozen=True):
    """What was found. `cidr` is the address or prefix that the text means, None if it means none."""

    cidr: str | None
    groups: list[Group]


def search(tx: Tx, text: str, visibility: Visibility) -> Answer:
    """Return what a text may mean, by kind. Networks that the caller may not know of are found by address alone."""
    text = text.strip()
    place = place_of(text)
    if place is None and len(text) < LEAST:
        return Answer(None, [])
    groups = [] if place else [_spaces(tx, text, visibility)]
    groups += [_group(tx, kind, text, place, visibility) for kind in LISTED]
    return Answer(None if place is None else str(place), [group for group in groups if group.items])


def place_of(text: str) -> Prefix | None:
    """Return the address or prefix that a text means."""
    if not any(sign in text for sign in ".:/"):
        return None
    try:
        return objects.parse_place(text)
    except BadValue:
        return None


def _spaces(tx: Tx, text: str, visibility: Visibility) -> Group:
    wanted = fold(text)
    found = [each for each in tree.spaces(tx) if wanted in fold(f"{each.facts.name} {each.facts.desc}")]
    rows = [row_of(each.claim, (), visibility) for each in found[:SHOWN]]
    return Group(SPACE, rows, len(found) > SHOWN)


def _group(tx: Tx, kind: str, text: str, place: Prefix | None, visibility: Visibility) -> Group:
    around = None if place is None else Range(place.first, place.last)
    wanted = Selection(kind, text="" if place else text, overlaps=around, limit=_LOOKED_AT)
    paths = Paths(tx)
    rows = [row_of(claim, paths.of(claim.parent), visibility) for claim in tx.select(wanted)]
    found = rows if place else [row for row in rows if _says(row, text)]
    return Group(kind, found[:SHOWN], len(found) > SHOWN)


def _says(row: Row, text: str) -> bool:
    """Return whether a row, as the caller may know it, has the text in what people call it by."""
    wanted = fold(text)
    return row.name != HIDDEN and any(wanted in fold(each) for each in (row.name, row.desc, row.id))
