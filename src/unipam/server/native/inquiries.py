"""The native API's questions to the plan: what is free, what lies where, what was; see `operations`.

What a caller may not know of is hidden (`Visibility`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.objects import F
from unipam.model.records import Entry, prefix_text
from unipam.plan import forecast, reads, tree
from unipam.plan.blocks import name_of
from unipam.plan.history import PastPlan
from unipam.plan.journal import in_sight
from unipam.plan.permissions import HIDDEN, Visibility
from unipam.server.native.operations import Shape
from unipam.store.api import Tx

_MOST_FREE = 100
Nodes = Mapping[int, Sequence[tree.Node[objects.Facts]]]
"""Objects by what they are in."""


class Search(NamedTuple):
    """What is looked for, and in which order."""

    size: int
    how_many: int
    reverse: bool
    smallest: bool
    all_free: bool


def what_is_free(space: str, block: str, search: Search) -> Callable[[Tx], Shape]:
    """Return what would be given next in a block, and what is free altogether."""
    return lambda tx: available(tx, tree.find_block(tx, tree.find_space(tx, space).id, block), search)


def available(tx: Tx, holder: tree.Node[F], search: Search) -> dict[str, Any]:
    """Return what is free in a block or an external network. Raises BadValue or Exhausted."""
    rows = reads.candidates(tx, holder, search.size, search.how_many, reverse=search.reverse, smallest=search.smallest)
    free = reads.free_prefixes(tx, holder) if search.all_free else ()
    largest = sorted(free, key=lambda prefix: prefix.length)[:_MOST_FREE]
    shapes = [{"cidr": str(row.prefix), "reason": row.reason} for row in rows]
    return {"candidates": shapes, "free": [str(prefix) for prefix in largest]}


def forecasts(period: forecast.Period, space: str) -> Callable[[Tx], list[Shape]]:
    """Return when each block, or each of a space, runs dry; the first to do so first."""
    return lambda tx: [msgspec.structs.asdict(row) for row in forecast.soonest(tx, period, space)]


def forecast_of_space(period: forecast.Period, space: str) -> Callable[[Tx], Shape]:
    """Return when a space's blocks run dry together."""
    return lambda tx: msgspec.structs.asdict(forecast.of_space(tx, space, period))


def forecast_of_block(period: forecast.Period, space: str, block: str) -> Callable[[Tx], Shape]:
    """Return when a block runs dry."""
    return lambda tx: msgspec.structs.asdict(forecast.of_block(tx, space, block, period))


def explain(visibility: Visibility, prefix: Prefix, space: str | None) -> Callable[[Tx], list[Shape]]:
    """Return everything in the plan, or in a space, that contains a prefix, is it, or lies within it."""

    def work(tx: Tx) -> list[Shape]:
        found = reads.everywhere(tx, prefix) if space is None else reads.explain(tx, space, prefix)
        return [_held(each, visibility) for each in found]

    return work


def _held(held: reads.Related, visibility: Visibility) -> dict[str, Any]:
    in_sight = held.kind != objects.NETWORK or visibility.sees(held.path[0], held.name)
    name = held.name if in_sight else HIDDEN
    shape = {**held._asdict(), "name": name, "cidr": held.prefix, "path": (*held.path[:-1], name)}
    del shape["prefix"]
    return shape


def history(visibility: Visibility, prefix: Prefix | None, name: str, limit: int) -> Callable[[Tx], list[Shape]]:
    """Return the journal about a prefix and a name or id, newest first."""

    def work(tx: Tx) -> list[Shape]:
        rows = [_entry(row, in_sight(tx, row, visibility)) for row in _lines(tx, prefix, name, limit)]
        # Whoever can name a network that is not in sight must not learn from its lines that it is there.
        return [row for row in rows if row["holder"] != HIDDEN or not name]

    return work


def _lines(tx: Tx, prefix: Prefix | None, name: str, limit: int) -> list[Entry]:
    """Find the lines of the journal; names are kept folded, reservation ids are not: both are looked for."""
    rows = reads.history(tx, prefix=prefix, holder=name, limit=limit)
    if name and name.lower() != name:
        rows += reads.history(tx, prefix=prefix, holder=name.lower(), limit=limit)
    return sorted(rows, key=lambda row: -row.id)[:limit]


def _entry(entry: Entry, in_sight: bool) -> dict[str, Any]:
    return {
        "number": entry.id,
        "at": entry.at,
        "verb": entry.verb,
        "cidr": prefix_text(entry.first, entry.last),
        "holder": str(entry.owner) if in_sight else HIDDEN,
        "actor": entry.actor,
        "reason": entry.reason,
        "details": entry.details if in_sight else "",
    }


def plan_then(visibility: Visibility, at: float) -> Callable[[Tx], list[Shape]]:
    """Return the whole plan as it was at a moment, as a tree."""

    def work(tx: Tx) -> list[Shape]:
        whole = PastPlan(tx, at).everything()
        return [_branch(whole, space, space.id, visibility) for space in whole[0]]

    return work


def _branch(whole: Nodes, node: tree.Node[objects.Facts], space: int, visibility: Visibility) -> Shape:
    in_sight = not isinstance(node.facts, objects.Network) or visibility.sees(space, node.facts.id)
    return {
        "kind": node.claim.kind,
        "name": name_of(node) if in_sight else HIDDEN,
        "cidr": None if node.id == space else str(node.prefix),
        "since": node.claim.since,
        "desc": "" if isinstance(node.facts, objects.Network) else node.facts.desc or "",
        "status": node.facts.status if isinstance(node.facts, objects.Reservation) else "",
        "items": [_branch(whole, each, space, visibility) for each in whole.get(node.id, ())],
    }
