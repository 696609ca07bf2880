"""Questions about the plan: how full, what is free, what lies around a prefix. Functions of one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from unipam.addr.fit import prefixes
from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.objects import F
from unipam.model.records import SPACE, Claim, Entry, Extent, Selection
from unipam.plan import tree
from unipam.plan.blocks import name_of
from unipam.plan.free import FreeSpace
from unipam.plan.tree import Node
from unipam.store.api import Tx


class Use(NamedTuple):
    """How much there is and how much of it is used, in addresses; `reserved` is kept for what is to come."""

    size: int
    used: int
    reserved: int
    free: int


def use_of(tx: Tx, holder: Node[F], claims: Iterable[Claim] | None = None) -> Use:
    """Return how full a block, an external network or its subnet is. `claims` are all it holds, if they are known.

    Whatever it holds uses it up, but for reservations (spec azure-ipam-application §3.1).
    """
    return uses_of(tx, [holder.claim])[holder.id] if claims is None else use_among(holder.claim, claims)


def use_among(holder: Claim, claims: Iterable[Claim]) -> Use:
    """Return how full something is that holds these claims and no others."""
    held = [(claim.last - claim.first + 1, claim.kind) for claim in claims]
    reserved = sum(size for size, kind in held if kind == objects.RESERVATION)
    return use(holder, sum(size for size, _ in held), reserved)


def uses_of(tx: Tx, holders: Sequence[Claim]) -> dict[int, Use]:
    """Return how full each of these is, by number, as `use_of` does for one; the store is asked once for all."""
    numbers = [claim.id for claim in holders]
    claimed, reserved = tx.claimed(numbers), tx.extents(numbers, objects.RESERVATION)
    none = Extent(0, 0)
    return {c.id: use(c, claimed.get(c.id, 0), reserved.get(c.id, none).addresses) for c in holders}


def use(holder: Claim, claimed: int, reserved: int) -> Use:
    """Return how full something is in which so much is claimed, and so much of that for reservations."""
    size = holder.last - holder.first + 1
    return Use(size, claimed - reserved, reserved, size - claimed)


def space_use(tx: Tx, space: int, family: int) -> Use:
    """Return how full a space's outermost blocks of a family (4 or 6) are, all together."""
    found = [block.claim for block in tree.children(tx, space, objects.Block) if block.prefix.family == family]
    rows = uses_of(tx, found).values()
    return Use(*(sum(row[i] for row in rows) for i in range(4)))


class Candidate(NamedTuple):
    """A free prefix and why it is offered."""

    prefix: Prefix
    reason: str


def candidates(
    tx: Tx, holder: Node[F], bits: int, limit: int, *, reverse: bool = False, smallest: bool = False
) -> list[Candidate]:
    """Return the next free prefixes of a length, in the order of giving. Raises BadValue, Exhausted."""
    free, length = FreeSpace(tx), objects.length_in(holder.prefix, bits)
    found: list[Candidate] = []
    reason = objects.why(reverse, smallest)
    while len(found) < limit:
        prefix = free.find(holder.claim, length, reverse=reverse, smallest=smallest)
        if prefix is None:
            break
        free.take(holder.claim, prefix)
        found.append(Candidate(prefix, reason if not found else f"{reason}, after those before it"))
    return found


def free_prefixes(tx: Tx, holder: Node[F]) -> Iterator[Prefix]:
    """Yield the fewest prefixes that are exactly the free space of what holds them, lowest first."""
    for gap in FreeSpace(tx).gaps(holder.claim):
        yield from prefixes(gap.first, gap.last)


class Related(NamedTuple):
    """An object that has to do with a prefix: what it is, where, and how it lies to the prefix."""

    kind: str
    name: str
    prefix: str
    path: tuple[str, ...]
    relation: str
    since: float
    state: str


def explain(tx: Tx, space: str, prefix: Prefix) -> list[Related]:
    """Return everything in the space that contains the prefix, is it, or lies within it, from the outermost inwards."""
    root = tree.find_space(tx, space)
    return list(_around(tx, root.id, prefix, (root.facts.name,)))


def _around(tx: Tx, parent: int, prefix: Prefix, path: tuple[str, ...]) -> Iterator[Related]:
    for claim in tree.overlaps(tx, parent, prefix):
        node = tree.node(claim)
        own = node.prefix
        relation = "is" if own == prefix else "contains" if own.contains(prefix) else "within"
        here = (*path, name_of(node))
        yield Related(claim.kind, name_of(node), str(own), here, relation, claim.since, claim.state)
        yield from _around(tx, claim.id, prefix, here)


def everywhere(tx: Tx, prefix: Prefix) -> list[Related]:
    """Explain a prefix in every space, as `explain` does in one."""
    return [held for space in tree.spaces(tx) for held in _around(tx, space.id, prefix, (space.facts.name,))]


def history(tx: Tx, *, prefix: Prefix | None = None, holder: str = "", limit: int = 100) -> list[Entry]:
    """Return what happened to an address or prefix, or to what is called so, newest first."""
    address = None if prefix is None else prefix.first
    return tx.journal(address=address, holder=holder, limit=limit)


def network_of(entry: Entry) -> str:
    """Return the id of the network that a line of the journal is about; empty when it is about something else."""
    try:
        facts = objects.decode(entry.details)
    except msgspec.MsgspecError:  # what was done to tokens and the like has details in words
        return ""
    return facts.id if isinstance(facts, objects.Network) else ""


def counts(tx: Tx) -> dict[str, int]:
    """Return how many objects of each kind there are."""
    inner = {kind: tx.tally(Selection(kind)) for kind in objects.KINDS if kind != SPACE}
    return {SPACE: len(tx.spaces()), **inner}
