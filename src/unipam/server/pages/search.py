"""The answers of the search field that every page has, and the page with the same answers."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.plan.listing import Row
from unipam.plan.search import search
from unipam.server.pages.browser import with_query
from unipam.server.pages.page import Head, PageDep
from unipam.server.pages.places import place_of
from unipam.server.pages.shell import command

router = APIRouter(include_in_schema=False)

LONGEST = 200
NAMES = {
    "space": "Spaces", "block": "Blocks", "reservation": "Reservations", "network": "Networks",
    "external": "External networks", "subnet": "External subnets", "endpoint": "External endpoints",
}  # fmt: skip


@router.get("/search")
async def answers(page: PageDep) -> Response:
    """Show what the text may mean, in groups."""
    text = page.query("q")[:LONGEST]
    visibility = await page.session.visibility()
    found = await page.read(lambda tx: search(tx, text, visibility))
    head = Head("Search")
    if text:
        line, api = command("plan", "search", text), with_query("/search", {"q": text})
        head = Head("Search", f"What is called “{text}”?", command=line, api=api)
    template = "search-part.html" if page.is_part else "search.html"
    return page.render(template, head, found=found, text=text, names=NAMES, link=link)


def link(row: Row) -> str:
    """Return the address of what was found."""
    return place_of(row.kind, (*row.path, row.name), row.id)
