"""The page of what has an address in Azure, across networks: machines, gateways, private endpoints and orphans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.cloud import Endpoint, Snapshot
from unipam.model.errors import BadValue, Missing
from unipam.plan.cloud.endpoints import is_orphaned, is_wanted
from unipam.plan.parts import Paging, part_of
from unipam.server.looking import seen_of
from unipam.server.pages.browser import with_query
from unipam.server.pages.export import export
from unipam.server.pages.page import Head, Page, PageDep
from unipam.server.pages.places import network_place
from unipam.server.pages.shell import command

router = APIRouter(include_in_schema=False)

COLUMNS = ("private_ip", "name", "kind", "orphaned", "vnet_name", "subnet_name", "resource_group", "subscription_name",
           "subscription", "public_ip", "size", "id")  # fmt: skip
LABELS = {
    "size": "Size", "sku": "Size", "type": "Type", "group_id": "Private endpoint for", "public_ip": "Public address",
    "private_ip_alloc_method": "Address chosen", "public_ip_alloc_method": "Public address chosen",
    "vmss_name": "Scale set", "vmss_vm_num": "Instance", "vnet_type": "In the network", "nic_id": "Network interface",
    "pe_id": "Private endpoint", "public_ip_id": "Public address's id", "vmss_id": "Scale set's id",
}  # fmt: skip
"""What Azure tells of endpoints besides their place: as the Azure IPAM application names it (spec §2.7), in words."""
SORTS = (("name", "name"), ("private_ip", "address"), ("kind", "kind"), ("vnet_name", "network"))
_ORPHANED = {"yes": True, "no": False}
_PAGE = 50
_ABOVE = (("/networks", "Networks & drift"), ("/networks/endpoints", "Endpoints"))


@router.get("/networks/endpoints")
async def endpoints(page: PageDep) -> Response:
    """What has an address in Azure, and what was left behind?"""
    snapshot = await seen_of(page.session)
    rows = list(_rows(page, snapshot))
    if page.wanted_format:
        return export(rows, COLUMNS, "cloud-endpoints", page.wanted_format)
    part = part_of(rows, Paging(_PAGE, page.query("after"), "", page.query("sort") or "name"), "number")
    head = Head(
        "Endpoints", "What has an address in Azure, and what was left behind?", _ABOVE[:1],
        _command(page), _api(page), exports=True,
        seen=snapshot.taken, listing="endpoints",
    )  # fmt: skip
    return page.render(
        "endpoints.html", head, rows=part["items"], part=part, sorts=SORTS, seen=snapshot.taken,
        sort=page.query("sort") or "name", network_place=network_place, endpoint_place=endpoint_place,
    )  # fmt: skip


def _command(page: Page) -> str:
    which = {True: "--orphaned", False: "--attached", None: ""}[_ORPHANED.get(page.query("orphaned"))]
    return command("network", "cloud", "endpoints", which, search=page.query("q"), sort=_sort(page))


def _api(page: Page) -> str:
    orphaned = {True: "true", False: "false", None: ""}[_ORPHANED.get(page.query("orphaned"))]
    return with_query("/cloud/endpoints", {"q": page.query("q"), "orphaned": orphaned, "sort": _sort(page)})


def _sort(page: Page) -> str:
    """Return the member to sort by, where the API can: what an endpoint is, this page makes of two members."""
    return "" if page.query("sort") == "kind" else page.query("sort")


def _rows(page: Page, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Yield what was asked for; `number` tells them apart, since one resource may have several addresses."""
    names = {each.id.lower(): each.name for each in snapshot.subscriptions}
    for number, each in enumerate(snapshot.endpoints):
        if is_wanted(each, page.query("q"), _ORPHANED.get(page.query("orphaned"))):
            yield {
                **each._asdict(), "number": str(number), "kind": str(each.metadata.get("kind") or each.source),
                "orphaned": is_orphaned(each), "subscription_name": names.get(each.subscription.lower(), ""),
                "public_ip": _text(each.metadata.get("public_ip")), "size": _text(each.metadata.get("size")),
            }  # fmt: skip


def _text(value: Any) -> str:
    """Write what Azure tells: texts, numbers, lists of them, or nothing."""
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value))
    return "" if value is None else str(value)


@router.get("/networks/endpoint")
async def endpoint(page: PageDep) -> Response:
    """All that Azure tells of one endpoint: by its resource id, and its address where it has several."""
    number, address = page.query("id"), page.query("address")
    if not number:
        raise BadValue("id: the resource id of an endpoint is missing", field="id")
    snapshot = await seen_of(page.session)
    found = [each for each in snapshot.endpoints if each.id.lower() == number.lower()]
    chosen = next((each for each in found if each.private_ip == (address or None)), found[0] if found else None)
    if chosen is None:
        raise Missing(f"there is no endpoint {number!r}, or you may not know of it", kind="endpoint")
    names = {each.id.lower(): each.name for each in snapshot.subscriptions}
    line = command("network", "cloud", "endpoints", search=chosen.name)
    api = with_query("/cloud/endpoints", {"q": chosen.name})
    head = Head(chosen.name, "All about this endpoint", _ABOVE, line, api, seen=snapshot.taken)
    return page.render(
        "endpoint.html", head, it=chosen, orphaned=is_orphaned(chosen), told=list(told(chosen)),
        others=[each for each in found if each is not chosen], network_place=network_place,
        endpoint_place=endpoint_place, kind=_text(chosen.metadata.get("kind") or chosen.source),
        subscription=names.get(chosen.subscription.lower(), chosen.subscription),
    )  # fmt: skip


def told(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Yield what Azure tells of an endpoint besides its place: in words, and the value."""
    for name, label in LABELS.items():
        value = _text(endpoint.metadata.get(name))
        if value:
            yield label, value


def endpoint_place(resource_id: str, address: str | None) -> str:
    """Return the address of an endpoint's page."""
    return with_query("/networks/endpoint", {"id": resource_id, "address": address})
