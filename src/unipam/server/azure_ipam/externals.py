"""External networks and subnets in the Azure IPAM API (spec azure-ipam-application §2.4); planners only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi.responses import Response

from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.model.objects import parse_cidr
from unipam.plan import blocks, externals, tree
from unipam.plan.externals import Place
from unipam.plan.permissions import UseCase
from unipam.plan.tree import Author
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import MANY, ExternalBody, ExternalRowBody, PatchBody
from unipam.server.azure_ipam.replies import do, do_quietly, error_words, patched, patched_prefix, show
from unipam.server.places import BlockPlace, ExternalPlace, SubnetPlace
from unipam.server.register import SessionDep
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}/blocks/{block}/externals", tags=["external networks"])

PATHS = {"/name": "name", "/desc": "desc", "/cidr": "cidr"}


# ---- what is done, at every level alike


def list_inner(place: Place) -> Callable[[Tx], list[shapes.Shape]]:
    """Return what lies in a place, in the order in which it was made."""
    return lambda tx: shown(tx, tree.in_order(externals.inner(tx, place.find(tx))))


def shown(tx: Tx, nodes: Sequence[tree.Node[Any]]) -> list[shapes.Shape]:
    """Return external networks, subnets or endpoints in their shapes."""
    return [shapes.external(tx, each) for each in nodes]


def read(place: Place) -> Callable[[Tx], shapes.Shape]:
    """Return what is at a place."""
    return lambda tx: shapes.external(tx, place.find(tx))


def change(place: Place, new: Callable[[], externals.Change]) -> Callable[[Tx, Author], shapes.Shape]:
    """Make what is at a place different. `new` is asked once it was found."""
    return lambda tx, by: shapes.external(tx, externals.change(tx, by, place.find(tx), new()))


def _create(place: Place, new: Callable[[], externals.NewPrefix]) -> Callable[[Tx, Author], shapes.Shape]:
    """Make an external network or a subnet, shown with what it lies in. `new` is asked once that is found."""

    def work(tx: Tx, by: Author) -> shapes.Shape:
        node = externals.create(tx, by, place.find(tx), new())
        around = {each.claim.kind: blocks.name_of(each) for each in blocks.path(tx, node.claim)[:-1]}
        return {**around, **shapes.external(tx, node)}

    return work


def _named(body: ExternalBody) -> externals.NewPrefix:
    return externals.NewPrefix(body.name, body.desc, parse_cidr(body.cidr) if body.cidr else None, body.size or 0)


def _change(operations: Sequence[PatchBody]) -> externals.Change:
    new = patched(operations, PATHS)
    return externals.Change(new.get("name"), new.get("desc"), patched_prefix(new.get("cidr")))


# ---- external networks


@router.get("", response_model=list[a.External])
async def get_externals(session: SessionDep, place: BlockPlace) -> Response:
    """The external networks of a block."""
    session.require(UseCase.VIEW_EXTERNALS, place.space)
    return await show(session, list_inner(place))


@router.post("", status_code=201, response_model=a.ExternalExpand)
@error_words(m.EXTERNAL_CREATE)
async def create_external(session: SessionDep, place: BlockPlace, body: ExternalBody) -> Response:
    """A new external network."""
    session.require(UseCase.MAKE_EXTERNAL, place.space)
    new = _named(body)  # before it is known whether there is such a block, as in the original
    return await do(session, _create(place, lambda: new), 201)


@router.put("", response_model=list[a.External])
@error_words(m.EXTERNAL_REPLACE)
async def replace_externals(
    session: SessionDep, place: BlockPlace, body: Annotated[list[ExternalRowBody], MANY]
) -> Response:
    """The block has exactly these external networks from now on, as v3.0 and v3.1 of the application had it."""
    session.require(UseCase.MAKE_EXTERNAL, place.space)
    wanted = [externals.NewPrefix(each.name, each.desc, parse_cidr(each.cidr)) for each in body]
    return await do(session, lambda tx, by: shown(tx, externals.replace_externals(tx, by, place.find(tx), wanted)))


@router.get("/{external}", response_model=a.External)
async def get_external(session: SessionDep, place: ExternalPlace) -> Response:
    """One external network."""
    session.require(UseCase.VIEW_EXTERNALS, place.space)
    return await show(session, read(place))


@router.patch("/{external}", response_model=a.External)
@error_words(m.EXTERNAL_CHANGE)
async def update_external(session: SessionDep, place: ExternalPlace, body: list[PatchBody]) -> Response:
    """Rename, resize or describe an external network anew."""
    session.require(UseCase.CHANGE_EXTERNAL, place.space)
    return await do(session, change(place, lambda: _change(body)))


@router.delete("/{external}", response_class=Response)
@error_words(m.EXTERNAL_REMOVE)
async def delete_external(session: SessionDep, place: ExternalPlace, force: bool = False) -> Response:
    """Remove an external network; with `force` with all it holds."""
    session.require(UseCase.REMOVE_EXTERNAL, place.space)
    return await do_quietly(session, lambda tx, by: externals.remove(tx, by, place.find(tx), force=force))


# ---- subnets


@router.get("/{external}/subnets", response_model=list[a.ExternalSubnet])
async def get_subnets(session: SessionDep, place: ExternalPlace) -> Response:
    """The subnets of an external network."""
    session.require(UseCase.VIEW_EXTERNALS, place.space)
    return await show(session, list_inner(place))


@router.post("/{external}/subnets", status_code=201, response_model=a.ExternalSubnetExpand)
@error_words(m.SUBNET_CREATE)
async def create_subnet(session: SessionDep, place: ExternalPlace, body: ExternalBody) -> Response:
    """A new subnet of an external network."""
    session.require(UseCase.MAKE_EXTERNAL, place.space)
    return await do(session, _create(place, lambda: _named(body)), 201)


@router.get("/{external}/subnets/{subnet}", response_model=a.ExternalSubnet)
async def get_subnet(session: SessionDep, place: SubnetPlace) -> Response:
    """One subnet of an external network."""
    session.require(UseCase.VIEW_EXTERNALS, place.space)
    return await show(session, read(place))


@router.patch("/{external}/subnets/{subnet}", response_model=a.ExternalSubnet)
@error_words(m.SUBNET_CHANGE)
async def update_subnet(session: SessionDep, place: SubnetPlace, body: list[PatchBody]) -> Response:
    """Rename, resize or describe an external subnet anew."""
    session.require(UseCase.CHANGE_EXTERNAL, place.space)
    return await do(session, change(place, lambda: _change(body)))


@router.delete("/{external}/subnets/{subnet}", response_class=Response)
@error_words(m.SUBNET_REMOVE)
async def delete_subnet(session: SessionDep, place: SubnetPlace, force: bool = False) -> Response:
    """Remove an external subnet; with `force` with its endpoints."""
    session.require(UseCase.REMOVE_EXTERNAL, place.space)
    return await do_quietly(session, lambda tx, by: externals.remove(tx, by, place.find(tx), force=force))
