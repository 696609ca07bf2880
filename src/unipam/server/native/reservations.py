"""Reservations and networks of the native API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response
from pydantic import StringConstraints

from unipam.plan import networks
from unipam.plan.tree import By
from unipam.server.native import inquiries, reserving
from unipam.server.native import models as m
from unipam.server.native.common import Paged, Writing, etag, page, problems, write
from unipam.server.native.operations import Answer, require_planner
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

Id = Annotated[str, StringConstraints(max_length=32, pattern="^[0-9A-Za-z]*$")]
"""A reservation's id, as far as a thousand of them must fit into a request's head."""

router = Router(prefix="/spaces/{space}", tags=["plan"])


@router.post("/reservations", status_code=201, response_model=list[m.Reservation], responses=problems(404, 409))
async def reserve(register: Here, caller: Signed, terms: Writing, space: str, body: m.NewReservations) -> Response:
    """Reserve one or several prefixes, all or none."""
    wanted = reserving.wanted(caller, terms.by(caller), space, body, register.clock())
    # Together with whoever else waits, unless the request is rehearsed or its answer must be kept with it.
    if terms.key or terms.dry_run:
        return await write(register, caller, terms, reserving.reserve(wanted))
    return reply([reserving.reservation_shape(row) for row in await register.desk.reserve(wanted)], 201)


@router.get("/reservations", response_model=m.Page[m.Reservation], responses=problems(404))
async def list_reservations(
    register: Here,
    _: Signed,
    space: str,
    paging: Paged,
    block: Annotated[str | None, Query(description="Only those of this block.")] = None,
    settled: Annotated[bool, Query(description="Also those that are over.")] = False,
    status: Annotated[str | None, Query(description="Only those with this status.")] = None,
) -> Response:
    """The reservations of a space, oldest first in each block."""

    rows = await register.desk.read(reserving.list_reservations(space, block, status, settled=settled))
    return page(rows, paging, lambda row: str(row["id"]))


@router.get("/blocks/{block}/reservations/{reservation}", response_model=m.Reservation, responses=problems(404))
async def read_reservation(register: Here, _: Signed, space: str, block: str, reservation: str) -> Response:
    """One reservation."""
    shape = await register.desk.read(reserving.read_reservation(space, block, reservation))
    return reply(shape, headers=etag(shape["generation"]) if shape["generation"] else {})


@router.delete(
    "/blocks/{block}/reservations/{reservation}",
    status_code=204,
    response_class=Response,
    responses=problems(404, 409, 412),
)
async def cancel_reservation(
    register: Here, caller: Signed, terms: Writing, space: str, block: str, reservation: str
) -> Response:
    """Give a reservation up; one that is over already leaves the listings (its history stays in the journal)."""

    return await write(register, caller, terms, reserving.cancel(caller, space, block, [reservation]))


@router.delete(
    "/blocks/{block}/reservations", status_code=204, response_class=Response, responses=problems(404, 409, 412)
)
async def cancel_reservations(
    register: Here,
    caller: Signed,
    terms: Writing,
    space: str,
    block: str,
    ids: Annotated[list[Id], Query(alias="id", min_length=1, max_length=1000, description="Which; repeatable.")],
) -> Response:
    """Give several reservations up, all or none; those that are over already leave the listings."""
    return await write(register, caller, terms, reserving.cancel(caller, space, block, ids))


@router.get("/blocks/{block}/networks", response_model=m.Page[m.Network], responses=problems(404))
async def list_networks(register: Here, caller: Signed, space: str, block: str, paging: Paged) -> Response:
    """The networks of a block that the caller may see, in the order in which they came or were last listed by a PUT."""
    sight = await register.sight(caller, space)

    return page(
        await register.desk.read(inquiries.list_networks(sight, space, block)), paging, lambda row: str(row["id"])
    )


@router.post("/blocks/{block}/networks", status_code=201, response_model=m.Network, responses=problems(404, 409))
async def add_network(
    register: Here, caller: Signed, terms: Writing, space: str, block: str, body: m.NetworkId
) -> Response:
    """Associate a network with a block."""
    require_planner(caller, space)
    snapshot = await register.reach(caller, [body.id])

    def work(tx: Tx, by: By) -> Answer:
        network = networks.find_network(snapshot, body.id)
        found = networks.associate(tx, by, space, block, network)
        rows = networks.associated(tx, found)
        return Answer(next(inquiries.network_shape(each) for each in rows if each.facts.id == network.id), 201)

    return await write(register, caller, terms, work)


@router.delete("/blocks/{block}/networks", status_code=204, response_class=Response, responses=problems(404, 409))
async def drop_network(
    register: Here,
    caller: Signed,
    terms: Writing,
    space: str,
    block: str,
    network: Annotated[str, Query(alias="id", max_length=2048, description="The network's resource id.")],
) -> Response:
    """Dissociate a network from a block."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        networks.dissociate(tx, by, space, block, [network])
        return Answer(status=204)

    return await write(register, caller, terms, work)
