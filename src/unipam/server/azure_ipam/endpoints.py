"""Endpoints of external subnets in the Azure IPAM API (spec azure-ipam-application §2.4); planners only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi.responses import Response

from unipam.addr.prefix import BITS, Prefix
from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.plan import externals
from unipam.plan.permissions import UseCase
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import MANY, EndpointBody, Names, PatchBody
from unipam.server.azure_ipam.externals import change, list_inner, read, shown
from unipam.server.azure_ipam.replies import do, do_quietly, error_words, patched, show
from unipam.server.places import EndpointPlace, SubnetPlace
from unipam.server.register import SessionDep
from unipam.server.routing import Router

router = Router(
    prefix="/spaces/{space}/blocks/{block}/externals/{external}/subnets/{subnet}/endpoints", tags=["external endpoints"]
)

_PATHS = {"/name": "name", "/desc": "desc", "/ip": "ip"}


def _new(body: EndpointBody) -> externals.NewEndpoint:
    return externals.NewEndpoint(body.name, body.desc, None if body.ip is None else externals.parse_ip(body.ip))


def _change(new: Mapping[str, str]) -> externals.Change:
    prefix = Prefix(externals.parse_ip(new["ip"]), BITS) if "ip" in new else None
    return externals.Change(new.get("name"), new.get("desc"), prefix)


@router.get("", response_model=list[a.Endpoint])
@error_words(m.ENDPOINT_LIST)
async def get_endpoints(session: SessionDep, place: SubnetPlace) -> Response:
    """The endpoints of an external subnet."""
    session.require(UseCase.VIEW_EXTERNALS, place.space)
    return await show(session, list_inner(place))


@router.post("", response_model=a.Endpoint)
@error_words(m.ENDPOINT_CREATE)
async def create_endpoint(session: SessionDep, place: SubnetPlace, body: EndpointBody) -> Response:
    """A new endpoint."""
    session.require(UseCase.MAKE_EXTERNAL, place.space)
    return await do(
        session,
        lambda tx, by: shapes.external(tx, externals.create(tx, by, place.find(tx), _new(body))),
    )


@router.put("", response_model=list[a.Endpoint])
@error_words(m.ENDPOINT_REPLACE)
async def replace_endpoints(
    session: SessionDep, place: SubnetPlace, body: Annotated[list[EndpointBody], MANY]
) -> Response:
    """The subnet has exactly these endpoints from now on."""
    session.require(UseCase.MAKE_EXTERNAL, place.space)
    return await do(
        session,
        lambda tx, by: shown(tx, externals.replace_endpoints(tx, by, place.find(tx), list(map(_new, body)))),
    )


@router.delete("", response_class=Response)
@error_words(m.ENDPOINT_REMOVE_MANY)
async def delete_endpoints(session: SessionDep, place: SubnetPlace, body: Names) -> Response:
    """Remove endpoints by name."""
    session.require(UseCase.REMOVE_EXTERNAL, place.space)
    return await do_quietly(session, lambda tx, by: externals.remove_endpoints(tx, by, place.find(tx), body))


@router.get("/{endpoint}", response_model=a.Endpoint)
@error_words(m.ENDPOINT_GET)
async def get_endpoint(session: SessionDep, place: EndpointPlace) -> Response:
    """One endpoint."""
    session.require(UseCase.VIEW_EXTERNALS, place.space)
    return await show(session, read(place))


@router.patch("/{endpoint}", response_model=a.Endpoint)
@error_words(m.ENDPOINT_CHANGE)
async def update_endpoint(session: SessionDep, place: EndpointPlace, body: list[PatchBody]) -> Response:
    """Rename, move or describe an endpoint anew."""
    session.require(UseCase.CHANGE_EXTERNAL, place.space)
    new = patched(body, _PATHS)
    return await do(session, change(place, lambda: _change(new)))


@router.delete("/{endpoint}", response_class=Response)
@error_words(m.ENDPOINT_REMOVE)
async def delete_endpoint(session: SessionDep, place: EndpointPlace) -> Response:
    """Remove one endpoint."""
    session.require(UseCase.REMOVE_EXTERNAL, place.space)
    return await do_quietly(session, lambda tx, by: externals.remove(tx, by, place.find(tx)))
