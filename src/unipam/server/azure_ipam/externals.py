"""External networks and subnets in the Azure IPAM API (spec azure-ipam-application §2.4); planners only."""

from __future__ import annotations

from typing import Annotated

from fastapi.responses import Response

from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.model.objects import External, Subnet, parse_cidr
from unipam.plan import externals, tree
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import MANY, ExternalBody, ExternalRowBody, PatchBody
from unipam.server.azure_ipam.common import empty, patched, patched_prefix, require_planner, says
from unipam.server.places import SubnetPlace
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}/blocks/{block}/externals", tags=["external networks"])

PATHS = {"/name": "name", "/desc": "desc", "/cidr": "cidr"}


def _named(body: ExternalBody) -> externals.Named:
    return externals.Named(body.name, body.desc, parse_cidr(body.cidr) if body.cidr else None, body.size or 0)


def _change(operations: list[PatchBody]) -> externals.Change:
    new = patched(operations, PATHS)
    return externals.Change(new.get("name"), new.get("desc"), patched_prefix(new.get("cidr")))


@router.get("", response_model=list[a.External])
async def get_externals(register: Here, caller: Signed, space: str, block: str) -> Response:
    """The external networks of a block."""
    require_planner(caller, space, m.ADMINS_ONLY)

    def work(tx: Tx) -> list[shapes.Shape]:
        found = tree.find_block(tx, tree.find_space(tx, space).id, block)
        return [shapes.external(tx, each) for each in tree.in_order(externals.externals(tx, found))]

    return reply(await register.desk.read(work))


@router.post("", status_code=201, response_model=a.ExternalExpand)
@says(m.EXTERNAL_CREATE)
async def create_external(register: Here, caller: Signed, space: str, block: str, body: ExternalBody) -> Response:
    """A new external network."""
    require_planner(caller, space, m.ADMINS_ONLY)

    def work(tx: Tx, by: tree.By) -> shapes.Shape:
        node = externals.create_external(tx, by, space, block, _named(body))
        return {**_place(tx, space, block), **shapes.external(tx, node)}

    return reply(await register.desk.write(work, caller.by()), 201)


def _place(tx: Tx, space: str, block: str) -> shapes.Shape:
    root = tree.find_space(tx, space)
    return {"space": root.facts.name, "block": tree.find_block(tx, root.id, block).facts.name}


@router.put("", response_model=list[a.External])
@says(m.EXTERNAL_REPLACE)
async def replace_externals(
    register: Here, caller: Signed, space: str, block: str, body: Annotated[list[ExternalRowBody], MANY]
) -> Response:
    """The block has exactly these external networks from now on, as v3.0 and v3.1 of the application had it."""
    require_planner(caller, space, m.ADMINS_ONLY)
    wanted = [externals.Named(each.name, each.desc, parse_cidr(each.cidr)) for each in body]

    def work(tx: Tx, by: tree.By) -> list[shapes.Shape]:
        found = tree.find_block(tx, tree.find_space(tx, space).id, block)
        return [shapes.external(tx, each) for each in externals.replace_externals(tx, by, found, wanted)]

    return reply(await register.desk.write(work, caller.by()))


@router.get("/{external}", response_model=a.External)
async def get_external(register: Here, caller: Signed, space: str, block: str, external: str) -> Response:
    """One external network."""
    require_planner(caller, space, m.ADMINS_ONLY)

    def work(tx: Tx) -> shapes.Shape:
        return shapes.external(tx, externals.find_external(tx, space, block, external))

    return reply(await register.desk.read(work))


@router.patch("/{external}", response_model=a.External)
@says(m.EXTERNAL_CHANGE)
async def update_external(
    register: Here, caller: Signed, space: str, block: str, external: str, body: list[PatchBody]
) -> Response:
    """Rename, resize or describe an external network anew."""
    require_planner(caller, space, m.ADMIN_RESTRICTED)

    def work(tx: Tx, by: tree.By) -> shapes.Shape:
        found = externals.find_external(tx, space, block, external)
        return shapes.external(tx, externals.change(tx, by, found, _change(body)))

    return reply(await register.desk.write(work, caller.by()))


@router.delete("/{external}", response_class=Response)
@says(m.EXTERNAL_REMOVE)
async def delete_external(
    register: Here, caller: Signed, space: str, block: str, external: str, force: bool = False
) -> Response:
    """Remove an external network; with `force` with all it holds."""
    require_planner(caller, space, m.ADMIN_RESTRICTED)

    def work(tx: Tx, by: tree.By) -> None:
        externals.remove(tx, by, externals.find_external(tx, space, block, external), force=force)

    await register.desk.write(work, caller.by())
    return empty()


@router.get("/{external}/subnets", response_model=list[a.ExternalSubnet])
async def get_subnets(register: Here, caller: Signed, space: str, block: str, external: str) -> Response:
    """The subnets of an external network."""
    require_planner(caller, space, m.ADMINS_ONLY)

    def work(tx: Tx) -> list[shapes.Shape]:
        found = externals.find_external(tx, space, block, external)
        return [shapes.subnet(tx, each) for each in tree.in_order(externals.subnets(tx, found))]

    return reply(await register.desk.read(work))


@router.post("/{external}/subnets", status_code=201, response_model=a.ExternalSubnetExpand)
@says(m.SUBNET_CREATE)
async def create_subnet(
    register: Here, caller: Signed, space: str, block: str, external: str, body: ExternalBody
) -> Response:
    """A new subnet of an external network."""
    require_planner(caller, space, m.ADMINS_ONLY)

    def work(tx: Tx, by: tree.By) -> shapes.Shape:
        parent = externals.find_external(tx, space, block, external)
        node: tree.Node[Subnet] = externals.create_subnet(tx, by, parent, _named(body))
        return {**_place(tx, space, block), "external": _name(parent), **shapes.subnet(tx, node)}

    return reply(await register.desk.write(work, caller.by()), 201)


def _name(node: tree.Node[External]) -> str:
    return node.facts.name


@router.get("/{external}/subnets/{subnet}", response_model=a.ExternalSubnet)
async def get_subnet(register: Here, caller: Signed, place: SubnetPlace) -> Response:
    """One subnet of an external network."""
    require_planner(caller, place.space, m.ADMINS_ONLY)

    def work(tx: Tx) -> shapes.Shape:
        return shapes.subnet(tx, place.find_subnet(tx))

    return reply(await register.desk.read(work))


@router.patch("/{external}/subnets/{subnet}", response_model=a.ExternalSubnet)
@says(m.SUBNET_CHANGE)
async def update_subnet(register: Here, caller: Signed, place: SubnetPlace, body: list[PatchBody]) -> Response:
    """Rename, resize or describe an external subnet anew."""
    require_planner(caller, place.space, m.ADMIN_RESTRICTED)

    def work(tx: Tx, by: tree.By) -> shapes.Shape:
        found = place.find_subnet(tx)
        return shapes.subnet(tx, externals.change(tx, by, found, _change(body)))

    return reply(await register.desk.write(work, caller.by()))


@router.delete("/{external}/subnets/{subnet}", response_class=Response)
@says(m.SUBNET_REMOVE)
async def delete_subnet(register: Here, caller: Signed, place: SubnetPlace, force: bool = False) -> Response:
    """Remove an external subnet; with `force` with its endpoints."""
    require_planner(caller, place.space, m.ADMIN_RESTRICTED)

    def work(tx: Tx, by: tree.By) -> None:
        externals.remove(tx, by, place.find_subnet(tx), force=force)

    await register.desk.write(work, caller.by())
    return empty()
