"""Spaces and blocks of the Azure IPAM API (spec azure-ipam-application §2.1, §2.2)."""

from __future__ import annotations

from fastapi.responses import Response

from unipam.dialects.azure_ipam import messages as m
from unipam.dialects.azure_ipam import shapes
from unipam.model.cloud import Snapshot
from unipam.model.objects import parse_cidr
from unipam.plan import blocks, networks, tree
from unipam.plan.externals import Place
from unipam.plan.permissions import UseCase, Visibility
from unipam.server.azure_ipam import answers as a
from unipam.server.azure_ipam.bodies import BlockBody, PatchBody, SpaceBody
from unipam.server.azure_ipam.replies import do, do_quietly, error_words, patched, patched_prefix, show
from unipam.server.register import Session, SessionDep, reply
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces", tags=["spaces"])

_SPACE_PATHS = {"/name": "name", "/desc": "desc"}
_BLOCK_PATHS = {"/name": "name", "/cidr": "cidr"}


async def _view(session: Session, expand: bool, utilization: bool, space: str | None = None) -> shapes.View:
    if expand:
        session.require(UseCase.EXPAND_NETWORKS)
    snapshot = await session.register.last_snapshot() if expand else Snapshot()
    return shapes.View(await session.visibility(space), expand, utilization, snapshot)


@router.get("", response_model=list[a.Space])
async def get_spaces(session: SessionDep, expand: bool = False, utilization: bool = False) -> Response:
    """Every space with its blocks."""
    view = await _view(session, expand, utilization)
    return await show(session, lambda tx: [shapes.space(tx, node, view) for node in tree.in_order(tree.spaces(tx))])


@router.post("", status_code=201, response_model=a.Space)
@error_words(m.SPACE_CREATE)
async def create_space(session: SessionDep, body: SpaceBody) -> Response:
    """A new space."""
    session.require(UseCase.MAKE_SPACE)
    await session.write(lambda tx, by: blocks.create_space(tx, by, body.name, body.desc))
    return reply({"name": body.name, "desc": body.desc, "blocks": []}, 201)


@router.get("/{space}", response_model=a.Space)
async def get_space(session: SessionDep, space: str, expand: bool = False, utilization: bool = False) -> Response:
    """One space with its blocks."""
    view = await _view(session, expand, utilization, space)
    return await show(session, lambda tx: shapes.space(tx, tree.find_space(tx, space), view))


@router.patch("/{space}", response_model=a.Space)
@error_words(m.SPACE_CHANGE)
async def update_space(session: SessionDep, space: str, body: list[PatchBody]) -> Response:
    """Rename or describe a space anew."""
    session.require(UseCase.CHANGE_SPACE)
    new = patched(body, _SPACE_PATHS)
    view = shapes.View(Visibility(session.caller))
    return await do(session, lambda tx, by: shapes.space(tx, blocks.change_space(tx, by, space, **new), view))


@router.delete("/{space}", response_class=Response)
@error_words(m.SPACE_REMOVE)
async def delete_space(session: SessionDep, space: str, force: bool = False) -> Response:
    """Remove a space; with `force` with all it holds."""
    session.require(UseCase.REMOVE_SPACE)
    return await do_quietly(session, lambda tx, by: blocks.remove_space(tx, by, space, force=force))


@router.get("/{space}/blocks", response_model=list[a.Block])
async def get_blocks(session: SessionDep, space: str, expand: bool = False, utilization: bool = False) -> Response:
    """Every block of a space."""
    view = await _view(session, expand, utilization, space)
    return await show(session, lambda tx: shapes.space(tx, tree.find_space(tx, space), view)["blocks"])


@router.post("/{space}/blocks", status_code=201, response_model=a.Block)
@error_words(m.BLOCK_CREATE)
async def create_block(session: SessionDep, space: str, body: BlockBody) -> Response:
    """A new block."""
    session.require(UseCase.MAKE_BLOCK, space)

    def work(tx: Tx, by: tree.Author) -> shapes.Shape:
        new = blocks.NewBlock(body.name, parse_cidr(body.cidr))
        return shapes.block(tx, blocks.create_block(tx, by, space, new), shapes.View(Visibility(session.caller)))

    return await do(session, work, 201)


@router.get("/{space}/blocks/{block}", response_model=a.Block)
async def get_block(
    session: SessionDep, space: str, block: str, expand: bool = False, utilization: bool = False
) -> Response:
    """One block."""
    view = await _view(session, expand, utilization, space)
    place = Place(space, block)
    return await show(session, lambda tx: shapes.block(tx, place.find(tx), view))


@router.patch("/{space}/blocks/{block}", response_model=a.Block)
@error_words(m.BLOCK_CHANGE)
async def update_block(session: SessionDep, space: str, block: str, body: list[PatchBody]) -> Response:
    """Rename or resize a block."""
    session.require(UseCase.CHANGE_BLOCK, space)
    new = patched(body, _BLOCK_PATHS)

    def work(tx: Tx, by: tree.Author) -> shapes.Shape:
        change = blocks.BlockChange(new.get("name"), patched_prefix(new.get("cidr")))
        return shapes.block(
            tx, blocks.change_block(tx, by, space, block, change), shapes.View(Visibility(session.caller))
        )

    return await do(session, work)


@router.delete("/{space}/blocks/{block}", response_class=Response)
@error_words(m.BLOCK_REMOVE)
async def delete_block(session: SessionDep, space: str, block: str, force: bool = False) -> Response:
    """Remove a block; with `force` with all it holds."""
    session.require(UseCase.REMOVE_BLOCK, space)
    return await do_quietly(session, lambda tx, by: blocks.remove_block(tx, by, space, block, force=force))


@router.get("/{space}/blocks/{block}/available", response_model=list[str] | list[a.Network])
async def get_available(session: SessionDep, space: str, block: str, expand: bool = False) -> Response:
    """The networks that the block could take, as far as the caller may see them."""
    snapshot = await session.register.shown(session.caller)

    def work(tx: Tx) -> list[object]:
        rows = networks.available(tx, space, block, snapshot)
        return [shapes.network_expand(network, found) if expand else network.id for network, found in rows]

    return await show(session, work)
