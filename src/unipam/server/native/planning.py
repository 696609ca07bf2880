"""The native API's operations on spaces and blocks; see `operations`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.objects import fold, parse_cidr
from unipam.model.records import Claim
from unipam.plan import blocks, tree
from unipam.plan.access.callers import Caller
from unipam.plan.permissions import UseCase, require
from unipam.plan.reads import space_use, use_of, uses_of
from unipam.plan.tree import Author, Node
from unipam.server.native.operations import List, Read, Shape, Write, done, shown
from unipam.store.api import Tx

if TYPE_CHECKING:
    from unipam.server.native import models as m


def list_spaces(*, utilisation: bool) -> List:
    """Return the spaces, by name."""

    def work(tx: Tx) -> list[Shape]:
        rows = [space_shape(node) for node in tree.spaces(tx)]
        for row, node in zip(rows, tree.spaces(tx) if utilisation else (), strict=False):
            row["utilisation"] = _use(tx, node.id)
        return rows

    return work


def read_space(space: str) -> Read:
    """Return one space."""
    return lambda tx: space_shape(tree.find_space(tx, space))


def use_of_space(space: str) -> Read:
    """Return how full a space is."""
    return lambda tx: _use(tx, tree.find_space(tx, space).id)


def _use(tx: Tx, space: int) -> Shape:
    return {**space_use(tx, space, 4)._asdict(), "ipv6": space_use(tx, space, 6)._asdict()}


def make_space(caller: Caller, body: m.NewSpace) -> Write:
    """Make a space."""
    require(caller, UseCase.MAKE_SPACE)
    return shown(lambda tx, by: blocks.create_space(tx, by, body.name, body.desc), _space_shape, 201)


def change_space(caller: Caller, space: str, body: m.SpaceChange) -> Write:
    """Rename or describe a space anew."""
    require(caller, UseCase.CHANGE_SPACE)
    return shown(lambda tx, by: blocks.change_space(tx, by, space, name=body.name, desc=body.desc), _space_shape)


def remove_space(caller: Caller, space: str, *, force: bool) -> Write:
    """Remove a space."""
    require(caller, UseCase.REMOVE_SPACE)
    return done(lambda tx, by: blocks.remove_space(tx, by, space, force=force))


def _space_shape(_: Tx, node: Node[objects.Space]) -> Shape:
    return space_shape(node)


def space_shape(node: Node[objects.Space]) -> Shape:
    """Return a space."""
    return {"name": node.facts.name, "desc": node.facts.desc, "generation": node.claim.generation}


# ---- blocks


def list_blocks(space: str, overlaps: Prefix | None, parent: str | None, *, utilisation: bool) -> List:
    """Return the blocks of a space at any depth, each before those inside it, in address order."""

    def work(tx: Tx) -> list[Shape]:
        root = tree.find_space(tx, space)
        found = blocks.blocks(tx, root.id)
        if overlaps is not None:
            found = [node for node in found if node.prefix.overlaps(overlaps)]
        shapes = [block_shape(tx, root.facts.name, node) for node in found]
        uses = uses_of(tx, [node.claim for node in found]) if utilisation else {}
        for shape, node in zip(shapes, found if utilisation else (), strict=False):
            shape["utilisation"] = uses[node.id]._asdict()
        return [s for s in shapes if parent is None or fold(s["parent"] or "") == fold(parent)]

    return work


def read_block(space: str, block: str) -> Read:
    """Return one block."""

    def work(tx: Tx) -> Shape:
        root = tree.find_space(tx, space)
        return block_shape(tx, root.facts.name, tree.find_block(tx, root.id, block))

    return work


def use_of_block(space: str, block: str) -> Read:
    """Return how full a block is."""
    return lambda tx: use_of(tx, tree.find_block(tx, tree.find_space(tx, space).id, block))._asdict()


def make_block(caller: Caller, space: str, body: m.NewBlock) -> Write:
    """Make a block."""
    require(caller, UseCase.MAKE_BLOCK, space)

    def make(tx: Tx, by: Author) -> Node[objects.Block]:
        new = blocks.NewBlock(body.name, parse_cidr(body.cidr), body.parent or "", body.desc)
        return blocks.create_block(tx, by, space, new)

    return shown(make, _block_shape_in(space), 201)


def change_block(caller: Caller, space: str, block: str, body: m.BlockChange) -> Write:
    """Rename, resize or describe a block anew."""
    require(caller, UseCase.CHANGE_BLOCK, space)

    def change(tx: Tx, by: Author) -> Node[objects.Block]:
        prefix = None if body.cidr is None else parse_cidr(body.cidr)
        return blocks.change_block(tx, by, space, block, blocks.BlockChange(body.name, prefix, body.desc))

    return shown(change, _block_shape_in(space))


def remove_block(caller: Caller, space: str, block: str, *, force: bool) -> Write:
    """Remove a block."""
    require(caller, UseCase.REMOVE_BLOCK, space)
    return done(lambda tx, by: blocks.remove_block(tx, by, space, block, force=force))


def _block_shape_in(space: str) -> Callable[[Tx, Node[objects.Block]], Shape]:
    return lambda tx, node: block_shape(tx, tree.find_space(tx, space).facts.name, node)


def block_shape(tx: Tx, space: str, node: Node[objects.Block]) -> Shape:
    """Return a block."""
    around = tx.claim(node.claim.parent)
    return {
        "space": space,
        "name": node.facts.name,
        "cidr": str(node.prefix),
        "desc": node.facts.desc,
        "parent": _block_name(around),
        "generation": node.claim.generation,
    }


def _block_name(claim: Claim | None) -> str | None:
    facts = tree.node(claim).facts if claim is not None else None
    return facts.name if isinstance(facts, objects.Block) else None
