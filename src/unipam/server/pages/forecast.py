"""The pages on what runs dry, and when: of all blocks, and of one block or space with a picture of its growth."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec
from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.errors import BadValue
from unipam.plan import forecast, tree
from unipam.plan.forecast import DATED, FARTHEST, FULL, UNKNOWN, VERDICTS, YEAR, Forecast, Period, soonest
from unipam.server.pages.browser import with_query
from unipam.server.pages.export import export
from unipam.server.pages.growth import SMALL, Growth, drawn
from unipam.server.pages.page import Head, Page, PageDep
from unipam.server.pages.places import block_place, space_place
from unipam.server.pages.shell import command
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)

ROWS = 50
_SOONEST = 5
COLUMNS = tuple(name for name in Forecast.__struct_fields__ if name != "past")


class Line(NamedTuple):
    """A forecast as a row: where its own page is, and its picture."""

    row: Forecast
    place: str
    growth: Growth


@router.get("/forecast")
async def all_forecasts(page: PageDep) -> Response:
    """Show the blocks that run dry first."""
    space, period = page.query("space"), _period(page)
    rows, spaces = await page.read(lambda tx: (soonest(tx, period, space), [s.facts.name for s in tree.spaces(tx)]))
    if page.wanted_format:
        return export(map(msgspec.structs.asdict, rows), COLUMNS, "forecast", page.wanted_format)
    horizon = "" if period.ahead == YEAR else str(period.ahead)
    head = Head(
        "Forecast", "What runs dry, and when?",
        command=command("plan", "forecast", space=space, horizon=horizon),
        api=with_query("/forecast", {"space": space, "horizon": horizon}), exports=True,
    )  # fmt: skip
    lines = [Line(row, _own_place(row), drawn(row, period, SMALL)) for row in rows[:ROWS]]
    counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in VERDICTS}
    return page.render(
        "forecast.html", head, lines=lines, total=len(rows), counts=counts, period=period,
        spaces=[("", "all"), *((name, name) for name in spaces)], space=space,
    )  # fmt: skip


@router.get("/overview/forecast")
async def next_to_run_dry(page: PageDep) -> Response:
    """Show which blocks run dry next: a part of its own, since it adds up the journal of 90 days."""
    period = Period(page.register.clock())
    rows = await page.read(lambda tx: soonest(tx, period))
    unknown = sum(row.verdict == UNKNOWN for row in rows)
    dry = [(row, _own_place(row)) for row in rows if row.verdict in (FULL, DATED)]
    head = Head("Next to run dry", "Which blocks are full first?", (("/", "Overview"),), "plan forecast", "/forecast")
    template = "overview-forecast.html" if page.is_part else "overview-forecast-page.html"
    return page.render(template, head, dry=dry[:_SOONEST], more=dry[_SOONEST:], unknown=unknown, total=len(rows))


@router.get("/spaces/{space}/forecast")
async def of_space(page: PageDep, space: str) -> Response:
    """Show when a space's blocks run dry, taken together."""
    return await _one(page, lambda tx, period: forecast.of_space(tx, space, period))


@router.get("/spaces/{space}/blocks/{block}/forecast")
async def of_block(page: PageDep, space: str, block: str) -> Response:
    """Show when a block runs dry."""
    return await _one(page, lambda tx, period: forecast.of_block(tx, space, block, period))


async def _one(page: Page, find: Callable[[Tx, Period], Forecast]) -> Response:
    period = _period(page)
    row = await page.read(lambda tx: find(tx, period))
    crumbs = [("/plan", "Plan"), (space_place(row.space), row.space)]
    crumbs += [(block_place(row.space, row.block), row.block)] if row.block else []
    horizon = {} if period.ahead == YEAR else {"horizon": period.ahead}
    words = ("block" if row.block else "space", "forecast", row.space, row.block)
    head = Head(
        f"Forecast of {row.block or row.space}", "When does it run dry?", tuple(crumbs),
        command(*words, **horizon), with_query(_own_place(row), horizon),
    )  # fmt: skip
    template = "forecast-part.html" if page.is_part else "forecast-of.html"
    return page.render(template, head, row=row, growth=drawn(row, period), period=period, place=_own_place(row))


def _own_place(row: Forecast) -> str:
    return (block_place(row.space, row.block) if row.block else space_place(row.space)) + "/forecast"


def _period(page: Page) -> Period:
    """Return how far is looked ahead. Raises BadValue."""
    text = page.query("horizon", str(YEAR))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= FARTHEST):
        raise BadValue(f"horizon: {text!r} is no number of days from 1 to {FARTHEST}", field="horizon", value=text)
    return Period(page.register.clock(), int(text))
