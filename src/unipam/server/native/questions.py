"""Questions to the plan by the native API: what is free, what lies where, what was, what differs from the cloud."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.responses import Response

from unipam.model.objects import parse_place
from unipam.plan.cloud import drift
from unipam.plan.overview import overview
from unipam.plan.parts import part_of
from unipam.plan.permissions import UseCase
from unipam.plan.search import search
from unipam.server.native import documented as shapes
from unipam.server.native import inquiries as ask
from unipam.server.native import models as m
from unipam.server.native.inquiries import Search
from unipam.server.native.requests import Paged, problems
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router
from unipam.server.status import status_of

router = Router(tags=["questions"])


async def _search(
    size: Annotated[
        int, Query(ge=0, le=128, description="A prefix length, as written in the family of what is searched.")
    ],
    count: Annotated[int, Query(ge=1, le=100, description="How many.")] = 1,
    reverse: Annotated[bool, Query(description="From the end.")] = False,
    smallest: Annotated[bool, Query(description="Out of the smallest hole.")] = False,
    free: Annotated[bool, Query(description="Also what is free altogether, which takes a look at everything.")] = False,
) -> Search:
    return Search(size, count, reverse, smallest, free)


Searching = Annotated[Search, Depends(_search)]


@router.get("/spaces/{space}/blocks/{block}/available", response_model=m.Available, responses=problems(404, 409))
async def what_is_free(session: SessionDep, space: str, block: str, search: Searching) -> Response:
    """The prefixes of a length that would be given next, with the reason, and what is free altogether."""
    return reply(await session.read(ask.what_is_free(space, block, search)))


@router.get("/explain", response_model=list[m.Held], responses=problems(404))
async def explain(
    session: SessionDep,
    cidr: Annotated[str, Query(max_length=64, description="A prefix, or an address.")],
    space: Annotated[str | None, Query(description="Only this space.")] = None,
) -> Response:
    """Everything in the plan that contains a prefix, is it, or lies within it, from the outermost inwards."""
    prefix = parse_place(cidr)
    return reply(await session.read(ask.explain(await session.visibility(space), prefix, space)))


@router.get("/history", response_model=list[m.Entry], responses=problems())
async def history(
    session: SessionDep,
    cidr: Annotated[str | None, Query(max_length=64, description="What happened at this prefix or address.")] = None,
    name: Annotated[str | None, Query(max_length=2048, description="What happened to this name or id.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """The journal, newest first."""
    prefix = None if cidr is None else parse_place(cidr)
    return reply(await session.read(ask.history(await session.visibility(), prefix, name or "", limit)))


@router.get("/plan", response_model=list[dict[str, Any]], responses=problems())
async def plan_then(
    session: SessionDep,
    at: Annotated[float, Query(ge=0, allow_inf_nan=False, description="Seconds since the epoch.")],
) -> Response:
    """The whole plan as it was at a moment, as a tree."""
    return reply(await session.read(ask.plan_then(await session.visibility(), at)))


@router.get("/findings", response_model=m.Findings, responses=problems())
async def differences(
    session: SessionDep,
    paging: Paged,
    severity: Annotated[str, Query(max_length=16, description="Only error, warning, or info.")] = "",
    rule: Annotated[str, Query(max_length=64, description="Only those of this rule.")] = "",
    space: Annotated[str, Query(max_length=64, description="Only those of this space.")] = "",
    block: Annotated[str, Query(max_length=64, description="Only those of this block.")] = "",
) -> Response:
    """Where the plan and the cloud disagree, the worst first; for administrators, who may see all of the cloud."""
    session.require(UseCase.COMPARE_WITH_CLOUD)
    compared = await session.register.compared()
    is_wanted = drift.test_of(drift.Wanted(severity, rule, space, block, paging.text))
    numbered = enumerate(compared.findings, start=1)
    rows = [{"number": str(number), **each._asdict()} for number, each in numbered if is_wanted(each)]
    told = {"compared_on": compared.taken or None, "problems": list(compared.snapshot.problems)}
    return reply({**part_of(rows, paging._replace(text=""), "number"), **told})


@router.get("/search", response_model=shapes.FOUND, responses=problems())
async def look_for(
    session: SessionDep,
    q: Annotated[str, Query(max_length=200, description="An address, a prefix, a part of a name or of an id.")],
) -> Response:
    """What a text may mean, by kind: of each kind the first few, and whether there are more."""
    visibility = await session.visibility()
    return reply(await session.read(lambda tx: search(tx, q, visibility)))


@router.get("/overview", response_model=m.Overview, responses=problems())
async def plan_overview(session: SessionDep) -> Response:
    """What deserves a planner's attention: the fullest blocks, the reservations that expire first."""
    now = session.register.clock()
    return reply(await session.read(lambda tx: overview(tx, now)))


@router.get("/status", response_model=m.RegisterStatus, responses=problems())
async def register_status(session: SessionDep) -> Response:
    """How the register does: its version and database, how old what it knows of the cloud is, what the plan holds."""
    return reply(await status_of(session.register))
