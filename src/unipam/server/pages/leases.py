"""The page of the leases of the node beside the register: who has an address within its pools, since when?"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.ledger.reads import Lease, PoolUse, is_of
from unipam.model.errors import Missing
from unipam.model.records import COOLING, HELD
from unipam.plan.parts import Paging, part_of
from unipam.plan.permissions import UseCase
from unipam.server.node import has, node_of
from unipam.server.pages.browser import with_query
from unipam.server.pages.export import export
from unipam.server.pages.page import Head, Page, PageDep
from unipam.server.pages.shell import command

router = APIRouter(include_in_schema=False)

STATES = (("", "held or cooling"), (HELD, "held"), (COOLING, "cooling"))
SORTS = (("", "network and address"), ("-since", "newest first"), ("since", "oldest first"), ("pod", "pod"))
_NAMES = ("network", "namespace", "state")
_PAGE = 100


@router.get("/leases")
async def leases(page: PageDep) -> Response:
    """Who has an address, since when?"""
    refused = page.may(UseCase.SEE_LEASES)
    asked = {name: page.query(name) for name in (*_NAMES, "q", "sort")}
    found, pools, without = ([], [], "") if refused else await _read(page)
    head = Head(
        "Leases", "Who has an address of this node, and since when?", command=_command(page, asked),
        api=with_query("/leases", asked), exports=not refused, listing="leases" if found else "",
    )  # fmt: skip
    rows = [row for row in map(Lease._asdict, found) if _wanted(row, asked)]
    if page.wanted_format:
        return export(rows, Lease._fields, "leases", page.wanted_format)
    part = part_of(rows, Paging(_PAGE, page.query("after"), "", asked["sort"]), "generation")
    return page.render(
        "leases.html", head, rows=part["items"], part=part, pools=pools, asked=asked, states=STATES, sorts=SORTS,
        refused=refused, without=without, there=bool(found),
        networks=[("", "every network"), *((name, name) for name in sorted({pool.network for pool in pools}))],
    )  # fmt: skip


async def _read(page: Page) -> tuple[list[Lease], list[PoolUse], str]:
    """Return the leases and the pools, or why there are none to read."""
    try:
        node = node_of(page.register.node)
        return await node.leases(), await node.pools(), ""
    except Missing as error:
        return [], [], "none" if page.register.node is None else error.message


def _wanted(row: dict[str, Any], asked: dict[str, str]) -> bool:
    return is_of(row, pod="", **{name: asked[name] for name in _NAMES}) and has(row, asked["q"])


def _command(page: Page, asked: dict[str, str]) -> str:
    """Return the command that lists the same on this machine; it looks for no text."""
    node = page.register.node
    if asked["q"] or node is None:
        return ""
    return command("lease", "list", **{name: asked[name] for name in _NAMES}, data_dir=node.directory)
