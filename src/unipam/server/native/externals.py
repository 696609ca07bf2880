"""External networks of the native API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi.responses import Response
from pydantic import Field

from unipam.plan import externals, tree
from unipam.plan.reads import use_of
from unipam.plan.tree import By
from unipam.server.native import external_models as x
from unipam.server.native import models as m
from unipam.server.native.common import Force, Overlaps, Paged, WithUse, Writing, page, problems, write
from unipam.server.native.external_common import change, changed, made, named, one, remove, rows, shape
from unipam.server.native.inquiries import available
from unipam.server.native.operations import Answer, require_planner
from unipam.server.native.questions import Searching
from unipam.server.places import ExternalPlace
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}/blocks/{block}/externals", tags=["externals"])

NewOnes = Annotated[list[x.NewExternal], Field(min_length=1, max_length=1000)]


@router.get("", response_model=m.Page[x.External], responses=problems(404))
async def list_externals(
    register: Here,
    _: Signed,
    space: str,
    block: str,
    paging: Paged,
    overlaps: Overlaps,
    utilisation: WithUse = False,
) -> Response:
    """The external networks of a block, in address order."""

    def work(tx: Tx) -> list[dict[str, Any]]:
        found = tree.find_block(tx, tree.find_space(tx, space).id, block)
        return rows(tx, found, externals.externals(tx, found), overlaps, utilisation=utilisation)

    return page(await register.desk.read(work), paging, lambda row: str(row["name"]))


@router.post("", status_code=201, response_model=list[x.External], responses=problems(404, 409))
async def make_externals(
    register: Here, caller: Signed, terms: Writing, space: str, block: str, body: NewOnes
) -> Response:
    """New external networks, all or none; those with a `cidr` are placed first."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        parent = tree.find_block(tx, tree.find_space(tx, space).id, block)
        return made(tx, parent, externals.create_externals(tx, by, parent, [named(each) for each in body]))

    return await write(register, caller, terms, work)


@router.get("/{external}", response_model=x.External, responses=problems(404))
async def read_external(register: Here, _: Signed, place: ExternalPlace) -> Response:
    """One external network."""
    return one(await register.desk.read(lambda tx: shape(tx, place.find_external(tx))))


@router.patch("/{external}", response_model=x.External, responses=problems(404, 409, 412))
async def change_external(
    register: Here, caller: Signed, terms: Writing, place: ExternalPlace, body: x.ExternalChange
) -> Response:
    """Rename, resize or describe an external network anew."""
    return await change(register, caller, terms, place.space, place.find_external, lambda: changed(body))


@router.delete("/{external}", status_code=204, response_class=Response, responses=problems(404, 409, 412))
async def remove_external(
    register: Here, caller: Signed, terms: Writing, place: ExternalPlace, force: Force = False
) -> Response:
    """Remove an external network."""
    return await remove(register, caller, terms, place.space, place.find_external, force=force)


@router.get("/{external}/available", response_model=m.Available, responses=problems(404, 409))
async def what_is_free_in_external(register: Here, _: Signed, place: ExternalPlace, search: Searching) -> Response:
    """The prefixes that subnets of a length would get next, with the reason, and what is free altogether."""
    return reply(await register.desk.read(lambda tx: available(tx, place.find_external(tx), search)))


@router.get("/{external}/utilisation", response_model=m.Utilisation, responses=problems(404))
async def use_of_external(register: Here, _: Signed, place: ExternalPlace) -> Response:
    """How full an external network is: what its subnets take."""
    return reply(await register.desk.read(lambda tx: use_of(tx, place.find_external(tx))._asdict()))
