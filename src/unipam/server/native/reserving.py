"""The native API's operations on reservations; see `operations`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unipam.model.objects import parse_cidr
from unipam.plan import blocks, reservations, tree
from unipam.plan import reserve as plan_reserve
from unipam.plan.access.callers import Caller
from unipam.plan.permissions import UseCase, require
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import ReservationRequest
from unipam.plan.tree import Author
from unipam.server.native.operations import Answer, List, Read, Shape, Write, done
from unipam.store.api import Tx

if TYPE_CHECKING:
    from unipam.server.native import models as m


def list_reservations(space: str, block: str | None, status: str | None, *, settled: bool) -> List:
    """Return the reservations of a space, oldest first in each block."""

    def work(tx: Tx) -> list[Shape]:
        root = tree.find_space(tx, space)
        names = [block] if block is not None else [each.facts.name for each in blocks.blocks(tx, root.id)]
        return [
            reservation_shape(row) for name in names
            for row in reservations.reservations(tx, space, name, with_settled=settled)
            if status is None or row.facts.status == status
        ]  # fmt: skip

    return work


def read_reservation(space: str, block: str, reservation: str) -> Read:
    """Return one reservation."""
    return lambda tx: reservation_shape(reservations.find(tx, space, block, reservation))


def wanted(caller: Caller, by: Author, space: str, body: m.NewReservations, now: float) -> ReservationRequest:
    """Return what a caller wants to reserve. Raises Forbidden or BadValue."""
    require(caller, UseCase.RESERVE, space)
    return ReservationRequest(
        by, space, tuple(body.blocks), body.size or 0,
        None if body.cidr is None else parse_cidr(body.cidr), body.count, body.desc, body.reverse, body.smallest,
        None if body.expires_in is None else now + body.expires_in,
    )  # fmt: skip


def reserve(asked: ReservationRequest) -> Write:
    """Reserve one or several prefixes, all or none."""

    def work(tx: Tx, by: Author) -> Answer:
        rows = plan_reserve.reserve(tx, asked._replace(by=by), by.now)
        return Answer([reservation_shape(row) for row in rows], 201)

    return work


def cancel(caller: Caller, space: str, block: str, ids: Sequence[str]) -> Write:
    """Give reservations up, all or none; those that are over already leave the listings (the journal keeps them)."""

    def check(row: Reserved) -> None:
        require(caller, UseCase.CANCEL_RESERVATION, space, row.facts)

    return done(lambda tx, by: reservations.cancel(tx, by, space, block, ids, check, archive=True))


def reservation_shape(row: Reserved) -> Shape:
    """Return a reservation."""
    facts = row.facts
    return {
        "id": facts.id,
        "space": row.space,
        "block": row.block,
        "cidr": row.prefix,
        "desc": facts.desc,
        "status": facts.status,
        "created_on": facts.created_on,
        "created_by": facts.created_by,
        "settled_on": facts.settled_on,
        "settled_by": facts.settled_by,
        "expires_on": row.until,
        "generation": row.generation,
        "tag": {"X-IPAM-RES-ID": facts.id},
    }
