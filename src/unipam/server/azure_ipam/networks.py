"""Networks of a block in the Azure IPAM API (spec azure-ipam-application §2.3)."""

from __future__ import annotations

from fastapi.responses import Response

from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.plan import networks, tree
from unipam.plan.permissions import UseCase, Visibility, require
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import Names, NetworkBody
from unipam.server.azure_ipam.common import do, do_quietly, says, show
from unipam.server.register import CallerDep, RegisterDep
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}/blocks/{block}/networks", tags=["networks"])


@router.get("", response_model=list[a.VNet] | list[a.NetworkExpand])
async def get_networks(
    register: RegisterDep, caller: CallerDep, space: str, block: str, expand: bool = False
) -> Response:
    """The networks of a block."""
    require(caller, UseCase.VIEW_NETWORKS, space)
    view = shapes.View(Visibility(caller), expand, snapshot=await register.last_snapshot())

    def work(tx: Tx) -> list[shapes.Shape]:
        rows = networks.associated(tx, tree.find_block(tx, tree.find_space(tx, space).id, block))
        return [shapes.expanded(each, view) if expand else shapes.vnet(each) for each in rows]

    return await show(register, work)


@router.post("", status_code=201, response_model=a.Block)
@says(m.NETWORK_ADD)
async def create_network(
    register: RegisterDep, caller: CallerDep, space: str, block: str, body: NetworkBody
) -> Response:
    """Associate a network with a block."""
    require(caller, UseCase.ASSOCIATE_NETWORK, space)
    snapshot = await register.reach(caller, [body.id])

    def work(tx: Tx, by: tree.Author) -> shapes.Shape:
        tree.find_block(tx, tree.find_space(tx, space).id, block)
        network = networks.find_network(snapshot, body.id)
        return shapes.block(tx, networks.associate(tx, by, space, block, network), shapes.View(Visibility(caller)))

    return await do(register, caller, work, 201)


@router.put("", response_model=list[a.VNet])
@says(m.NETWORK_REPLACE)
async def replace_networks(register: RegisterDep, caller: CallerDep, space: str, block: str, body: Names) -> Response:
    """The block has exactly these networks from now on."""
    require(caller, UseCase.ASSOCIATE_NETWORK, space)
    snapshot = await register.reach(caller, body)
    return await do(
        register,
        caller,
        lambda tx, by: [shapes.vnet(each) for each in networks.replace(tx, by, space, block, body, snapshot)],
    )


@router.delete("", response_class=Response)
@says(m.NETWORK_REMOVE)
async def delete_networks(register: RegisterDep, caller: CallerDep, space: str, block: str, body: Names) -> Response:
    """Dissociate networks from a block."""
    require(caller, UseCase.DISSOCIATE_NETWORK, space)
    return await do_quietly(register, caller, lambda tx, by: networks.dissociate(tx, by, space, block, body))
