"""Subnets of external networks in the native API."""

from __future__ import annotations

from itertools import chain, repeat
from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from unipam.addr.prefix import format_address
from unipam.plan import externals
from unipam.plan.reads import use_of
from unipam.plan.tree import By
from unipam.server.native import external_models as x
from unipam.server.native import models as m
from unipam.server.native.common import Force, Overlaps, Paged, WithUse, Writing, page, problems, write
from unipam.server.native.external_common import change, changed, made, named, one, remove, rows, shape
from unipam.server.native.externals import NewOnes
from unipam.server.native.operations import Answer, require_planner
from unipam.server.places import ExternalPlace, SubnetPlace
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}/blocks/{block}/externals/{external}/subnets", tags=["externals"])

_REASON = "the lowest free address that a host may have"


@router.get("", response_model=m.Page[x.ExternalSubnet], responses=problems(404))
async def list_subnets(
    register: Here, _: Signed, place: ExternalPlace, paging: Paged, overlaps: Overlaps, utilisation: WithUse = False
) -> Response:
    """The subnets of an external network, in address order."""

    def work(tx: Tx) -> list[dict[str, Any]]:
        found = place.find_external(tx)
        return rows(tx, found, externals.subnets(tx, found), overlaps, utilisation=utilisation)

    return page(await register.desk.read(work), paging, lambda row: str(row["name"]))


@router.post("", status_code=201, response_model=list[x.ExternalSubnet], responses=problems(404, 409))
async def make_subnets(register: Here, caller: Signed, terms: Writing, place: ExternalPlace, body: NewOnes) -> Response:
    """New subnets of an external network, all or none; those with a `cidr` are placed first."""
    require_planner(caller, place.space)

    def work(tx: Tx, by: By) -> Answer:
        parent = place.find_external(tx)
        return made(tx, parent, externals.create_subnets(tx, by, parent, [named(each) for each in body]))

    return await write(register, caller, terms, work)


@router.get("/{subnet}", response_model=x.ExternalSubnet, responses=problems(404))
async def read_subnet(register: Here, _: Signed, place: SubnetPlace) -> Response:
    """One subnet of an external network."""
    return one(await register.desk.read(lambda tx: shape(tx, place.find_subnet(tx))))


@router.patch("/{subnet}", response_model=x.ExternalSubnet, responses=problems(404, 409, 412))
async def change_subnet(
    register: Here, caller: Signed, terms: Writing, place: SubnetPlace, body: x.ExternalChange
) -> Response:
    """Rename, resize or describe an external subnet anew."""
    return await change(register, caller, terms, place.space, place.find_subnet, lambda: changed(body))


@router.delete("/{subnet}", status_code=204, response_class=Response, responses=problems(404, 409, 412))
async def remove_subnet(
    register: Here, caller: Signed, terms: Writing, place: SubnetPlace, force: Force = False
) -> Response:
    """Remove an external subnet."""
    return await remove(register, caller, terms, place.space, place.find_subnet, force=force)


@router.get("/{subnet}/available", response_model=x.FreeAddresses, responses=problems(404))
async def free_addresses(
    register: Here,
    _: Signed,
    place: SubnetPlace,
    count: Annotated[int, Query(ge=1, le=100, description="How many.")] = 1,
) -> Response:
    """The addresses that endpoints would get next, with the reason."""
    found = await register.desk.read(lambda tx: externals.free_addresses(tx, place.find_subnet(tx), count))
    reasons = chain([_REASON], repeat(f"{_REASON}, after those before it"))
    rows = zip(found, reasons, strict=False)
    return reply({"candidates": [{"ip": format_address(address), "reason": reason} for address, reason in rows]})


@router.get("/{subnet}/utilisation", response_model=m.Utilisation, responses=problems(404))
async def use_of_subnet(register: Here, _: Signed, place: SubnetPlace) -> Response:
    """How full an external subnet is: what its endpoints take."""
    return reply(await register.desk.read(lambda tx: use_of(tx, place.find_subnet(tx))._asdict()))
