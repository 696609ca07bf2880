"""What the routes of external networks, their subnets and endpoints share: what comes in and goes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi.responses import Response

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.objects import F, parse_cidr
from unipam.plan import blocks, externals
from unipam.plan.access.callers import Caller
from unipam.plan.externals import N
from unipam.plan.reads import use_of
from unipam.plan.tree import By, Node
from unipam.server.native import external_models as x
from unipam.server.native.common import Terms, etag, write
from unipam.server.native.operations import Answer, require_planner
from unipam.server.register import Register, reply
from unipam.store.api import Tx

Shape = dict[str, Any]
Find = Callable[[Tx], Node[N]]


def rows(
    tx: Tx, parent: Node[F], found: Sequence[Node[N]], overlaps: Prefix | None, *, utilisation: bool = False
) -> list[Shape]:
    """What is found under a parent, as far as it overlaps a prefix; with its use where that is wanted."""
    nodes = [node for node in found if overlaps is None or node.prefix.overlaps(overlaps)]
    around = _around(tx, parent.id)
    shapes = [_shape(node, around) for node in nodes]
    for each, node in zip(shapes, nodes if utilisation else (), strict=False):
        each["utilisation"] = use_of(tx, node)._asdict()
    return shapes


def named(body: x.NewExternal) -> externals.Named:
    """What a body asks for. Raises BadValue."""
    prefix = None if body.cidr is None else parse_cidr(body.cidr)
    return externals.Named(body.name, body.desc, prefix, body.size or 0, body.reverse, body.smallest)


def changed(body: x.ExternalChange) -> externals.Change:
    """What a body wants to be different. Raises BadValue."""
    return externals.Change(body.name, body.desc, None if body.cidr is None else parse_cidr(body.cidr))


def _around(tx: Tx, parent: int) -> Shape:
    """The names of what something lies in: space, innermost block, and where there are, external and subnet."""
    claim = tx.claim(parent)
    assert claim is not None
    return {node.claim.kind: blocks.name_of(node) for node in blocks.path(tx, claim)}


def _shape(node: Node[N], around: Shape) -> Shape:
    where = {"ip": node.claim.text} if node.claim.kind == objects.ENDPOINT else {"cidr": str(node.prefix)}
    return {
        **around,
        "name": node.facts.name,
        **where,
        "desc": node.facts.desc,
        "generation": node.claim.generation,
    }


def shape(tx: Tx, node: Node[N]) -> Shape:
    """An external network, a subnet or an endpoint."""
    return _shape(node, _around(tx, node.claim.parent))


async def change(
    register: Register, caller: Caller, terms: Terms, space: str, find: Find[N], wanted: Callable[[], externals.Change]
) -> Response:
    """Make of one what is wanted, and show it. Raises Forbidden, and what reading the wish and the change raise."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        node = externals.change(tx, by, find(tx), wanted())
        return Answer(shape(tx, node), 200, node.claim.generation)

    return await write(register, caller, terms, work)


async def remove(
    register: Register, caller: Caller, terms: Terms, space: str, find: Find[N], *, force: bool = False
) -> Response:
    """Remove one. Raises Forbidden and what the removal raises."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        externals.remove(tx, by, find(tx), force=force)
        return Answer(status=204)

    return await write(register, caller, terms, work)


def made(tx: Tx, parent: Node[F], nodes: Sequence[Node[N]]) -> Answer:
    """The answer to the making of several."""
    around = _around(tx, parent.id)
    return Answer([_shape(node, around) for node in nodes], 201)


def one(found: Shape) -> Response:
    """The answer to a look at one."""
    return reply(found, headers=etag(found["generation"]))
