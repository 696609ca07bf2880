"""Reservations in the Azure IPAM API (spec azure-ipam-application §2.1, §2.5). Their owner or an administrator."""

from __future__ import annotations

from collections.abc import Callable

from fastapi.responses import Response

from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.model.objects import parse_cidr
from unipam.plan import reservations, tree
from unipam.plan.access.callers import Caller
from unipam.plan.blocks import blocks
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import Wanted
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import BlockReservationBody, Names, SpaceReservationBody
from unipam.server.azure_ipam.common import NO_CONTENT, empty, require_reserving, says
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}", tags=["reservations"])


def _own_only(caller: Caller, space: str, text: str) -> Callable[[Reserved], None]:
    def check(row: Reserved) -> None:
        if not (caller.may_plan(space) or caller.owns(row.facts)):
            raise caller.refusal(text)

    return check


def _shown(rows: list[Reserved], caller: Caller) -> list[shapes.Shape]:
    return [shapes.reserved(row) for row in rows if caller.admin or caller.owns(row.facts)]


@router.get("/reservations", response_model=list[a.ReservationExpand])
async def get_space_reservations(register: Here, caller: Signed, space: str, settled: bool = False) -> Response:
    """The reservations of every block of a space."""

    def work(tx: Tx) -> list[Reserved]:
        root = tree.find_space(tx, space)
        return [
            row
            for block in tree.in_order(blocks(tx, root.id))
            for row in reservations.reservations(tx, space, block.facts.name, with_settled=settled)
        ]

    return reply(_shown(await register.desk.read(work), caller))


@router.post("/reservations", status_code=201, response_model=a.ReservationExpand)
@says(m.RESERVE_IN_SPACE)
async def create_space_reservation(register: Here, caller: Signed, space: str, body: SpaceReservationBody) -> Response:
    """Reserve a prefix in the first of some blocks that has room."""
    require_reserving(caller, space)
    wanted = Wanted(
        caller.by(), space, tuple(body.blocks), body.size, desc=body.desc,
        reverse=bool(body.reverse_search), smallest=bool(body.smallest_cidr),
    )  # fmt: skip
    return reply(shapes.reserved((await register.desk.reserve(wanted))[0]), 201)


@router.get("/blocks/{block}/reservations", response_model=list[a.ReservationExpand])
async def get_reservations(register: Here, caller: Signed, space: str, block: str, settled: bool = False) -> Response:
    """The reservations of a block."""
    rows = await register.desk.read(lambda tx: reservations.reservations(tx, space, block, with_settled=settled))
    return reply(_shown(rows, caller))


@router.post("/blocks/{block}/reservations", status_code=201, response_model=a.ReservationExpand)
@says(m.RESERVE)
async def create_reservation(
    register: Here, caller: Signed, space: str, block: str, body: BlockReservationBody
) -> Response:
    """Reserve a prefix in a block."""
    require_reserving(caller, space)
    prefix = None if body.cidr is None else parse_cidr(body.cidr)
    wanted = Wanted(
        caller.by(), space, (block,), body.size or 0, prefix, desc=body.desc,
        reverse=bool(body.reverse_search), smallest=bool(body.smallest_cidr),
    )  # fmt: skip
    return reply(shapes.reserved((await register.desk.reserve(wanted))[0]), 201)


@router.delete("/blocks/{block}/reservations", status_code=NO_CONTENT, response_class=Response)
@says(m.CANCEL_MANY)
async def delete_reservations(register: Here, caller: Signed, space: str, block: str, body: Names) -> Response:
    """Give reservations up."""
    require_reserving(caller, space)
    check = _own_only(caller, space, m.OWN_DELETE)
    await register.desk.write(lambda tx, by: reservations.cancel(tx, by, space, block, body, check), caller.by())
    return empty(NO_CONTENT)


@router.get("/blocks/{block}/reservations/{reservation}", response_model=a.ReservationExpand)
async def get_reservation(register: Here, caller: Signed, space: str, block: str, reservation: str) -> Response:
    """One reservation."""
    row = await register.desk.read(lambda tx: reservations.find(tx, space, block, reservation))
    _own_only(caller, space, m.OWN_VIEW)(row)
    return reply(shapes.reserved(row))


@router.delete("/blocks/{block}/reservations/{reservation}", status_code=NO_CONTENT, response_class=Response)
async def delete_reservation(register: Here, caller: Signed, space: str, block: str, reservation: str) -> Response:
    """Give one reservation up; one that is settled stays as it is."""
    require_reserving(caller, space)
    check, ids = _own_only(caller, space, m.OWN_DELETE), [reservation]
    await register.desk.write(lambda tx, by: reservations.cancel(tx, by, space, block, ids, check), caller.by())
    return empty(NO_CONTENT)
