"""What the native API's operations share: who may do them, what they answer, parts of listings.

HTTP is not known here, nor in `planning`, `reserving` and `inquiries`, so that a command on a local database needs none
of it (`server.direct`). A writing operation refuses at once a caller who may not do it, and answers the work of one
transaction; so does a reading one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from unipam.model.errors import BadValue
from unipam.plan.access.callers import Caller
from unipam.plan.tree import By
from unipam.store.api import Tx

MOST_ITEMS = 1000

Shape = dict[str, Any]


class Answer(NamedTuple):
    """What a write leads to."""

    content: Any = None
    status: int = 200
    generation: int = 0


Read = Callable[[Tx], Shape]
List = Callable[[Tx], list[Shape]]
Write = Callable[[Tx, By], Answer]


def require_admin(caller: Caller) -> None:
    """Raises Forbidden unless the caller is an administrator."""
    if not caller.admin:
        raise caller.refusal(f"{caller.name} is no administrator")


def require_planner(caller: Caller, space: str) -> None:
    """Raises Forbidden unless the caller may plan the space."""
    if not caller.may_plan(space):
        raise caller.refusal(f"{caller.name} may not plan the space {space}")


def require_reason(reason: str) -> None:
    """Raises BadValue for a reason that cannot stand in a line of the journal."""
    if not reason.isprintable():
        raise BadValue("X-Reason: must be printable text", field="X-Reason")


class Paging(NamedTuple):
    """Which part of a listing."""

    limit: int
    after: str


def part_of(items: Sequence[Any], paging: Paging, name: Callable[[Any], str]) -> Shape:
    """One part of a listing, whose items are told apart by their names. Raises BadValue for an unknown `after`."""
    start = 0
    if paging.after:
        places = [place for place, item in enumerate(items) if name(item) == paging.after]
        if not places:
            raise BadValue("after: there is no such item (any more): begin anew", field="after", value=paging.after)
        start = places[0] + 1
    part = items[start : start + paging.limit]
    more = start + paging.limit < len(items)
    return {"items": part, "next": name(part[-1]) if more else None}
