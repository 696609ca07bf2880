"""Reservations and networks of the native API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response
from pydantic import StringConstraints

from unipam.plan.permissions import UseCase
from unipam.server.native import models as m
from unipam.server.native import network_operations as operations
from unipam.server.native import reserving
from unipam.server.native.requests import Paged, Writing, one, page, problems, write
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router

Id = Annotated[str, StringConstraints(max_length=32, pattern="^[0-9A-Za-z]*$")]
"""A reservation's id, as far as a thousand of them must fit into a request's head."""

router = Router(prefix="/spaces/{space}", tags=["plan"])


@router.post("/reservations", status_code=201, response_model=list[m.Reservation], responses=problems(404, 409))
async def reserve(session: SessionDep, terms: Writing, space: str, body: m.NewReservations) -> Response:
    """Reserve one or several prefixes, all or none."""
    wanted = reserving.wanted(session.caller, terms.author(session.caller), space, body, session.register.clock())
    # Together with whoever else waits, unless the request is rehearsed or its answer must be kept with it.
    if terms.key or terms.dry_run:
        return await write(session, terms, reserving.reserve(wanted))
    return reply([reserving.reservation_shape(row) for row in await session.register.worker.reserve(wanted)], 201)


@router.get("/reservations", response_model=m.Page[m.Reservation], responses=problems(404))
async def list_reservations(
    session: SessionDep,
    space: str,
    paging: Paged,
    block: Annotated[str | None, Query(description="Only those of this block.")] = None,
    settled: Annotated[bool, Query(description="Also those that are over.")] = False,
    status: Annotated[str | None, Query(description="Only those with this status.")] = None,
) -> Response:
    """The reservations of a space, oldest first in each block."""
    rows = await session.read(reserving.list_reservations(space, block, status, settled=settled))
    return page(rows, paging, "id")


@router.get("/blocks/{block}/reservations/{reservation}", response_model=m.Reservation, responses=problems(404))
async def read_reservation(session: SessionDep, space: str, block: str, reservation: str) -> Response:
    """One reservation."""
    return one(await session.read(reserving.read_reservation(space, block, reservation)))


@router.delete(
    "/blocks/{block}/reservations/{reservation}",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 412),
)
async def cancel_reservation(session: SessionDep, terms: Writing, space: str, block: str, reservation: str) -> Response:
    """Give a reservation up; one that is over already leaves the listings (its history stays in the journal)."""
    return await write(session, terms, reserving.cancel(session.caller, space, block, [reservation]))


@router.delete(
    "/blocks/{block}/reservations", status_code=204, response_class=Response, responses=problems(404, 409, 412)
)
async def cancel_reservations(
    session: SessionDep,
    terms: Writing,
    space: str,
    block: str,
    ids: Annotated[list[Id], Query(alias="id", min_length=1, max_length=1000, description="Which; repeatable.")],
) -> Response:
    """Give several reservations up, all or none; those that are over already leave the listings."""
    return await write(session, terms, reserving.cancel(session.caller, space, block, ids))


@router.get("/blocks/{block}/networks", response_model=m.Page[m.Network], responses=problems(404))
async def list_networks(session: SessionDep, space: str, block: str, paging: Paged) -> Response:
    """The networks of a block that the caller may see, in the order in which they came or were last listed by a PUT."""
    visibility = await session.visibility(space)
    return page(await session.read(operations.list_networks(visibility, space, block)), paging, "id")


@router.post("/blocks/{block}/networks", status_code=201, response_model=m.Network, responses=problems(404, 409))
async def add_network(session: SessionDep, terms: Writing, space: str, block: str, body: m.NetworkId) -> Response:
    """Associate a network with a block."""
    session.require(UseCase.ASSOCIATE_NETWORK, space)
    snapshot = await session.register.reach(session.caller, [body.id])
    return await write(session, terms, operations.add_network(space, block, body.id, snapshot))


@router.delete("/blocks/{block}/networks", status_code=204, response_class=Response, responses=problems(404, 409))
async def drop_network(
    session: SessionDep,
    terms: Writing,
    space: str,
    block: str,
    network: Annotated[str, Query(alias="id", max_length=2048, description="The network's resource id.")],
) -> Response:
    """Dissociate a network from a block."""
    return await write(session, terms, operations.drop_network(session.caller, space, block, network))
