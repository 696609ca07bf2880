"""Networks of a block in the Azure IPAM API (spec azure-ipam-application §2.3)."""

from __future__ import annotations

from fastapi.responses import Response

from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.plan import networks, tree
from unipam.plan.access.callers import Sight
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import Names, NetworkBody
from unipam.server.azure_ipam.common import empty, require_planner, says
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}/blocks/{block}/networks", tags=["networks"])


@router.get("", response_model=list[a.VNet] | list[a.NetworkExpand])
async def get_networks(register: Here, caller: Signed, space: str, block: str, expand: bool = False) -> Response:
    """The networks of a block."""
    require_planner(caller, space, m.ADMINS_ONLY)
    view = shapes.View(Sight(caller), expand, snapshot=await register.last_snapshot())

    def work(tx: Tx) -> list[shapes.Shape]:
        rows = networks.associated(tx, tree.find_block(tx, tree.find_space(tx, space).id, block))
        return [shapes.expanded(each, view) if expand else shapes.vnet(each) for each in rows]

    return reply(await register.desk.read(work))


@router.post("", status_code=201, response_model=a.Block)
@says(m.NETWORK_ADD)
async def create_network(register: Here, caller: Signed, space: str, block: str, body: NetworkBody) -> Response:
    """Associate a network with a block."""
    require_planner(caller, space, m.ADMINS_ONLY)
    snapshot = await register.reach(caller, [body.id])

    def work(tx: Tx, by: tree.By) -> shapes.Shape:
        tree.find_block(tx, tree.find_space(tx, space).id, block)
        network = networks.find_network(snapshot, body.id)
        return shapes.block(tx, networks.associate(tx, by, space, block, network), shapes.View(Sight(caller)))

    return reply(await register.desk.write(work, caller.by()), 201)


@router.put("", response_model=list[a.VNet])
@says(m.NETWORK_REPLACE)
async def replace_networks(register: Here, caller: Signed, space: str, block: str, body: Names) -> Response:
    """The block has exactly these networks from now on."""
    require_planner(caller, space, m.ADMINS_ONLY)
    snapshot = await register.reach(caller, body)

    def work(tx: Tx, by: tree.By) -> list[shapes.Shape]:
        return [shapes.vnet(each) for each in networks.replace(tx, by, space, block, body, snapshot)]

    return reply(await register.desk.write(work, caller.by()))


@router.delete("", response_class=Response)
@says(m.NETWORK_REMOVE)
async def delete_networks(register: Here, caller: Signed, space: str, block: str, body: Names) -> Response:
    """Dissociate networks from a block."""
    require_planner(caller, space, m.ADMINS_ONLY)
    await register.desk.write(lambda tx, by: networks.dissociate(tx, by, space, block, body), caller.by())
    return empty()
