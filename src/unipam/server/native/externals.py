"""External networks of the native API, their subnets, and endpoints of those."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response
from pydantic import Field

from unipam.server.native import external_models as x
from unipam.server.native import external_operations as operations
from unipam.server.native import models as m
from unipam.server.native.questions import Searching
from unipam.server.native.requests import Force, Overlaps, Paged, WithUse, Writing, one, page, problems, write
from unipam.server.places import BlockPlace, EndpointPlace, ExternalPlace, SubnetPlace
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router

router = Router(prefix="/spaces/{space}/blocks/{block}/externals", tags=["externals"])

NewOnes = Annotated[list[x.NewExternal], Field(min_length=1, max_length=1000)]
NewEndpoints = Annotated[list[x.NewEndpoint], Field(min_length=1, max_length=1000)]
Count = Annotated[int, Query(ge=1, le=100, description="How many.")]


@router.get("", response_model=m.Page[x.External], responses=problems(404))
async def list_externals(
    session: SessionDep,
    place: BlockPlace,
    paging: Paged,
    overlaps: Overlaps,
    utilisation: WithUse = False,
) -> Response:
    """The external networks of a block, in address order."""
    return page(await session.read(operations.list_inner(place, overlaps, utilisation=utilisation)), paging)


@router.post("", status_code=201, response_model=list[x.External], responses=problems(404, 409))
async def make_externals(session: SessionDep, terms: Writing, place: BlockPlace, body: NewOnes) -> Response:
    """New external networks, all or none; those with a `cidr` are placed first."""
    return await write(session, terms, operations.make(session.caller, place, body))


@router.get("/{external}", response_model=x.External, responses=problems(404))
async def read_external(session: SessionDep, place: ExternalPlace) -> Response:
    """One external network."""
    return one(await session.read(operations.read(place)))


@router.patch("/{external}", response_model=x.External, responses=problems(404, 409, 412))
async def change_external(
    session: SessionDep, terms: Writing, place: ExternalPlace, body: x.ExternalChange
) -> Response:
    """Rename, resize or describe an external network anew."""
    return await write(session, terms, operations.change(session.caller, place, body))


@router.delete("/{external}", status_code=204, response_class=Response, responses=problems(404, 409, 412))
async def remove_external(session: SessionDep, terms: Writing, place: ExternalPlace, force: Force = False) -> Response:
    """Remove an external network."""
    return await write(session, terms, operations.remove(session.caller, place, force=force))


@router.get("/{external}/available", response_model=m.Available, responses=problems(404, 409))
async def what_is_free_in_external(session: SessionDep, place: ExternalPlace, search: Searching) -> Response:
    """The prefixes that subnets of a length would get next, with the reason, and what is free altogether."""
    return reply(await session.read(operations.what_is_free(place, search)))


@router.get("/{external}/utilisation", response_model=m.Utilisation, responses=problems(404))
async def use_of_external(session: SessionDep, place: ExternalPlace) -> Response:
    """How full an external network is: what its subnets take."""
    return reply(await session.read(operations.use(place)))


# ---- subnets


@router.get("/{external}/subnets", response_model=m.Page[x.ExternalSubnet], responses=problems(404))
async def list_subnets(
    session: SessionDep,
    place: ExternalPlace,
    paging: Paged,
    overlaps: Overlaps,
    utilisation: WithUse = False,
) -> Response:
    """The subnets of an external network, in address order."""
    return page(await session.read(operations.list_inner(place, overlaps, utilisation=utilisation)), paging)


@router.post(
    "/{external}/subnets", status_code=201, response_model=list[x.ExternalSubnet], responses=problems(404, 409)
)
async def make_subnets(session: SessionDep, terms: Writing, place: ExternalPlace, body: NewOnes) -> Response:
    """New subnets of an external network, all or none; those with a `cidr` are placed first."""
    return await write(session, terms, operations.make(session.caller, place, body))


@router.get("/{external}/subnets/{subnet}", response_model=x.ExternalSubnet, responses=problems(404))
async def read_subnet(session: SessionDep, place: SubnetPlace) -> Response:
    """One subnet of an external network."""
    return one(await session.read(operations.read(place)))


@router.patch("/{external}/subnets/{subnet}", response_model=x.ExternalSubnet, responses=problems(404, 409, 412))
async def change_subnet(session: SessionDep, terms: Writing, place: SubnetPlace, body: x.ExternalChange) -> Response:
    """Rename, resize or describe an external subnet anew."""
    return await write(session, terms, operations.change(session.caller, place, body))


@router.delete(
    "/{external}/subnets/{subnet}", status_code=204, response_class=Response, responses=problems(404, 409, 412)
)
async def remove_subnet(session: SessionDep, terms: Writing, place: SubnetPlace, force: Force = False) -> Response:
    """Remove an external subnet."""
    return await write(session, terms, operations.remove(session.caller, place, force=force))


@router.get("/{external}/subnets/{subnet}/available", response_model=x.FreeAddresses, responses=problems(404))
async def free_addresses(session: SessionDep, place: SubnetPlace, count: Count = 1) -> Response:
    """The addresses that endpoints would get next, with the reason."""
    return reply(await session.read(operations.free_addresses(place, count)))


@router.get("/{external}/subnets/{subnet}/utilisation", response_model=m.Utilisation, responses=problems(404))
async def use_of_subnet(session: SessionDep, place: SubnetPlace) -> Response:
    """How full an external subnet is: what its endpoints take."""
    return reply(await session.read(operations.use(place)))


# ---- endpoints

_ENDPOINTS = "/{external}/subnets/{subnet}/endpoints"


@router.get(_ENDPOINTS, response_model=m.Page[x.ExternalEndpoint], responses=problems(404))
async def list_endpoints(session: SessionDep, place: SubnetPlace, paging: Paged, overlaps: Overlaps) -> Response:
    """The endpoints of an external subnet, in address order."""
    return page(await session.read(operations.list_inner(place, overlaps)), paging)


@router.post(_ENDPOINTS, status_code=201, response_model=list[x.ExternalEndpoint], responses=problems(404, 409))
async def make_endpoints(session: SessionDep, terms: Writing, place: SubnetPlace, body: NewEndpoints) -> Response:
    """New endpoints, all or none; those with an `ip` are placed first."""
    return await write(session, terms, operations.make(session.caller, place, body))


@router.get(_ENDPOINTS + "/{endpoint}", response_model=x.ExternalEndpoint, responses=problems(404))
async def read_endpoint(session: SessionDep, place: EndpointPlace) -> Response:
    """One endpoint."""
    return one(await session.read(operations.read(place)))


@router.patch(_ENDPOINTS + "/{endpoint}", response_model=x.ExternalEndpoint, responses=problems(404, 409, 412))
async def change_endpoint(
    session: SessionDep, terms: Writing, place: EndpointPlace, body: x.EndpointChange
) -> Response:
    """Rename, move or describe an endpoint anew."""
    return await write(session, terms, operations.change(session.caller, place, body))


@router.delete(_ENDPOINTS + "/{endpoint}", status_code=204, response_class=Response, responses=problems(404, 412))
async def remove_endpoint(session: SessionDep, terms: Writing, place: EndpointPlace) -> Response:
    """Remove an endpoint."""
    return await write(session, terms, operations.remove(session.caller, place))
