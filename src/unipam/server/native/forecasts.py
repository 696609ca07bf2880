"""When blocks and spaces run dry, by the native API."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from unipam.plan.forecast import FARTHEST, YEAR, Period
from unipam.server.native import inquiries as ask
from unipam.server.native import models as m
from unipam.server.native.requests import Paged, page, problems
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router

router = Router(tags=["questions"])


class Forecast(BaseModel):
    """When a block has no address left, or a space's outermost blocks together (of IPv4, if it has any).

    Moments are in seconds since the epoch. Null: not within the days that were looked ahead, or nothing can be told.
    """

    name: Annotated[str, Field(description="What tells it apart: the space, or space/block.")]
    space: str
    block: Annotated[str, Field(description="Empty: the space as a whole.")]
    cidr: Annotated[str, Field(description="Empty for a space.")]
    size: int
    taken: Annotated[int, Field(description="Addresses that are used or reserved.")]
    free: int
    verdict: Annotated[
        Literal["full", "dated", "beyond", "unknown"],
        Field(description="No address is left; there is a day; not within the days; the past is too short to tell."),
    ]
    why: Annotated[str, Field(description="The same in a sentence.")]
    rate: Annotated[float | None, Field(description="How many more addresses are taken a day.")]
    likely: Annotated[float | None, Field(description="When it is full, if it goes on so.")]
    earliest: Annotated[float | None, Field(description="Between this and `latest` it is full four times in five.")]
    latest: float | None
    spread: Annotated[
        float | None,
        Field(
            description="After h days up to spread * sqrt(h + h*h/days) more or fewer are taken, four times in five."
        ),
    ]
    since: Annotated[float, Field(description="When the past begins that stands behind it.")]
    days: Annotated[int, Field(description="How many whole days of past there are; 14 are needed, 90 are looked at.")]
    changes: Annotated[int, Field(description="In how many entries of the journal addresses came and went.")]
    claimed: int
    freed: int
    past: Annotated[list[int], Field(description="What was taken at the end of each of these days, the oldest first.")]


async def _period(
    session: SessionDep,
    horizon: Annotated[int, Query(ge=1, le=FARTHEST, description="How many days ahead.")] = YEAR,
) -> Period:
    return Period(session.register.clock(), horizon)


Ahead = Annotated[Period, Depends(_period)]


@router.get("/forecast", response_model=m.Page[Forecast], responses=problems(404))
async def forecasts(
    session: SessionDep,
    paging: Paged,
    period: Ahead,
    space: Annotated[str, Query(max_length=64, description="Only the blocks of this space.")] = "",
) -> Response:
    """When each block runs dry; the first to do so comes first."""
    return page(await session.read(ask.forecasts(period, space)), paging)


@router.get("/spaces/{space}/forecast", response_model=Forecast, responses=problems(404))
async def forecast_of_space(session: SessionDep, period: Ahead, space: str) -> Response:
    """When the blocks of a space run dry, taken together."""
    return reply(await session.read(ask.forecast_of_space(period, space)))


@router.get("/spaces/{space}/blocks/{block}/forecast", response_model=Forecast, responses=problems(404))
async def forecast_of_block(session: SessionDep, period: Ahead, space: str, block: str) -> Response:
    """When a block runs dry, and what stands behind that."""
    return reply(await session.read(ask.forecast_of_block(period, space, block)))
