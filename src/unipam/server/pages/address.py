"""The page on one address or prefix: who has it, who had it, why?"""

from __future__ import annotations

from typing import NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.objects import parse_place
from unipam.plan.listing import Row
from unipam.plan.timeline import Holding, Surroundings, at, holdings, surroundings
from unipam.server.pages.page import Head, PageDep
from unipam.server.pages.places import place_of, reserve_place

router = APIRouter(include_in_schema=False)

_WIDTH = 1000


class Bar(NamedTuple):
    """A holding and where its time lies on the line from the first one to now, in thousandths."""

    held: Holding
    start: float
    width: float


@router.get("/addresses/{cidr:path}")
async def address(page: PageDep, cidr: str) -> Response:
    """Show everything about an address."""
    prefix = parse_place(cidr, "address")
    visibility = await page.session.visibility()
    around = await page.read(lambda tx: surroundings(tx, prefix, visibility))
    held = await page.read(lambda tx: holdings(tx, prefix, visibility))
    text = str(prefix).removesuffix("/32").removesuffix("/128")
    head = Head(
        text, "Who has it, who had it, why?", (("/journal", "Journal"),), f"plan explain {prefix}",
        f"/explain?cidr={prefix}", past=True,
    )  # fmt: skip
    return page.render(
        "address.html", head, text=text, prefix=str(prefix), around=around, bars=bars(held, page.moments.now),
        then=None if page.at is None else at(held, page.at), link=link, reserve=reserve,
        verdicts=[verdict(each) for each in around],
    )  # fmt: skip


def link(row: Row) -> str:
    """Return the address of an object's own page."""
    return place_of(row.kind, (*row.path, row.name), row.id)


def reserve(row: Row, cidr: str) -> str:
    """Return where a prefix of a block is reserved."""
    return reserve_place((*row.path, row.name), cidr)


def verdict(around: Surroundings) -> tuple[str, Row | None, bool]:
    """Return, for one space, the innermost object around an address, and whether the address is free in it."""
    inmost = around.around[-1] if around.around else None
    free = inmost is not None and inmost.kind in ("block", "external", "subnet") and not around.within
    return around.space, inmost, free


def bars(held: list[Holding], now: float) -> list[Bar]:
    """Return holdings on one line of time."""
    begin = min((each.since for each in held), default=now)
    whole = max(now - begin, 1.0)
    return [
        Bar(each, _WIDTH * (each.since - begin) / whole, max(4.0, _WIDTH * ((each.until or now) - each.since) / whole))
        for each in held
    ]
