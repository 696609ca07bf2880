"""Endpoints of external subnets in the Azure IPAM API (spec azure-ipam-application §2.4); planners only."""

from __future__ import annotations

from typing import Annotated

from fastapi.responses import Response

from unipam.addr.prefix import BITS, Prefix
from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.plan import externals
from unipam.plan.tree import By, in_order
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import MANY, EndpointBody, Names, PatchBody
from unipam.server.azure_ipam.common import empty, patched, require_planner, says
from unipam.server.places import SubnetPlace
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(
    prefix="/spaces/{space}/blocks/{block}/externals/{external}/subnets/{subnet}/endpoints", tags=["external endpoints"]
)

_PATHS = {"/name": "name", "/desc": "desc", "/ip": "ip"}


def _new(body: EndpointBody) -> externals.NewEndpoint:
    return externals.NewEndpoint(body.name, body.desc, None if body.ip is None else externals.parse_ip(body.ip))


@router.get("", response_model=list[a.Endpoint])
@says(m.ENDPOINT_LIST)
async def get_endpoints(register: Here, caller: Signed, place: SubnetPlace) -> Response:
    """The endpoints of an external subnet."""
    require_planner(caller, place.space, m.ADMINS_ONLY)

    def work(tx: Tx) -> list[shapes.Shape]:
        return [shapes.endpoint(each) for each in in_order(externals.endpoints(tx, place.find_subnet(tx)))]

    return reply(await register.desk.read(work))


@router.post("", response_model=a.Endpoint)
@says(m.ENDPOINT_CREATE)
async def create_endpoint(register: Here, caller: Signed, place: SubnetPlace, body: EndpointBody) -> Response:
    """A new endpoint."""
    require_planner(caller, place.space, m.ADMINS_ONLY)

    def work(tx: Tx, by: By) -> shapes.Shape:
        return shapes.endpoint(externals.create_endpoint(tx, by, place.find_subnet(tx), _new(body)))

    return reply(await register.desk.write(work, caller.by()))


@router.put("", response_model=list[a.Endpoint])
@says(m.ENDPOINT_REPLACE)
async def replace_endpoints(
    register: Here, caller: Signed, place: SubnetPlace, body: Annotated[list[EndpointBody], MANY]
) -> Response:
    """The subnet has exactly these endpoints from now on."""
    require_planner(caller, place.space, m.ADMINS_ONLY)

    def work(tx: Tx, by: By) -> list[shapes.Shape]:
        made = externals.replace_endpoints(tx, by, place.find_subnet(tx), [_new(each) for each in body])
        return [shapes.endpoint(each) for each in made]

    return reply(await register.desk.write(work, caller.by()))


@router.delete("", response_class=Response)
@says(m.ENDPOINT_REMOVE_MANY)
async def delete_endpoints(register: Here, caller: Signed, place: SubnetPlace, body: Names) -> Response:
    """Remove endpoints by name."""
    require_planner(caller, place.space, m.ADMINS_ONLY)
    await register.desk.write(
        lambda tx, by: externals.remove_endpoints(tx, by, place.find_subnet(tx), body), caller.by()
    )
    return empty()


@router.get("/{endpoint}", response_model=a.Endpoint)
@says(m.ENDPOINT_GET)
async def get_endpoint(register: Here, caller: Signed, place: SubnetPlace, endpoint: str) -> Response:
    """One endpoint."""
    require_planner(caller, place.space, m.ADMINS_ONLY)
    return reply(await register.desk.read(lambda tx: shapes.endpoint(place.find_endpoint(tx, endpoint))))


@router.patch("/{endpoint}", response_model=a.Endpoint)
@says(m.ENDPOINT_CHANGE)
async def update_endpoint(
    register: Here, caller: Signed, place: SubnetPlace, endpoint: str, body: list[PatchBody]
) -> Response:
    """Rename, move or describe an endpoint anew."""
    require_planner(caller, place.space, m.ADMIN_RESTRICTED)
    new = patched(body, _PATHS)

    def work(tx: Tx, by: By) -> shapes.Shape:
        found = place.find_endpoint(tx, endpoint)
        prefix = Prefix(externals.parse_ip(new["ip"]), BITS) if "ip" in new else None
        change = externals.Change(new.get("name"), new.get("desc"), prefix)
        return shapes.endpoint(externals.change(tx, by, found, change))

    return reply(await register.desk.write(work, caller.by()))


@router.delete("/{endpoint}", response_class=Response)
@says(m.ENDPOINT_REMOVE)
async def delete_endpoint(register: Here, caller: Signed, place: SubnetPlace, endpoint: str) -> Response:
    """Remove one endpoint."""
    require_planner(caller, place.space, m.ADMIN_RESTRICTED)
    await register.desk.write(lambda tx, by: externals.remove(tx, by, place.find_endpoint(tx, endpoint)), caller.by())
    return empty()
