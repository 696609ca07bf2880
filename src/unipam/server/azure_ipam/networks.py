"""Networks of a block in the Azure IPAM API (spec azure-ipam-application §2.3)."""

from __future__ import annotations

from fastapi.responses import Response

from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.plan import networks, tree
from unipam.plan.permissions import UseCase, Visibility
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import Names, NetworkBody
from unipam.server.azure_ipam.replies import do, do_quietly, error_words, show
from unipam.server.register import SessionDep
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}/blocks/{block}/networks", tags=["networks"])


@router.get("", response_model=list[a.VNet] | list[a.NetworkExpand])
async def get_networks(session: SessionDep, space: str, block: str, expand: bool = False) -> Response:
    """The networks of a block."""
    session.require(UseCase.VIEW_NETWORKS, space)
    view = shapes.View(Visibility(session.caller), expand, snapshot=await session.register.last_snapshot())

    def work(tx: Tx) -> list[shapes.Shape]:
        rows = networks.associated(tx, tree.find_block(tx, tree.find_space(tx, space).id, block))
        return [shapes.expanded(each, view) if expand else shapes.vnet(each) for each in rows]

    return await show(session, work)


@router.post("", status_code=201, response_model=a.Block)
@error_words(m.NETWORK_ADD)
async def create_network(session: SessionDep, space: str, block: str, body: NetworkBody) -> Response:
    """Associate a network with a block."""
    session.require(UseCase.ASSOCIATE_NETWORK, space)
    snapshot = await session.register.reach(session.caller, [body.id])

    def work(tx: Tx, by: tree.Author) -> shapes.Shape:
        tree.find_block(tx, tree.find_space(tx, space).id, block)
        network = networks.find_network(snapshot, body.id)
        return shapes.block(
            tx, networks.associate(tx, by, space, block, network), shapes.View(Visibility(session.caller))
        )

    return await do(session, work, 201)


@router.put("", response_model=list[a.VNet])
@error_words(m.NETWORK_REPLACE)
async def replace_networks(session: SessionDep, space: str, block: str, body: Names) -> Response:
    """The block has exactly these networks from now on."""
    session.require(UseCase.ASSOCIATE_NETWORK, space)
    snapshot = await session.register.reach(session.caller, body)
    return await do(
        session,
        lambda tx, by: [shapes.vnet(each) for each in networks.replace(tx, by, space, block, body, snapshot)],
    )


@router.delete("", response_class=Response)
@error_words(m.NETWORK_REMOVE)
async def delete_networks(session: SessionDep, space: str, block: str, body: Names) -> Response:
    """Dissociate networks from a block."""
    session.require(UseCase.DISSOCIATE_NETWORK, space)
    return await do_quietly(session, lambda tx, by: networks.dissociate(tx, by, space, block, body))
