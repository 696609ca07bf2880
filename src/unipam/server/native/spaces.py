"""Spaces and blocks of the native API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from fastapi.responses import Response

from unipam.model.objects import fold, parse_cidr
from unipam.plan import blocks, tree
from unipam.plan.reads import space_use, use_of
from unipam.plan.tree import By
from unipam.server.native import models as m
from unipam.server.native.common import (
    Answer,
    Force,
    Overlaps,
    Paged,
    WithUse,
    Writing,
    block_shape,
    etag,
    page,
    problems,
    require_admin,
    require_planner,
    space_shape,
    write,
)
from unipam.server.register import Here, Signed, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces", tags=["plan"])


@router.get("", response_model=m.Page[m.Space], responses=problems())
async def list_spaces(register: Here, _: Signed, paging: Paged, utilisation: WithUse = False) -> Response:
    """The spaces, by name."""

    def work(tx: Tx) -> list[dict[str, object]]:
        rows = [space_shape(node) for node in tree.spaces(tx)]
        for row, node in zip(rows, tree.spaces(tx) if utilisation else (), strict=False):
            row["utilisation"] = space_use(tx, node.id)._asdict()
        return rows

    return page(await register.desk.read(work), paging, lambda row: str(row["name"]))


@router.post("", status_code=201, response_model=m.Space, responses=problems(409))
async def make_space(register: Here, caller: Signed, terms: Writing, body: m.NewSpace) -> Response:
    """A new space."""
    require_admin(caller)

    def work(tx: Tx, by: By) -> Answer:
        node = blocks.create_space(tx, by, body.name, body.desc)
        return Answer(space_shape(node), 201, node.claim.generation)

    return await write(register, caller, terms, work)


@router.get("/{space}", response_model=m.Space, responses=problems(404))
async def read_space(register: Here, _: Signed, space: str) -> Response:
    """One space."""
    shape = await register.desk.read(lambda tx: space_shape(tree.find_space(tx, space)))
    return reply(shape, headers=etag(shape["generation"]))


@router.patch("/{space}", response_model=m.Space, responses=problems(404, 409, 412))
async def change_space(register: Here, caller: Signed, terms: Writing, space: str, body: m.SpaceChange) -> Response:
    """Rename or describe a space anew."""
    require_admin(caller)

    def work(tx: Tx, by: By) -> Answer:
        node = blocks.change_space(tx, by, space, name=body.name, desc=body.desc)
        return Answer(space_shape(node), 200, node.claim.generation)

    return await write(register, caller, terms, work)


@router.delete("/{space}", status_code=204, response_class=Response, responses=problems(404, 409, 412))
async def remove_space(register: Here, caller: Signed, terms: Writing, space: str, force: Force = False) -> Response:
    """Remove a space."""
    require_admin(caller)

    def work(tx: Tx, by: By) -> Answer:
        blocks.remove_space(tx, by, space, force=force)
        return Answer(status=204)

    return await write(register, caller, terms, work)


@router.get("/{space}/utilisation", response_model=m.Utilisation, responses=problems(404))
async def use_of_space(register: Here, _: Signed, space: str) -> Response:
    """How full a space is."""
    return reply((await register.desk.read(lambda tx: space_use(tx, tree.find_space(tx, space).id)))._asdict())


@router.get("/{space}/blocks", response_model=m.Page[m.Block], responses=problems(404))
async def list_blocks(
    register: Here,
    _: Signed,
    space: str,
    paging: Paged,
    overlaps: Overlaps,
    parent: Annotated[str | None, Query(description="Only those directly inside this block.")] = None,
    utilisation: WithUse = False,
) -> Response:
    """The blocks of a space at any depth, each before those inside it, in address order."""

    def work(tx: Tx) -> list[dict[str, object]]:
        root = tree.find_space(tx, space)
        found = blocks.blocks(tx, root.id)
        if overlaps is not None:
            found = [node for node in found if node.prefix.overlaps(overlaps)]
        shapes = [block_shape(tx, root.facts.name, node) for node in found]
        for shape, node in zip(shapes, found if utilisation else (), strict=False):
            shape["utilisation"] = use_of(tx, node)._asdict()
        return [s for s in shapes if parent is None or fold(s["parent"] or "") == fold(parent)]

    return page(await register.desk.read(work), paging, lambda row: str(row["name"]))


@router.post("/{space}/blocks", status_code=201, response_model=m.Block, responses=problems(404, 409))
async def make_block(register: Here, caller: Signed, terms: Writing, space: str, body: m.NewBlock) -> Response:
    """A new block."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        new = blocks.NewBlock(body.name, parse_cidr(body.cidr), body.parent or "", body.desc)
        node = blocks.create_block(tx, by, space, new)
        return Answer(block_shape(tx, tree.find_space(tx, space).facts.name, node), 201, node.claim.generation)

    return await write(register, caller, terms, work)


@router.get("/{space}/blocks/{block}", response_model=m.Block, responses=problems(404))
async def read_block(register: Here, _: Signed, space: str, block: str) -> Response:
    """One block."""

    def work(tx: Tx) -> dict[str, Any]:
        root = tree.find_space(tx, space)
        return block_shape(tx, root.facts.name, tree.find_block(tx, root.id, block))

    shape = await register.desk.read(work)
    return reply(shape, headers=etag(shape["generation"]))


@router.patch("/{space}/blocks/{block}", response_model=m.Block, responses=problems(404, 409, 412))
async def change_block(
    register: Here, caller: Signed, terms: Writing, space: str, block: str, body: m.BlockChange
) -> Response:
    """Rename, resize or describe a block anew."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        prefix = None if body.cidr is None else parse_cidr(body.cidr)
        node = blocks.change_block(tx, by, space, block, blocks.BlockChange(body.name, prefix, body.desc))
        return Answer(block_shape(tx, tree.find_space(tx, space).facts.name, node), 200, node.claim.generation)

    return await write(register, caller, terms, work)


@router.delete("/{space}/blocks/{block}", status_code=204, response_class=Response, responses=problems(404, 409, 412))
async def remove_block(
    register: Here, caller: Signed, terms: Writing, space: str, block: str, force: Force = False
) -> Response:
    """Remove a block."""
    require_planner(caller, space)

    def work(tx: Tx, by: By) -> Answer:
        blocks.remove_block(tx, by, space, block, force=force)
        return Answer(status=204)

    return await write(register, caller, terms, work)


@router.get("/{space}/blocks/{block}/utilisation", response_model=m.Utilisation, responses=problems(404))
async def use_of_block(register: Here, _: Signed, space: str, block: str) -> Response:
    """How full a block is."""

    def work(tx: Tx) -> dict[str, int]:
        return use_of(tx, tree.find_block(tx, tree.find_space(tx, space).id, block))._asdict()

    return reply(await register.desk.read(work))
