"""What the native API's operations share: what they answer, parts of listings.

HTTP is not known here, nor in the modules of operations beside this one, so that a command on a local database needs
none of it (`server.direct`). An operation refuses at once a caller who may not do it (`plan.permissions`), and returns
the work of one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.plan.tree import Author
from unipam.store.api import Tx

T = TypeVar("T")

MOST_ITEMS = 1000

Shape = dict[str, Any]


class Answer(NamedTuple):
    """What a write leads to."""

    content: Any = None
    status: int = 200
    generation: int = 0


Read = Callable[[Tx], Shape]
List = Callable[[Tx], list[Shape]]
Write = Callable[[Tx, Author], Answer]


def shown(do: Callable[[Tx, Author], T], shape: Callable[[Tx, T], Shape], status: int = 200) -> Write:
    """Return the write that does this and answers with the shape of what comes of it, and its generation."""

    def work(tx: Tx, by: Author) -> Answer:
        content = shape(tx, do(tx, by))
        return Answer(content, status, content.get("generation", 0))

    return work


def done(do: Callable[[Tx, Author], object]) -> Write:
    """Return the write that does this and has nothing to answer."""

    def work(tx: Tx, by: Author) -> Answer:
        do(tx, by)
        return Answer(status=204)

    return work


def require_reason(reason: str) -> None:
    """Raise BadValue for a reason that cannot stand in a line of the journal."""
    if not reason.isprintable():
        raise BadValue("X-Reason: must be printable text", field="X-Reason")


class Paging(NamedTuple):
    """Which part of a listing: only what has `text` somewhere, sorted by a member (`-` before it: turned round)."""

    limit: int
    after: str
    text: str = ""
    sort: str = ""


def part_of(items: Sequence[Any], paging: Paging, name: str) -> Shape:
    """Return one part of a listing, whose items are told apart by a member.

    Raises BadValue for an unknown `after`, or a member that there is none of.
    """
    items = _sorted([item for item in items if has_text(item, paging.text.lower())], paging.sort)
    start = 0
    if paging.after:
        places = [place for place, item in enumerate(items) if str(item[name]) == paging.after]
        if not places:
            raise BadValue("after: there is no such item (any more): begin anew", field="after", value=paging.after)
        start = places[0] + 1
    part = items[start : start + paging.limit]
    more = start + paging.limit < len(items)
    return {"items": part, "next": str(part[-1][name]) if more else None, "total": len(items)}


def has_text(value: object, text: str) -> bool:
    """Return whether a lower-case text stands in any of the texts that a value is made of."""
    if isinstance(value, str):
        return text in value.lower()
    if isinstance(value, dict):
        return any(has_text(each, text) for each in value.values()) or not text
    return isinstance(value, list | tuple) and any(has_text(each, text) for each in value)


def _sorted(items: list[Any], sort: str) -> list[Any]:
    member = sort.removeprefix("-")
    if not sort or not items:
        return items
    if member not in items[0]:
        raise BadValue(f"sort: {member!r} is none of {', '.join(items[0])}", field="sort", value=sort)
    return sorted(items, key=lambda item: place_of(item[member]), reverse=sort.startswith("-"))


def place_of(value: object) -> tuple[int, Any]:
    """Return where a value stands among others of its kind: numbers as such, prefixes by address, texts by letter."""
    if value is None:
        return 0, 0
    if isinstance(value, int | float):
        return 1, value
    try:
        return 2, objects.parse_place(str(value))
    except BadValue:
        return 3, str(value).lower()
