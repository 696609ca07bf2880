"""Reservations and networks of the native API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from unipam.model.objects import parse_cidr
from unipam.plan import networks, reservations, tree
from unipam.plan import reserve as plan_reserve
from unipam.plan.access.callers import Caller
from unipam.plan.blocks import blocks
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import Wanted
from unipam.plan.tree import By
from unipam.server.azure_ipam.networks import look_for
from unipam.server.native import models as m
from unipam.server.native.common import (
    Answer,
    Paged,
    Terms,
    Writing,
    etag,
    page,
    problems,
    require_planner,
    reservation_shape,
    write,
)
from unipam.server.register import Here, Register, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}", tags=["plan"])


@router.post("/reservations", status_code=201, response_model=list[m.Reservation], responses=problems(404, 409))
async def reserve(register: Here, caller: Signed, terms: Writing, space: str, body: m.NewReservations) -> Response:
    """Reserve one or several prefixes, all or none."""
    if not caller.may_reserve(space):
        raise caller.refusal(f"{caller.name} may not reserve in the space {space}")
    wanted = Wanted(
        terms.by(caller), space, tuple(body.blocks), body.size or 0,
        None if body.cidr is None else parse_cidr(body.cidr), body.count, body.desc, body.reverse, body.smallest,
        None if body.expires_in is None else register.clock() + body.expires_in,
    )  # fmt: skip
    return await _reserve(register, caller, terms, wanted)


async def _reserve(register: Register, caller: Caller, terms: Terms, wanted: Wanted) -> Response:
    """Together with whoever else waits, unless the request is rehearsed or its answer must be kept with it."""
    if not terms.key and not terms.dry_run:
        return reply([reservation_shape(row) for row in await register.desk.reserve(wanted)], 201)

    def work(tx: Tx, by: By) -> Answer:
        rows = plan_reserve.reserve(tx, wanted._replace(by=by), by.now)
        return Answer([reservation_shape(row) for row in rows], 201)

    return await write(register, caller, terms, work)


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

    def work(tx: Tx) -> list[Reserved]:
        root = tree.find_space(tx, space)
        names = [block] if block is not None else [each.facts.name for each in blocks(tx, root.id)]
        return [
            row for name in names for row in reservations.reservations(tx, space, name, with_settled=settled)
            if status is None or row.facts.status == status
        ]  # fmt: skip

    shapes = [reservation_shape(row) for row in await register.desk.read(work)]
    return page(shapes, paging, lambda row: str(row["id"]))


@router.get("/blocks/{block}/reservations/{reservation}", response_model=m.Reservation, responses=problems(404))
async def read_reservation(register: Here, _: Signed, space: str, block: str, reservation: str) -> Response:
    """One reservation."""
    row = await register.desk.read(lambda tx: reservations.find(tx, space, block, reservation))
    return reply(reservation_shape(row), headers=etag(row.generation) if row.generation else {})


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

    def check(row: Reserved) -> None:
        if not (caller.may_plan(space) or (caller.may_reserve(space) and caller.owns(row.facts))):
            raise caller.refusal(f"the reservation {reservation} is not {caller.name}'s")

    def work(tx: Tx, by: By) -> Answer:
        row = reservations.find(tx, space, block, reservation)
        check(row)
        if row.facts.settled_on is None:
            reservations.cancel(tx, by, space, block, [reservation], check)
        else:
            reservations.archive(tx, space, block, reservation)
        return Answer(status=204)

    return await write(register, caller, terms, work)


def _network(each: networks.Associated) -> dict[str, object]:
    prefixes = [str(prefix) for prefix in each.prefixes]
    return {"id": each.facts.id, "name": each.facts.name, "prefixes": prefixes, "active": each.active}


@router.get("/blocks/{block}/networks", response_model=m.Page[m.Network], responses=problems(404))
async def list_networks(register: Here, caller: Signed, space: str, block: str, paging: Paged) -> Response:
    """The networks of a block that the caller may see, in the order in which they came."""
    sight = await register.sight(caller, space)

    def work(tx: Tx) -> list[dict[str, object]]:
        found = tree.find_block(tx, tree.find_space(tx, space).id, block)
        return [_network(each) for each in networks.associated(tx, found) if sight.sees(space, each.facts.id)]

    return page(await register.desk.read(work), paging, lambda row: str(row["id"]))


@router.post("/blocks/{block}/networks", status_code=201, response_model=m.Network, responses=problems(404, 409))
async def add_network(
    register: Here, caller: Signed, terms: Writing, space: str, block: str, body: m.NetworkId
) -> Response:
    """Associate a network with a block."""
    require_planner(caller, space)
    snapshot = await look_for(register, caller, [body.id])

    def work(tx: Tx, by: By) -> Answer:
        network = networks.find_network(snapshot, body.id)
        found = networks.associate(tx, by, space, block, network)
        rows = networks.associated(tx, found)
        return Answer(next(_network(each) for each in rows if each.facts.id == network.id), 201)

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
