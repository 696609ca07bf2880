"""The page on how the register does."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.server.pages.page import Head, PageDep
from unipam.server.status import status_of

router = APIRouter(include_in_schema=False)


@router.get("/status")
async def status(page: PageDep) -> Response:
    """Is the register healthy?"""
    found = await status_of(page.register)
    head = Head("Status", "Is the register healthy?", api="/status", seen=found.cloud_seen_on or 0.0)
    return page.render("status.html", head, status=found)
