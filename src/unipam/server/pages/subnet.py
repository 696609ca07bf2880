"""The page of one subnet of a network of the cloud: its addresses one by one, as far as Azure tells of them."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.addr.prefix import Prefix
from unipam.model.cloud import CloudNetwork, CloudSubnet, Endpoint, Snapshot
from unipam.model.errors import BadValue, Missing
from unipam.plan.cloud.endpoints import address_of, is_orphaned
from unipam.server.looking import seen_of
from unipam.server.pages import cells
from unipam.server.pages.browser import with_query
from unipam.server.pages.cells import KEPT, USED, Cell
from unipam.server.pages.endpoints import endpoint_place
from unipam.server.pages.page import Head, PageDep
from unipam.server.pages.places import network_place, subnet_place
from unipam.server.pages.shell import command

router = APIRouter(include_in_schema=False)

_LISTED = 60
_OWN = 4
"""Addresses at the beginning of a subnet that are Azure's, and one at its end (learn.microsoft.com, "Virtual Network
FAQ": network address, gateway, two for DNS, broadcast)."""


@router.get("/networks/subnet")
async def subnet_page(page: PageDep) -> Response:
    """Which addresses of a subnet are used, and by what?"""
    snapshot = await seen_of(page.session)
    network, subnet = _find(snapshot, page.query("id"), page.query("name"))
    prefix = next((each for each in subnet.prefixes if str(each) == page.query("prefix")), subnet.prefixes[0])
    inside = (
        (address.first, each)
        for each in snapshot.endpoints
        if (address := address_of(each)) is not None and prefix.contains(address) and _is_in(each, network)
    )
    found = sorted(inside, key=lambda each: (each[0], each[1].id))
    head = Head(
        subnet.name, "Which addresses are used, and by what?",
        (("/networks", "Networks & drift"), (network_place(network.id), network.name)),
        command("network", "cloud", "endpoints", search=str(prefix)),
        with_query("/cloud/endpoints", {"q": str(prefix)}),
        seen=snapshot.taken,
    )  # fmt: skip
    return page.render(
        "subnet.html", head, network=network, subnet=subnet, prefix=prefix,
        sheet=cells.sheet(prefix, dict(_known(prefix, found)), page.query("part")),
        found=found[:_LISTED], untold=max(0, len(found) - _LISTED), seen_here=len(found), orphaned=is_orphaned,
        endpoint_place=endpoint_place, network_place=network_place, place=lambda each: subnet_place(
            network.id, subnet.name, str(each)),
    )  # fmt: skip


def _find(snapshot: Snapshot, number: str, name: str) -> tuple[CloudNetwork, CloudSubnet]:
    if not number or not name:
        raise BadValue("id and name: the resource id of a network, and the name of its subnet", field="id")
    network = snapshot.network(number)
    subnet = next((each for each in network.subnets if each.name.lower() == name.lower()), None) if network else None
    if network is None or subnet is None or not subnet.prefixes:
        raise Missing(f"there is no subnet {name!r} of {number!r}, or you may not know of it", kind="subnet")
    return network, subnet


def _is_in(endpoint: Endpoint, network: CloudNetwork) -> bool:
    return (endpoint.vnet_id or "").lower() == network.id.lower()


def _known(prefix: Prefix, found: list[tuple[int, Endpoint]]) -> list[tuple[int, Cell]]:
    """Return what is known of single addresses: Azure's own, and those that endpoints have."""
    own = (*range(prefix.first, prefix.first + _OWN), *([prefix.last] if prefix.family == 4 else []))
    kept = [(address, Cell(KEPT, "Azure's own")) for address in own if address <= prefix.last]
    return [*kept, *((address, Cell(USED, each.name)) for address, each in found)]
