"""Questions to the plan by the native API: what is free, what lies where, what was, what differs from the cloud."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Query
from fastapi.responses import Response

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.objects import F, parse_place
from unipam.model.records import Entry, prefix_text
from unipam.plan import reads, tree
from unipam.plan.access.callers import HIDDEN, Sight
from unipam.plan.blocks import name_of, space_of
from unipam.plan.cloud.findings import drift
from unipam.plan.history import Moment, plan_at
from unipam.server.native import models as m
from unipam.server.native.common import Paged, page, problems, require_admin
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(tags=["questions"])

_MOST_FREE = 100


class Search(NamedTuple):
    """What is looked for, and in which order."""

    size: int
    how_many: int
    reverse: bool
    smallest: bool
    all_free: bool


async def _search(
    size: Annotated[
        int, Query(ge=0, le=128, description="A prefix length, as written in the family of what is searched.")
    ],
    count: Annotated[int, Query(ge=1, le=100, description="How many.")] = 1,
    reverse: Annotated[bool, Query(description="From the end.")] = False,
    smallest: Annotated[bool, Query(description="Out of the smallest hole.")] = False,
    free: Annotated[bool, Query(description="Also what is free altogether, which takes a look at everything.")] = False,
) -> Search:
    return Search(size, count, reverse, smallest, free)


Searching = Annotated[Search, Depends(_search)]


@router.get("/spaces/{space}/blocks/{block}/available", response_model=m.Available, responses=problems(404, 409))
async def what_is_free(register: Here, _: Signed, space: str, block: str, search: Searching) -> Response:
    """The prefixes of a length that would be given next, with the reason, and what is free altogether."""

    def work(tx: Tx) -> dict[str, Any]:
        return available(tx, tree.find_block(tx, tree.find_space(tx, space).id, block), search)

    return reply(await register.desk.read(work))


def available(tx: Tx, holder: tree.Node[F], search: Search) -> dict[str, Any]:
    """What is free in a block or an external network. Raises BadValue or Exhausted."""
    rows = reads.candidates(tx, holder, search.size, search.how_many, reverse=search.reverse, smallest=search.smallest)
    free = reads.free_prefixes(tx, holder) if search.all_free else ()
    largest = sorted(free, key=lambda prefix: prefix.length)[:_MOST_FREE]
    shapes = [{"cidr": str(row.prefix), "reason": row.reason} for row in rows]
    return {"candidates": shapes, "free": [str(prefix) for prefix in largest]}


@router.get("/explain", response_model=list[m.Held], responses=problems(404))
async def explain(
    register: Here,
    caller: Signed,
    cidr: Annotated[str, Query(max_length=64, description="A prefix, or an address.")],
    space: Annotated[str | None, Query(description="Only this space.")] = None,
) -> Response:
    """Everything in the plan that contains a prefix, is it, or lies within it, from the outermost inwards."""
    prefix = parse_place(cidr)

    def work(tx: Tx) -> list[reads.Held]:
        return reads.everywhere(tx, prefix) if space is None else reads.explain(tx, space, prefix)

    sight = await register.sight(caller, space)
    return reply([_held(each, sight) for each in await register.desk.read(work)])


def _held(held: reads.Held, sight: Sight) -> dict[str, Any]:
    in_sight = held.kind != objects.NETWORK or sight.sees(held.path[0], held.name)
    name = held.name if in_sight else HIDDEN
    shape = {**held._asdict(), "name": name, "cidr": held.prefix, "path": (*held.path[:-1], name)}
    del shape["prefix"]
    return shape


@router.get("/history", response_model=list[m.Entry], responses=problems())
async def history(
    register: Here,
    caller: Signed,
    cidr: Annotated[str | None, Query(max_length=64, description="What happened at this prefix or address.")] = None,
    name: Annotated[str | None, Query(max_length=2048, description="What happened to this name or id.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The journal, newest first."""
    prefix = None if cidr is None else parse_place(cidr)
    sight = await register.sight(caller)

    def work(tx: Tx) -> list[dict[str, Any]]:
        return [_entry(row, _in_sight(tx, row, sight)) for row in _lines(tx, prefix, name or "", limit)]

    rows = await register.desk.read(work)
    # Whoever can name a network that is not in sight must not learn from its lines that it is there.
    return reply([row for row in rows if row["holder"] != HIDDEN or not name])


def _in_sight(tx: Tx, entry: Entry, sight: Sight) -> bool:
    """Whether the caller may know what a line is about. What was in a block that is gone is in no space."""
    network = reads.network_of(entry)
    block = tx.claim(entry.parent) if network else None
    return not network or sight.sees(space_of(block) if block else 0, network)


def _lines(tx: Tx, prefix: Prefix | None, name: str, limit: int) -> list[Entry]:
    """Names are kept folded, reservation ids are not: both are looked for."""
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


@router.get("/plan", response_model=list[dict[str, Any]], responses=problems())
async def plan_then(
    register: Here,
    caller: Signed,
    at: Annotated[float, Query(ge=0, allow_inf_nan=False, description="Seconds since the epoch.")],
) -> Response:
    """The whole plan as it was at a moment, as a tree."""
    sight = await register.sight(caller)
    moment = await register.desk.read(lambda tx: plan_at(tx, at))
    return reply([_branch(moment, space, space.id, sight) for space in moment.under(0)])


def _branch(moment: Moment, node: tree.Node[objects.Facts], space: int, sight: Sight) -> dict[str, Any]:
    in_sight = not isinstance(node.facts, objects.Network) or sight.sees(space, node.facts.id)
    return {
        "kind": node.claim.kind,
        "name": name_of(node) if in_sight else HIDDEN,
        "cidr": None if node.id == space else str(node.prefix),
        "since": node.claim.since,
        "items": [_branch(moment, each, space, sight) for each in moment.under(node.id)],
    }


@router.get("/findings", response_model=m.Page[m.Finding], responses=problems())
async def differences(register: Here, caller: Signed, paging: Paged) -> Response:
    """Where the plan and the cloud disagree, the worst first; for administrators, who may see all of the cloud."""
    require_admin(caller)
    snapshot = await register.last_snapshot()
    found = await register.desk.read(lambda tx: drift(tx, snapshot))
    rows = [{"number": str(number), **each._asdict()} for number, each in enumerate(found, start=1)]
    return page(rows, paging, lambda row: str(row["number"]))
