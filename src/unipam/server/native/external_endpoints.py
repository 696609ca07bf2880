"""Endpoints of external subnets in the native API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi.responses import Response
from pydantic import Field

from unipam.addr.prefix import BITS, Prefix
from unipam.plan import externals
from unipam.plan.tree import By
from unipam.server.native import external_models as x
from unipam.server.native import models as m
from unipam.server.native.common import Overlaps, Paged, Writing, page, problems, write
from unipam.server.native.external_common import change, made, one, remove, rows, shape
from unipam.server.native.operations import Answer, require_planner
from unipam.server.places import SubnetPlace
from unipam.server.register import Here, Signed
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(
    prefix="/spaces/{space}/blocks/{block}/externals/{external}/subnets/{subnet}/endpoints", tags=["externals"]
)


@router.get("", response_model=m.Page[x.ExternalEndpoint], responses=problems(404))
async def list_endpoints(register: Here, _: Signed, place: SubnetPlace, paging: Paged, overlaps: Overlaps) -> Response:
    """The endpoints of an external subnet, in address order."""

    def work(tx: Tx) -> list[dict[str, Any]]:
        found = place.find_subnet(tx)
        return rows(tx, found, externals.endpoints(tx, found), overlaps)

    return page(await register.desk.read(work), paging, lambda row: str(row["name"]))


@router.post("", status_code=201, response_model=list[x.ExternalEndpoint], responses=problems(404, 409))
async def make_endpoints(
    register: Here,
    caller: Signed,
    terms: Writing,
    place: SubnetPlace,
    body: Annotated[list[x.NewEndpoint], Field(min_length=1, max_length=1000)],
) -> Response:
    """New endpoints, all or none; those with an `ip` are placed first."""
    require_planner(caller, place.space)

    def work(tx: Tx, by: By) -> Answer:
        subnet = place.find_subnet(tx)
        return made(tx, subnet, externals.create_endpoints(tx, by, subnet, [_new(each) for each in body]))

    return await write(register, caller, terms, work)


def _new(body: x.NewEndpoint) -> externals.NewEndpoint:
    return externals.NewEndpoint(body.name, body.desc, None if body.ip is None else externals.parse_ip(body.ip))


@router.get("/{endpoint}", response_model=x.ExternalEndpoint, responses=problems(404))
async def read_endpoint(register: Here, _: Signed, place: SubnetPlace, endpoint: str) -> Response:
    """One endpoint."""
    return one(await register.desk.read(lambda tx: shape(tx, place.find_endpoint(tx, endpoint))))


@router.patch("/{endpoint}", response_model=x.ExternalEndpoint, responses=problems(404, 409, 412))
async def change_endpoint(
    register: Here, caller: Signed, terms: Writing, place: SubnetPlace, endpoint: str, body: x.EndpointChange
) -> Response:
    """Rename, move or describe an endpoint anew."""

    def wanted() -> externals.Change:
        prefix = None if body.ip is None else Prefix(externals.parse_ip(body.ip), BITS)
        return externals.Change(body.name, body.desc, prefix)

    return await change(register, caller, terms, place.space, lambda tx: place.find_endpoint(tx, endpoint), wanted)


@router.delete("/{endpoint}", status_code=204, response_class=Response, responses=problems(404, 412))
async def remove_endpoint(
    register: Here, caller: Signed, terms: Writing, place: SubnetPlace, endpoint: str
) -> Response:
    """Remove an endpoint."""
    return await remove(register, caller, terms, place.space, lambda tx: place.find_endpoint(tx, endpoint))
