"""Parts of listings that are in memory: only what has a text, sorted by a member, from somewhere on. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import getitem
from typing import Any, NamedTuple

from unipam.model import objects
from unipam.model.errors import BadValue

Shape = dict[str, Any]
Member = Callable[[Any, str], Any]
"""How a member of an item is found. Raises LookupError or AttributeError where it has none of this name."""


class Paging(NamedTuple):
    """Which part of a listing: only what has `text` somewhere, sorted by a member (`-` before it: turned round)."""

    limit: int
    after: str
    text: str = ""
    sort: str = ""


def part_of(items: Sequence[Any], paging: Paging, name: str, member: Member = getitem) -> Shape:
    """Return one part of a listing, whose items are told apart by a member.

    Raises BadValue for an unknown `after`, or a member that there is none of.
    """
    text = paging.text.lower()
    items = _sorted([item for item in items if has_text(item, text)] if text else items, paging.sort, member)
    start = 0
    if paging.after:
        places = [place for place, item in enumerate(items) if str(member(item, name)) == paging.after]
        if not places:
            raise BadValue("after: there is no such item (any more): begin anew", field="after", value=paging.after)
        start = places[0] + 1
    part = items[start : start + paging.limit]
    more = start + paging.limit < len(items)
    return {"items": part, "next": str(member(part[-1], name)) if more else None, "total": len(items)}


def has_text(value: object, text: str) -> bool:
    """Return whether a lower-case text stands in any of the texts that a value is made of."""
    if isinstance(value, str):
        return text in value.lower()
    if isinstance(value, dict):
        return any(has_text(each, text) for each in value.values()) or not text
    return isinstance(value, list | tuple) and any(has_text(each, text) for each in value)


def _sorted(items: Sequence[Any], sort: str, member: Member) -> Sequence[Any]:
    name = sort.removeprefix("-")
    if not sort or not items:
        return items
    try:
        keys = [place_of(member(item, name)) for item in items]
    except (LookupError, AttributeError):
        known = f"none of {', '.join(items[0])}" if isinstance(items[0], dict) else "nothing to sort these by"
        raise BadValue(f"sort: {name!r} is {known}", field="sort", value=sort) from None
    order = sorted(range(len(items)), key=keys.__getitem__, reverse=sort.startswith("-"))
    return [items[place] for place in order]


def place_of(value: object) -> tuple[int, Any]:
    """Return where a value stands among others of its kind: numbers as such, prefixes by address, texts by letter."""
    if value is None:
        return 0, 0
    if isinstance(value, int | float):
        return 1, value
    text = str(value)
    if not any(sign in text for sign in ".:"):  # most are names, and an error for each would take ten times as long
        return 3, text.lower()
    try:
        return 2, objects.parse_place(text)
    except BadValue:
        return 3, text.lower()
