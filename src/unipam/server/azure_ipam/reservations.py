"""Reservations in the Azure IPAM API (spec azure-ipam-application §2.1, §2.5). Their owner or an administrator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from fastapi.responses import Response

from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.model.objects import parse_cidr
from unipam.plan import reservations, tree
from unipam.plan.access.callers import Caller
from unipam.plan.blocks import blocks
from unipam.plan.permissions import UseCase, may_list, require
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import ReservationRequest
from unipam.plan.tree import Author
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import BlockReservationBody, Names, SpaceReservationBody
from unipam.server.azure_ipam.replies import NO_CONTENT, do_quietly, error_words, show
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}", tags=["reservations"])


def _shown(rows: list[Reserved], caller: Caller) -> list[shapes.Shape]:
    return [shapes.reserved(row) for row in rows if may_list(caller, row.facts)]


@router.get("/reservations", response_model=list[a.ReservationExpand])
async def get_space_reservations(session: SessionDep, space: str, settled: bool = False) -> Response:
    """The reservations of every block of a space."""

    def work(tx: Tx) -> list[shapes.Shape]:
        held = tree.in_order(blocks(tx, tree.find_space(tx, space).id))
        rows = (reservations.reservations(tx, space, each.facts.name, with_settled=settled) for each in held)
        return _shown(list(chain.from_iterable(rows)), session.caller)

    return await show(session, work)


@router.post("/reservations", status_code=201, response_model=a.ReservationExpand)
@error_words(m.RESERVE_IN_SPACE)
async def create_space_reservation(session: SessionDep, space: str, body: SpaceReservationBody) -> Response:
    """Reserve a prefix in the first of some blocks that has room."""
    session.require(UseCase.RESERVE, space)
    wanted = ReservationRequest(
        session.caller.author(), space, tuple(body.blocks), body.size, desc=body.desc,
        reverse=bool(body.reverse_search), smallest=bool(body.smallest_cidr),
    )  # fmt: skip
    return reply(shapes.reserved((await session.register.worker.reserve(wanted))[0]), 201)


@router.get("/blocks/{block}/reservations", response_model=list[a.ReservationExpand])
async def get_reservations(session: SessionDep, space: str, block: str, settled: bool = False) -> Response:
    """The reservations of a block."""
    return await show(
        session,
        lambda tx: _shown(reservations.reservations(tx, space, block, with_settled=settled), session.caller),
    )


@router.post("/blocks/{block}/reservations", status_code=201, response_model=a.ReservationExpand)
@error_words(m.RESERVE)
async def create_reservation(session: SessionDep, space: str, block: str, body: BlockReservationBody) -> Response:
    """Reserve a prefix in a block."""
    session.require(UseCase.RESERVE, space)
    prefix = None if body.cidr is None else parse_cidr(body.cidr)
    wanted = ReservationRequest(
        session.caller.author(), space, (block,), body.size or 0, prefix, desc=body.desc,
        reverse=bool(body.reverse_search), smallest=bool(body.smallest_cidr),
    )  # fmt: skip
    return reply(shapes.reserved((await session.register.worker.reserve(wanted))[0]), 201)


@router.delete("/blocks/{block}/reservations", status_code=NO_CONTENT, response_class=Response)
@error_words(m.CANCEL_MANY)
async def delete_reservations(session: SessionDep, space: str, block: str, body: Names) -> Response:
    """Give reservations up."""
    session.require(UseCase.RESERVE, space)
    return await do_quietly(session, _cancel(session.caller, space, block, body), NO_CONTENT)


@router.get("/blocks/{block}/reservations/{reservation}", response_model=a.ReservationExpand)
async def get_reservation(session: SessionDep, space: str, block: str, reservation: str) -> Response:
    """One reservation."""

    def work(tx: Tx) -> shapes.Shape:
        row = reservations.find(tx, space, block, reservation)
        session.require(UseCase.VIEW_RESERVATION, space, row.facts)
        return shapes.reserved(row)

    return await show(session, work)


@router.delete("/blocks/{block}/reservations/{reservation}", status_code=NO_CONTENT, response_class=Response)
async def delete_reservation(session: SessionDep, space: str, block: str, reservation: str) -> Response:
    """Give one reservation up; one that is settled stays as it is."""
    session.require(UseCase.RESERVE, space)
    return await do_quietly(session, _cancel(session.caller, space, block, [reservation]), NO_CONTENT)


def _cancel(caller: Caller, space: str, block: str, ids: Sequence[str]) -> Callable[[Tx, Author], None]:
    def check(row: Reserved) -> None:
        require(caller, UseCase.CANCEL_RESERVATION, space, row.facts)

    return lambda tx, by: reservations.cancel(tx, by, space, block, ids, check)
