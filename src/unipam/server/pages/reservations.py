"""The page of all reservations: what is promised, what is late; several may be given up at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model import objects
from unipam.model.errors import BadValue, NotSignedIn, UnipamError
from unipam.plan import tree
from unipam.plan.access.callers import Caller
from unipam.plan.blocks import blocks
from unipam.plan.listing import Part, Row, Wish
from unipam.plan.permissions import UseCase, Visibility, require
from unipam.plan.reservations import cancel
from unipam.plan.settled import OVER, any_part
from unipam.plan.tree import Author
from unipam.server.pages.browser import with_query
from unipam.server.pages.export import export
from unipam.server.pages.forms import Problem, do, fresh_key
from unipam.server.pages.page import FormDep, Fresh, Head, Page, PageDep
from unipam.server.pages.places import block_place, reservation_place
from unipam.server.pages.plan import space_choice
from unipam.server.pages.shell import command
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)

COLUMNS = ("cidr", "space", "block", "status", "desc", "by", "created_on", "until", "settled_on", "settled_by", "id")
STATUSES = (
    ("", "open: all that wait"), (objects.WAIT, "waits for its network"),
    (objects.MISMATCH, "network has another prefix"), (objects.EXISTS, "another network is there"),
    ("over", "over: all of these"), (objects.FULFILLED, "fulfilled"), (objects.CANCELLED, "cancelled"),
    (objects.EXPIRED, "expired"),
)  # fmt: skip
SORTS = (("cidr", "address"), ("-created", "newest first"), ("created", "oldest first"), ("until", "expires first"),
         ("desc", "purpose"), ("by", "who"), ("status", "status"))  # fmt: skip
_AT_ONCE = 500
_PAGE = 60


class Promise(NamedTuple):
    """A reservation as a row. `chosen` may be given up by whoever looks; `refused` says why not."""

    row: Row
    space: str
    block: str
    place: str
    block_place: str
    refused: str
    settled_on: float | None
    settled_by: str


@router.get("/reservations")
async def reservations(page: PageDep) -> Response:
    """What is promised, and what is late?"""
    return await _show(page)


async def _show(page: Page, problem: Problem | None = None, chosen: tuple[str, ...] = ()) -> Response:
    wish = wish_of(page)
    if page.wanted_format:
        return export(_every(page, wish), COLUMNS, "reservations", page.wanted_format)
    part, names, inner = await page.read(lambda tx: (_part(tx, page, wish), *_choices(tx, wish.space)))
    rows = [_promise(page, row) for row in part.rows]
    head = Head("Reservations", "What is promised, and what is late?", command=_command(wish), api=_api(wish),
                exports=True, listing="reservations",
                fresh=Fresh("Reserve", "/reserve", page.may_in_any(UseCase.RESERVE, names)))  # fmt: skip
    return page.render(
        "reservations.html", head, problem.status if problem else 200, rows=rows, part=part, wish=wish,
        spaces=space_choice(names), blocks=[("", "every block"), *((n, n) for n in inner)], statuses=STATUSES,
        sorts=SORTS, over=wish.status in OVER, key=fresh_key(), problem=problem, chosen=chosen, typed={},
    )  # fmt: skip


def wish_of(page: Page) -> Wish:
    """Read the page's address."""
    space = page.query("space")
    return Wish(
        objects.RESERVATION, space, page.query("block") if space else "", page.query("q"), page.query("status"),
        page.query("sort") or "cidr", page.query("after"), _PAGE,
    )  # fmt: skip


def _part(tx: Tx, page: Page, wish: Wish) -> Part:
    return any_part(tx, wish, Visibility(page.caller))


def _choices(tx: Tx, space: str) -> tuple[list[str], list[str]]:
    names = [node.facts.name for node in tree.spaces(tx)]
    inner = [node.facts.name for node in blocks(tx, tree.find_space(tx, space).id)] if space else []
    return names, inner


def _promise(page: Page, row: Row) -> Promise:
    space, block = row.path[0], row.path[-1]
    facts = objects.Reservation(row.id, row.created_on, row.by, row.subject, row.status)
    return Promise(
        row, space, block, reservation_place(space, block, row.id), block_place(space, block),
        _refused(page.caller, space, facts, page), row.settled_on, row.settled_by,
    )  # fmt: skip


def _refused(caller: Caller, space: str, facts: objects.Reservation, page: Page) -> str:
    return "" if caller.owns(facts) and caller.may_reserve(space) else page.may(UseCase.CANCEL_RESERVATION, space)


async def _every(page: Page, wish: Wish) -> AsyncIterator[dict[str, Any]]:
    after: str | None = ""
    while after is not None:
        wanted = wish._replace(after=after, limit=_AT_ONCE)
        part = await page.read(lambda tx, wanted=wanted: _part(tx, page, wanted))  # type: ignore[misc]
        for row in part.rows:
            yield {"space": row.path[0], "block": row.path[-1],
                   **{name: getattr(row, name) for name in COLUMNS if name not in ("space", "block")}}  # fmt: skip
        after = part.next


def _command(wish: Wish) -> str:
    sort = wish.sort if wish.sort != "cidr" else ""
    return command("plan", "objects", "reservation", space=wish.space, block=wish.block, status=wish.status,
                   search=wish.text, sort=sort)  # fmt: skip


def _api(wish: Wish) -> str:
    sort = wish.sort if wish.sort != "cidr" else ""
    where = {"space": wish.space, "block": wish.block, "q": wish.text, "status": wish.status, "sort": sort}
    return with_query("/objects", {"kind": "reservation", **where})


@router.post("/reservations/cancel")
async def cancel_several(form: FormDep) -> Response:
    """Give several reservations up, all or none."""
    page = form.page
    chosen = tuple(str(each) for each in form.whole.getlist("chosen"))

    def work(tx: Tx, by: Author) -> int:
        if not chosen:
            raise BadValue("choose at least one reservation", field="chosen")
        grouped: dict[tuple[str, str], list[str]] = {}
        for each in chosen:
            space, _, rest = each.partition("/")
            block, _, number = rest.partition("/")
            grouped.setdefault((space, block), []).append(number)
        for (space, block), ids in grouped.items():
            cancel(tx, by, space, block, ids, lambda row, at=space: require(  # type: ignore[misc]
                page.caller, UseCase.CANCEL_RESERVATION, at, row.facts))  # fmt: skip
        return len(chosen)

    try:
        return await do(form, work, lambda count: ("/reservations", f"{count} reservations are given up."), frees=True)
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await _show(page, Problem.of(error), chosen)
