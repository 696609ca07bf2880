"""The page on one address or prefix: who has it, who had it, why?"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.ledger.explanation import Explanation
from unipam.model.errors import BadValue, Missing, UnipamError
from unipam.model.objects import parse_place
from unipam.model.records import HELD
from unipam.plan.cloud.endpoints import is_orphaned, seats
from unipam.plan.listing import Row
from unipam.plan.permissions import UseCase
from unipam.plan.timeline import Holding, Surroundings, at, holdings, surroundings
from unipam.server.looking import seen_of
from unipam.server.node import node_of
from unipam.server.pages import words
from unipam.server.pages.browser import with_query
from unipam.server.pages.endpoints import endpoint_place
from unipam.server.pages.forms import Problem, author_of
from unipam.server.pages.page import FormDep, Head, Page, PageDep
from unipam.server.pages.places import network_place, place_of, reserve_place
from unipam.server.pages.shell import command

router = APIRouter(include_in_schema=False)

_WIDTH = 1000
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Bar(NamedTuple):
    """A holding and where its time lies on the line from the first one to now, in thousandths."""

    held: Holding
    start: float
    width: float


@router.get("/addresses/{cidr:path}")
async def address(page: PageDep, cidr: str) -> Response:
    """Show everything about an address."""
    return await _show(page, cidr)


@router.post("/leases/release")
async def release(form: FormDep) -> Response:
    """Release the lease of an address of this node by hand."""
    page, author, text = form.page, author_of(form), form.fields.get("address", "")
    page.session.require(UseCase.RELEASE_LEASE)
    try:
        if form.fields.get("confirm", "").strip() != text:
            raise BadValue(f"type {text} to confirm that it is meant", field="confirm")
        node = node_of(page.register.node)
        lease = await node.release(text, author.expect or 0, author.reason, author.actor)
    except UnipamError as error:
        return await _show(page, text, Problem.of(error), form.fields)
    return page.go(words.place(f"/addresses/{text}"), f"{text} of {lease.network} is released.")


async def _show(page: Page, cidr: str, problem: Problem | None = None, typed: Mapping[str, str] = _NOTHING) -> Response:
    prefix = parse_place(cidr, "address")
    visibility = await page.session.visibility()
    around = await page.read(lambda tx: surroundings(tx, prefix, visibility))
    snapshot = await seen_of(page.session)
    held = await page.read(lambda tx: holdings(tx, prefix, visibility))
    told = await _of_node(page, words.place(str(prefix)))
    text = words.place(str(prefix))
    head = Head(
        text, "Who has it, who had it, why?", (("/journal", "Journal"),), past=True, seen=snapshot.taken or None
    )
    if page.at is None:
        api = with_query("/explain", {"cidr": text})
        head = head._replace(command=command("plan", "explain", text), api=api)
    return page.render(
        "address.html", head, problem.status if problem else 200, text=text, prefix=str(prefix), around=around,
        bars=bars(held, page.moments.now),
        then=None if page.at is None else inmost_at(held, page.at), link=link, reserve=reserve,
        verdicts=[verdict(each) for each in around], seats=seats(snapshot, prefix), network_place=network_place,
        told=told, orphaned=is_orphaned, endpoint_place=endpoint_place, problem=problem, typed=typed,
        held=[each for each in told.leases if each.state == HELD] if told else [],
        keeps=page.may(UseCase.RELEASE_LEASE),
    )  # fmt: skip


async def _of_node(page: Page, text: str) -> Explanation | None:
    """Return what the ledger of the node beside the register says of an address, to whoever may see leases."""
    if page.register.node is None or "/" in text or page.may(UseCase.SEE_LEASES):
        return None
    try:
        told = await page.register.node.explain(text)
    except Missing:
        return None
    return told if told.leases or told.history else None


def link(row: Row) -> str:
    """Return the address of an object's own page."""
    return place_of(row.kind, (*row.path, row.name), row.id)


def reserve(row: Row, cidr: str) -> str:
    """Return where a prefix of a block is reserved."""
    return reserve_place((*row.path, row.name), cidr)


def inmost_at(held: list[Holding], moment: float) -> list[Holding]:
    """Return the innermost of what had an address at a moment, for each space."""
    return list({each.where[0]: each for each in at(held, moment) if each.where}.values())


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
