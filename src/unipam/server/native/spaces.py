"""Spaces and blocks of the native API."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from fastapi.responses import Response

from unipam.server.native import models as m
from unipam.server.native import planning
from unipam.server.native.requests import Force, Overlaps, Paged, WithUse, Writing, one, page, problems, write
from unipam.server.register import SessionDep, reply
from unipam.server.routing import Router

router = Router(prefix="/spaces", tags=["plan"])


@router.get("", response_model=m.Page[m.Space], responses=problems())
async def list_spaces(session: SessionDep, paging: Paged, utilisation: WithUse = False) -> Response:
    """The spaces, by name."""
    return page(await session.read(planning.list_spaces(utilisation=utilisation)), paging)


@router.post("", status_code=201, response_model=m.Space, responses=problems(409))
async def make_space(session: SessionDep, terms: Writing, body: m.NewSpace) -> Response:
    """A new space."""
    return await write(session, terms, planning.make_space(session.caller, body))


@router.get("/{space}", response_model=m.Space, responses=problems(404))
async def read_space(session: SessionDep, space: str) -> Response:
    """One space."""
    return one(await session.read(planning.read_space(space)))


@router.patch("/{space}", response_model=m.Space, responses=problems(404, 409, 412))
async def change_space(session: SessionDep, terms: Writing, space: str, body: m.SpaceChange) -> Response:
    """Rename or describe a space anew."""
    return await write(session, terms, planning.change_space(session.caller, space, body))


@router.delete("/{space}", status_code=204, response_class=Response, responses=problems(404, 409, 412))
async def remove_space(session: SessionDep, terms: Writing, space: str, force: Force = False) -> Response:
    """Remove a space."""
    return await write(session, terms, planning.remove_space(session.caller, space, force=force))


@router.get("/{space}/utilisation", response_model=m.SpaceUtilisation, responses=problems(404))
async def use_of_space(session: SessionDep, space: str) -> Response:
    """How full a space is."""
    return reply(await session.read(planning.use_of_space(space)))


@router.get("/{space}/blocks", response_model=m.Page[m.Block], responses=problems(404))
async def list_blocks(
    session: SessionDep,
    space: str,
    paging: Paged,
    overlaps: Overlaps,
    parent: Annotated[str | None, Query(description="Only those directly inside this block.")] = None,
    utilisation: WithUse = False,
) -> Response:
    """The blocks of a space at any depth, each before those inside it, in address order."""
    rows = await session.read(planning.list_blocks(space, overlaps, parent, utilisation=utilisation))
    return page(rows, paging)


@router.post("/{space}/blocks", status_code=201, response_model=m.Block, responses=problems(404, 409))
async def make_block(session: SessionDep, terms: Writing, space: str, body: m.NewBlock) -> Response:
    """A new block."""
    return await write(session, terms, planning.make_block(session.caller, space, body))


@router.get("/{space}/blocks/{block}", response_model=m.Block, responses=problems(404))
async def read_block(session: SessionDep, space: str, block: str) -> Response:
    """One block."""
    return one(await session.read(planning.read_block(space, block)))


@router.patch("/{space}/blocks/{block}", response_model=m.Block, responses=problems(404, 409, 412))
async def change_block(session: SessionDep, terms: Writing, space: str, block: str, body: m.BlockChange) -> Response:
    """Rename, resize or describe a block anew."""
    return await write(session, terms, planning.change_block(session.caller, space, block, body))


@router.delete("/{space}/blocks/{block}", status_code=204, response_class=Response, responses=problems(404, 409, 412))
async def remove_block(session: SessionDep, terms: Writing, space: str, block: str, force: Force = False) -> Response:
    """Remove a block."""
    return await write(session, terms, planning.remove_block(session.caller, space, block, force=force))


@router.get("/{space}/blocks/{block}/utilisation", response_model=m.Utilisation, responses=problems(404))
async def use_of_block(session: SessionDep, space: str, block: str) -> Response:
    """How full a block is."""
    return reply(await session.read(planning.use_of_block(space, block)))
