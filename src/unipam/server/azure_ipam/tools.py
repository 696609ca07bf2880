"""The tools of the Azure IPAM API (spec azure-ipam-application §2.6): what would be next, and what overlaps."""

from __future__ import annotations

from fastapi.responses import Response

from unipam.addr.prefix import Prefix
from unipam.addr.ranges import RangeSet
from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.model.cloud import CloudNetwork, subscription_of
from unipam.model.errors import BadValue, Exhausted, Missing
from unipam.model.objects import Block, choose, length_in, parse_cidr
from unipam.plan import tree
from unipam.plan.free import FreeSpace, next_free
from unipam.plan.networks import containers
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import CidrCheckBody, NextNetworkBody, NextSubnetBody
from unipam.server.azure_ipam.replies import error_words, show
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/tools", tags=["tools"])


@router.post("/nextAvailableVNet", response_model=a.NextNetwork)
@error_words(m.RESERVE_IN_SPACE)
async def next_available_vnet(session: SessionDep, body: NextNetworkBody) -> Response:
    """The prefix that a network of this size would get; nothing is kept."""
    how = {"reverse": bool(body.reverse_search), "smallest": bool(body.smallest_cidr)}

    def work(tx: Tx) -> shapes.Shape:
        root = tree.find_space(tx, body.space)
        blocks = _find_blocks(tx, root.id, body.blocks)
        for block in blocks:
            prefix = next_free(FreeSpace(tx), block, body.size, **how)
            if prefix is not None:
                return {"space": root.facts.name, "block": block.facts.name, "cidr": str(prefix)}
        raise Exhausted(f"no free /{body.size} in these blocks", blocks=body.blocks)

    return await show(session, work)


def _find_blocks(tx: Tx, space: int, names: list[str]) -> list[tree.Node[Block]]:
    found, unknown = [], []
    for name in names:
        try:
            found.append(tree.find_block(tx, space, name))
        except Missing:
            unknown.append(name)
    if unknown:
        raise Missing(f"no such blocks: {unknown}", kind="block", value=unknown)
    return found


@router.post("/nextAvailableSubnet", response_model=a.NextSubnet)
@error_words({Exhausted: m.Say(409, "Subnet of requested size unavailable in target virtual network.")})
async def next_available_subnet(session: SessionDep, body: NextSubnetBody) -> Response:
    """The prefix that a subnet of this size would get in a network that the caller may see."""
    if not subscription_of(body.vnet_id) or "/virtualnetworks/" not in body.vnet_id.lower():
        raise BadValue("Invalid Virtual Network ID.", field="vnet_id", value=body.vnet_id)
    network = (await session.register.visible(session.caller)).network(body.vnet_id)
    if network is None:
        raise Missing("Virtual Network not found.", kind="vnet", value=body.vnet_id)
    prefix = _next_subnet(network, body)
    return reply(
        {
            "vnet_name": network.name,
            "resource_group": network.resource_group,
            "subscription_id": network.subscription,
            "cidr": str(prefix),
        }
    )


def _next_subnet(network: CloudNetwork, body: NextSubnetBody) -> Prefix:
    taken = RangeSet((p.first, p.last) for subnet in network.subnets for p in subnet.prefixes)
    for prefix in network.prefixes:
        try:
            length = length_in(prefix, body.size)
        except (Exhausted, BadValue):  # a size of the other family, or larger than this prefix
            continue
        free = taken.gaps(prefix.first, prefix.last)
        found = choose(free, length, reverse=bool(body.reverse_search), smallest=bool(body.smallest_cidr))
        if found is not None:
            return found
    raise Exhausted(f"no free /{body.size} in {network.name}", size=body.size)


@router.post("/cidrCheck", response_model=list[a.Overlapping])
@error_words({BadValue: m.Say(400, "Invalid CIDR range.")})
async def cidr_check(session: SessionDep, body: CidrCheckBody) -> Response:
    """The networks that the caller may see and that overlap a prefix, with the blocks they are in."""
    wanted = parse_cidr(body.cidr)
    shown = (await session.register.shown(session.caller)).networks.values()

    def work(tx: Tx) -> list[shapes.Shape]:
        return [_overlapping(tx, n, hit) for n in shown if (hit := [p for p in n.prefixes if p.overlaps(wanted)])]

    return await show(session, work)


def _overlapping(tx: Tx, network: CloudNetwork, prefixes: list[Prefix]) -> shapes.Shape:
    inside = [{"space": space, "block": block} for space, block in containers(tx, network.id)]
    return {**shapes.network_expand(network, prefixes), "containers": inside}
