"""Spaces and blocks: make, rename, resize, remove. Functions of one transaction; see `plan.tree`."""

from __future__ import annotations

from typing import NamedTuple

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.errors import NameTaken, NotEmpty
from unipam.model.records import SPACE, Claim, Owner
from unipam.plan import tree
from unipam.plan.tree import Author, Draft, Node
from unipam.store.api import Tx


def create_space(tx: Tx, by: Author, name: str, desc: str) -> Node[objects.Space]:
    """Make a space. Raises BadValue or NameTaken."""
    facts = objects.Space(objects.check_name(SPACE, name), objects.check_text(SPACE, desc))
    _refuse_space_name(tx, name)
    claim = tree.create(tx, by, Draft(0, tree.WHOLE_LINE, Owner(objects.fold(name)), facts))
    return Node(claim, facts)


def _refuse_space_name(tx: Tx, name: str, but: int = 0) -> None:
    number = tx.space(objects.fold(name))
    if number not in (None, but):
        raise NameTaken(f"there is a space named {name} already", kind=SPACE, value=name)


def change_space(
    tx: Tx, by: Author, space: str, *, name: str | None = None, desc: str | None = None
) -> Node[objects.Space]:
    """Rename or describe a space anew. Raises Missing, BadValue, NameTaken or Stale."""
    found = tree.find_space(tx, space)
    facts = objects.Space(
        objects.check_name(SPACE, found.facts.name if name is None else name),
        objects.check_text(SPACE, found.facts.desc if desc is None else desc),
    )
    _refuse_space_name(tx, facts.name, but=found.id)
    if facts == found.facts:
        tree.refuse_stale(by, found.claim)
        return found
    return Node(tree.change(tx, by, found.claim, facts, owner=Owner(objects.fold(facts.name))), facts)


def remove_space(tx: Tx, by: Author, space: str, *, force: bool = False) -> None:
    """Remove a space; with `force` all its blocks too. Raises Missing, NotEmpty or Stale."""
    found = tree.find_space(tx, space)
    held = next(tx.claims(found.id), None)
    if held is not None and not force:
        raise NotEmpty(
            f"the space {space} still holds blocks ({held.text} ...): remove them first, or use force",
            of=SPACE,
            value=space,
            holds=objects.BLOCK,
        )
    tree.remove_tree(tx, by, found.claim)
    forget_archive(tx, found.id)


def forget_archive(tx: Tx, space: int) -> None:
    """Forget what was settled in a space, which goes with it; the journal keeps it."""
    for prefix in (settled_key(space), gone_key(space)):
        for key, _ in tx.notes(prefix):
            tx.drop_note(key)


def settled_key(space: int, block: int | None = None, reservation: str = "") -> str:
    """Return the key of the note on a settled reservation, or the beginning of a space's or block's such keys."""
    return f"settled/{space}/" + ("" if block is None else f"{block}/{reservation}")


def gone_key(space: int, block: int | None = None, network: str = "") -> str:
    """Return the key of the note on an associated network that vanished, or the beginning of such keys."""
    return f"gone/{space}/" + ("" if block is None else f"{block}/{network}")


def space_of(block: Claim) -> int:
    """Return the number of the space that a block is in, at whatever depth."""
    return int(block.owner.interface)


def blocks(tx: Tx, parent: int) -> list[Node[objects.Block]]:
    """Return every block beneath a space or a block, at any depth, each before those in it, in address order."""
    found: list[Node[objects.Block]] = []
    for child in tree.children(tx, parent, objects.Block):
        found += [child, *blocks(tx, child.id)]
    return found


class NewBlock(NamedTuple):
    """A block that is to be, directly in its space or inside the block `parent`."""

    name: str
    prefix: Prefix
    parent: str = ""
    desc: str = ""


class BlockChange(NamedTuple):
    """What is to be different about a block; None: nothing."""

    name: str | None = None
    prefix: Prefix | None = None
    desc: str | None = None


