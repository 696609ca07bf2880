"""The page of what has an address in Azure, across networks: machines, gateways, private endpoints and orphans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.cloud import Snapshot
from unipam.plan.cloud.endpoints import is_orphaned, is_wanted
from unipam.plan.parts import Paging, part_of
from unipam.server.looking import seen_of
from unipam.server.pages.browser import with_query
from unipam.server.pages.export import export
from unipam.server.pages.page import Head, Page, PageDep
from unipam.server.pages.places import network_place

router = APIRouter(include_in_schema=False)

COLUMNS = ("private_ip", "name", "kind", "orphaned", "vnet_name", "subnet_name", "resource_group", "subscription_name",
           "subscription", "id")  # fmt: skip
SORTS = (("name", "name"), ("private_ip", "address"), ("kind", "kind"), ("vnet_name", "network"))
_PAGE = 80


@router.get("/networks/endpoints")
async def endpoints(page: PageDep) -> Response:
    """What has an address in Azure, and what was left behind?"""
    snapshot = await seen_of(page.session)
    rows = list(_rows(page, snapshot))
    if page.wanted_format:
        return export(rows, COLUMNS, "cloud-endpoints", page.wanted_format)
    part = part_of(rows, Paging(_PAGE, page.query("after"), "", page.query("sort") or "name"), "number")
    head = Head(
        "Endpoints", "What has an address in Azure, and what was left behind?", (("/networks", "Networks & drift"),),
        "network cloud endpoints", with_query("/cloud/endpoints", {"q": page.query("q")}), exports=True,
        seen=snapshot.taken,
    )  # fmt: skip
    return page.render(
        "endpoints.html", head, rows=part["items"], part=part, sorts=SORTS, seen=snapshot.taken,
        sort=page.query("sort") or "name", network_place=network_place,
    )  # fmt: skip


def _rows(page: Page, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Yield what was asked for; `number` tells them apart, since one resource may have several addresses."""
    names = {each.id.lower(): each.name for each in snapshot.subscriptions}
    for number, each in enumerate(snapshot.endpoints):
        if is_wanted(each, page.query("q"), page.query("orphaned")):
            yield {
                **each._asdict(), "number": str(number), "kind": str(each.metadata.get("kind") or each.source),
                "orphaned": is_orphaned(each), "subscription_name": names.get(each.subscription.lower(), ""),
            }  # fmt: skip
