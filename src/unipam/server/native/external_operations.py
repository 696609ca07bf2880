"""The native API's operations on external networks, their subnets and endpoints, which are alike; see `operations`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from unipam.addr.prefix import BITS, Prefix, format_address
from unipam.model import objects
from unipam.model.objects import parse_cidr
from unipam.plan import blocks, externals
from unipam.plan.access.callers import Caller
from unipam.plan.externals import Place
from unipam.plan.permissions import UseCase, require
from unipam.plan.reads import use_of, uses_of
from unipam.plan.tree import Author, Node
from unipam.server.native.inquiries import Search, available
from unipam.server.native.operations import Answer, List, Read, Shape, Write, done, shown
from unipam.store.api import Tx

if TYPE_CHECKING:
    from unipam.server.native import external_models as x

_REASON = "the lowest free address that a host may have"


def list_inner(place: Place, overlaps: Prefix | None, *, utilisation: bool = False) -> List:
    """Return what lies directly in a place, as far as it overlaps a prefix; with its use where that is wanted."""

    def work(tx: Tx) -> list[Shape]:
        holder = place.find(tx)
        nodes = [node for node in externals.inner(tx, holder) if overlaps is None or node.prefix.overlaps(overlaps)]
        around = _around(tx, holder.id)
        shapes = [_shape(node, around) for node in nodes]
        uses = uses_of(tx, [node.claim for node in nodes]) if utilisation else {}
        for each, node in zip(shapes, nodes if utilisation else (), strict=False):
            each["utilisation"] = uses[node.id]._asdict()
        return shapes

    return work


def make(caller: Caller, place: Place, body: Sequence[x.NewExternal] | Sequence[x.NewEndpoint]) -> Write:
    """Make several of what lies in a place, all or none."""
    require(caller, UseCase.MAKE_EXTERNAL, place.space)

    def work(tx: Tx, by: Author) -> Answer:
        holder = place.find(tx)
        made = externals.create_all(tx, by, holder, [_new(each) for each in body])
        around = _around(tx, holder.id)
        return Answer([_shape(node, around) for node in made], 201)

    return work


def _new(body: x.NewExternal | x.NewEndpoint) -> externals.New:
    """Return what a body asks for. Raises BadValue."""
    if hasattr(body, "ip"):
        return externals.NewEndpoint(body.name, body.desc, None if body.ip is None else externals.parse_ip(body.ip))
    prefix = None if body.cidr is None else parse_cidr(body.cidr)
    return externals.NewPrefix(body.name, body.desc, prefix, body.size or 0, body.reverse, body.smallest)


def read(place: Place) -> Read:
    """Return an external network, a subnet or an endpoint."""
    return lambda tx: _shape_of(tx, place.find(tx))


def change(caller: Caller, place: Place, body: x.ExternalChange | x.EndpointChange) -> Write:
    """Rename, resize, move or describe it anew."""
    require(caller, UseCase.CHANGE_EXTERNAL, place.space)
    return shown(lambda tx, by: externals.change(tx, by, place.find(tx), _changed(body)), _shape_of)


def _changed(body: x.ExternalChange | x.EndpointChange) -> externals.Change:
    """Return what a body wants to be different. Raises BadValue."""
    if hasattr(body, "ip"):
        prefix = None if body.ip is None else Prefix(externals.parse_ip(body.ip), BITS)
    else:
        prefix = None if body.cidr is None else parse_cidr(body.cidr)
    return externals.Change(body.name, body.desc, prefix)


def remove(caller: Caller, place: Place, *, force: bool = False) -> Write:
    """Remove it."""
    require(caller, UseCase.REMOVE_EXTERNAL, place.space)
    return done(lambda tx, by: externals.remove(tx, by, place.find(tx), force=force))


def use(place: Place) -> Read:
    """Return how full an external network or a subnet is."""
    return lambda tx: use_of(tx, place.find(tx))._asdict()


def what_is_free(place: Place, search: Search) -> Read:
    """Return what subnets of a length would get next, and what is free altogether."""
    return lambda tx: available(tx, place.find(tx), search)


def free_addresses(place: Place, count: int) -> Read:
    """Return the addresses that endpoints would get next, with the reason."""

    def work(tx: Tx) -> Shape:
        found = externals.free_addresses(tx, place.find(tx), count)
        rows = zip(found, chain([_REASON], repeat(f"{_REASON}, after those before it")), strict=False)
        return {"candidates": [{"ip": format_address(address), "reason": reason} for address, reason in rows]}

    return work


def _around(tx: Tx, holder: int) -> Shape:
    """Return the names of what something lies in: space, innermost block, and where there are, external and subnet."""
    claim = tx.claim(holder)
    assert claim is not None
    return {node.claim.kind: blocks.name_of(node) for node in blocks.path(tx, claim)}


def _shape(node: Node[Any], around: Shape) -> Shape:
    where = {"ip": node.claim.text} if node.claim.kind == objects.ENDPOINT else {"cidr": str(node.prefix)}
    named = {**around, "name": node.facts.name, **where}
    return {**named, "desc": node.facts.desc, "generation": node.claim.generation}


def _shape_of(tx: Tx, node: Node[Any]) -> Shape:
    return _shape(node, _around(tx, node.claim.parent))
