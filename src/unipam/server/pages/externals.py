"""The page of what is outside Azure: external networks, their subnets and endpoints, across blocks and spaces."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model import objects
from unipam.model.errors import BadValue, NotSignedIn, UnipamError
from unipam.model.objects import parse_cidr
from unipam.plan import externals as plan_externals
from unipam.plan.externals import NewPrefix, Place
from unipam.plan.listing import Wish, listed
from unipam.plan.permissions import UseCase, Visibility, require
from unipam.plan.tree import Author
from unipam.server.pages.browser import with_query
from unipam.server.pages.export import export
from unipam.server.pages.forms import Problem, do, fresh_key
from unipam.server.pages.page import FormDep, Head, Page, PageDep
from unipam.server.pages.places import block_place, place_of
from unipam.server.pages.plan import space_choice
from unipam.server.pages.shell import command
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)

TABS = ((objects.EXTERNAL, "Networks"), (objects.SUBNET, "Subnets"), (objects.ENDPOINT, "Endpoints"))
COLUMNS = ("cidr", "name", "path", "desc", "since")
SORTS = (("cidr", "address"), ("name", "name"), ("-created", "newest first"), ("desc", "description"))
_AT_ONCE = 500
_MOST_LINES = 5000


@router.get("/externals")
async def externals(page: PageDep) -> Response:
    """What is outside Azure?"""
    return await _show(page)


async def _show(page: Page, problem: Problem | None = None, typed: Mapping[str, str] | None = None) -> Response:
    given = page.request.query_params if typed is None else typed  # whoever had to sign in comes back with it
    kind = page.query("kind") or objects.EXTERNAL
    if kind not in dict(TABS):
        raise BadValue(f"kind: {kind!r} is none of {', '.join(dict(TABS))}", field="kind", value=kind)
    wish = Wish(kind, page.query("space"), "", page.query("q"), "", page.query("sort") or "cidr", page.query("after"))
    if page.wanted_format:
        return export(_every(page, wish), COLUMNS, f"{kind}s", page.wanted_format)
    part = await page.read(lambda tx: listed(tx, wish, Visibility(page.caller)))
    names = await page.read(lambda tx: [name for _, name in tx.spaces()])
    asked, sort = {"space": wish.space}, page.query("sort")
    head = Head(
        "Externals", "What is outside Azure?",
        command=command("plan", "objects", kind, **asked, search=wish.text, sort=sort),
        api=with_query("/objects", {"kind": kind, **asked, "q": wish.text, "sort": sort}), exports=True,
        listing="externals",
    )  # fmt: skip
    rows = [(row, place_of(row.kind, (*row.path, row.name))) for row in part.rows]
    return page.render(
        "externals.html", head, problem.status if problem else 200, rows=rows, part=part, wish=wish, tabs=TABS,
        sorts=SORTS, spaces=space_choice(names), problem=problem, typed=given.get("lines", ""),
        reason=given.get("reason", ""), key=fresh_key(), block_place=block_place,
        refused=page.may(UseCase.MAKE_EXTERNAL, wish.space or "*"),
    )  # fmt: skip


async def _every(page: Page, wish: Wish) -> AsyncIterator[dict[str, Any]]:
    after: str | None = ""
    while after is not None:
        wanted = wish._replace(after=after, limit=_AT_ONCE)
        part = await page.read(lambda tx, wanted=wanted: listed(tx, wanted, Visibility(page.caller)))  # type: ignore[misc]
        for row in part.rows:
            yield {"cidr": row.cidr, "name": row.name, "path": "/".join(row.path), "desc": row.desc, "since": row.since}
        after = part.next


@router.post("/externals/import")
async def import_lines(form: FormDep) -> Response:
    """Make external networks of lines: space, block, name, prefix, description; all of them or none."""
    page, text = form.page, form.fields.get("lines", "")

    def work(tx: Tx, by: Author) -> int:
        rows = list(_lines(text))
        for number, (space, block, name, cidr, desc) in rows:
            require(page.caller, UseCase.MAKE_EXTERNAL, space)
            try:
                holder = Place(space, block).find(tx)
                plan_externals.create(tx, by, holder, NewPrefix(name, desc, parse_cidr(cidr)))
            except UnipamError as error:
                raise BadValue(f"line {number}: {error.message}", field="lines") from error
        return len(rows)

    try:
        return await do(form, work, lambda count: ("/externals", f"{count} external networks are made."))
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await _show(page, Problem.of(error), form.fields)


def _lines(text: str) -> Iterator[tuple[int, tuple[str, str, str, str, str]]]:
    """Yield the lines of CSV with their numbers; one that begins with `space` names the columns. Raises BadValue."""
    found = 0
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[0].lower() == "space"):
            continue
        if len(cells) != 5:
            raise BadValue(
                f"line {number} has {len(cells)} cells: write space, block, name, prefix, description", field="lines"
            )
        found += 1
        if found > _MOST_LINES:
            raise BadValue(f"more than {_MOST_LINES} lines: import them in parts", field="lines")
        yield number, (cells[0], cells[1], cells[2], cells[3], cells[4])
    if not found:
        raise BadValue("there is no line to import", field="lines")
