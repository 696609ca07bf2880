"""The page on who changed what, when and why."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.errors import BadValue
from unipam.model.objects import parse_place
from unipam.plan.journal import Wanted, lines
from unipam.plan.permissions import Visibility
from unipam.server.pages.browser import with_query
from unipam.server.pages.export import export
from unipam.server.pages.page import Head, Page, PageDep
from unipam.server.pages.shell import command

router = APIRouter(include_in_schema=False)

ROWS = 100
_CHUNK = 1000
COLUMNS = ("number", "at", "verb", "kind", "name", "where", "cidr", "actor", "reason", "changes", "details")
VERBS = (
    "create", "change", "remove", "settle", "vanish", "sign-in", "sign-out", "create-token", "revoke-token",
    "create-grant", "revoke-grant", "add-admin", "remove-admin", "exclude", "include",
)  # fmt: skip


@router.get("/journal")
async def journal(page: PageDep) -> Response:
    """Show the journal as far as the filter lets it through, the latest first."""
    wanted, visibility = wanted_of(page), await page.session.visibility()
    if page.wanted_format:
        rows = _all(page, visibility, wanted)
        return export(rows, COLUMNS, "journal", page.wanted_format)
    after = page.query("after")
    part = await page.read(lambda tx: lines(tx, visibility, wanted, after, ROWS))
    head = Head("Journal", "Who changed what, when and why?", command=command("plan", "journal", **_asked(wanted)),
                api=with_query("/journal", _asked(wanted)), exports=True)  # fmt: skip
    return page.render("journal.html", head, part=part, verbs=VERBS)


def wanted_of(page: Page) -> Wanted:
    """Return the filter that the query holds. Raises BadValue."""
    under = page.query("under")
    return Wanted(
        _moment(page, "from"), _moment(page, "to"), page.query("actor"), page.query("verb"),
        parse_place(under, "under") if under else None, name=page.query("name"),
    )  # fmt: skip


def _moment(page: Page, name: str) -> float | None:
    text = page.query(name)
    try:
        return page.moments.parse(text) if text else None
    except (ValueError, OverflowError, OSError):
        raise BadValue(f"{name}: {text!r} is no moment: write it as 2026-03-01T12:00", field=name, value=text) from None


async def _all(page: Page, visibility: Visibility, wanted: Wanted) -> AsyncIterator[Mapping[str, Any]]:
    """Yield every line, read in parts: whoever downloads slowly keeps no transaction open."""
    after: str | None = ""
    while after is not None:
        here = after
        part = await page.read(lambda tx: lines(tx, visibility, wanted, here, _CHUNK))  # noqa: B023
        for line in part.items:
            yield msgspec.to_builtins(line)
        after = part.next


def _asked(wanted: Wanted) -> dict[str, object]:
    """Return the filter as the API and the command line name it."""
    under = None if wanted.under is None else str(wanted.under)
    return {"since": wanted.since, "until": wanted.until, "actor": wanted.actor, "verb": wanted.verb, "under": under,
            "name": wanted.name}  # fmt: skip
