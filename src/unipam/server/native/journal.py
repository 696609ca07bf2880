"""The journal by the native API, part by part."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query
from fastapi.responses import Response

from unipam.model.objects import parse_place
from unipam.plan.journal import Wanted, lines
from unipam.server.native import models as m
from unipam.server.native.requests import Paged, problems
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router

router = Router(tags=["plan"])

Moment = Annotated[float | None, Query(ge=0, allow_inf_nan=False, description="Seconds since the epoch.")]
Place = Annotated[str | None, Query(max_length=64, description="A prefix or an address.")]


async def _time(since: Moment = None, until: Moment = None) -> tuple[float | None, float | None]:
    return since, until


async def _wanted(
    time: Annotated[tuple[float | None, float | None], Depends(_time)],
    actor: Annotated[str, Query(max_length=256, description="By whom, exactly.")] = "",
    verb: Annotated[str, Query(max_length=64, description="What was done: create, change, remove, ...")] = "",
    under: Place = None,
    cidr: Place = None,
    name: Annotated[str, Query(max_length=2048, description="How the name or id begins of what changed.")] = "",
) -> Wanted:
    """`under` finds what lies within a prefix, `cidr` what holds its first address."""
    within = None if under is None else parse_place(under, "under")
    around = None if cidr is None else parse_place(cidr)
    return Wanted(*time, actor, verb, within, around, name)


@router.get("/journal", response_model=m.JournalPart, responses=problems())
async def journal(session: SessionDep, paging: Paged, wanted: Annotated[Wanted, Depends(_wanted)]) -> Response:
    """Who changed what, when and why, and what it was before; the latest first."""
    visibility = await session.visibility()
    return reply(await session.read(lambda tx: lines(tx, visibility, wanted, paging.after, paging.limit)))