def create_block(tx: Tx, by: Author, space: str, new: NewBlock) -> Node[objects.Block]:
    """Make a block in the space. Raises Missing, BadValue, NameTaken, Outside or Overlap."""
    name, prefix = new.name, new.prefix
    root = tree.find_space(tx, space)
    facts = objects.Block(
        objects.check_name(objects.BLOCK, name), new.desc and objects.check_text(objects.BLOCK, new.desc)
    )
    refuse_block_name(tx, root.id, name)
    around = tree.find_block(tx, root.id, new.parent) if new.parent else None
    if around is not None:
        tree.require_inside(prefix, around.prefix, f"the block {new.parent}")
    under = root.id if around is None else around.id
    tree.refuse_overlap(tx, under, prefix)
    claim = tree.create(tx, by, Draft(under, prefix, Owner(objects.fold(name), str(root.id)), facts))
    return Node(claim, facts)


def refuse_block_name(tx: Tx, space: int, name: str, but: int = 0) -> None:
    """Raise NameTaken when another block of the space, at whatever depth, has this name."""
    for claim in tx.claims_named([objects.fold(name)]):
        if claim.kind == objects.BLOCK and claim.owner.interface == str(space) and claim.id != but:
            raise NameTaken(f"there is a block named {name} in this space already", kind=objects.BLOCK, value=name)


def change_block(tx: Tx, by: Author, space: str, block: str, new: BlockChange) -> Node[objects.Block]:
    """Rename, resize or describe a block anew. Raises Missing, BadValue, NameTaken, Overlap, Outside or Stale."""
    root = tree.find_space(tx, space)
    found = tree.find_block(tx, root.id, block)
    facts = objects.Block(
        objects.check_name(objects.BLOCK, found.facts.name if new.name is None else new.name),
        found.facts.desc if new.desc is None else new.desc and objects.check_text(objects.BLOCK, new.desc),
    )
    refuse_block_name(tx, root.id, facts.name, but=found.id)
    tree.refuse_stale(by, found.claim)
    by, claim = by._replace(expect=None), found.claim
    if new.prefix is not None and new.prefix != found.prefix:
        claim = _resize(tx, by, root.id, claim, new.prefix)
    if facts != found.facts:
        claim = tree.change(tx, by, claim, facts, owner=Owner(objects.fold(facts.name), str(root.id)))
    return Node(claim, facts)


def _resize(tx: Tx, by: Author, space: int, claim: Claim, prefix: Prefix) -> Claim:
    if claim.parent != space:
        around = tx.claim(claim.parent)
        assert around is not None
        tree.require_inside(prefix, tree.prefix_of(around), f"the block {around.owner.holder}")
    tree.refuse_overlap(tx, claim.parent, prefix, but=claim.id)
    return tree.move(tx, by, claim, prefix)


def remove_block(tx: Tx, by: Author, space: str, block: str, *, force: bool = False) -> None:
    """Remove a block; with `force` with all it holds. Settled reservations are no hindrance (D17).

    Raises Missing, NotEmpty or Stale.
    """
    root = tree.find_space(tx, space)
    found = tree.find_block(tx, root.id, block)
    held = next(tx.claims(found.id), None)
    if held is not None and not force:
        raise NotEmpty(
            f"the block {block} still holds the {held.kind} {held.text}: remove what it holds first, or use force",
            of=objects.BLOCK,
            value=block,
            holds=held.kind,
        )
    for inner in (found, *blocks(tx, found.id)):
        for key, _ in [*tx.notes(settled_key(root.id, inner.id)), *tx.notes(gone_key(root.id, inner.id))]:
            tx.drop_note(key)
    tree.remove_tree(tx, by, found.claim)


def path(tx: Tx, claim: Claim) -> list[Node[objects.Facts]]:
    """Return the objects around a claim, from its space down to itself."""
    found = [tree.node(claim)]
    while (parent := found[0].claim.parent) and (around := tx.claim(parent)) is not None:
        found.insert(0, tree.node(around))
    return found


def name_of(node: Node[objects.Facts]) -> str:
    """Return what an object is called."""
    facts = node.facts
    return facts.id if isinstance(facts, objects.Reservation | objects.Network) else facts.name
