"""What a planner looks at first: what is nearly full, what expires soon. Functions of one transaction."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from unipam.model import objects
from unipam.plan import tree
from unipam.plan.blocks import blocks
from unipam.plan.tree import Node
from unipam.store.api import Tx

SOON = 14 * 86_400.0
"""Seconds within which a reservation expires soon."""
_ALWAYS = 1e12
"""Seconds by which no clock is set back."""


class Fullness(msgspec.Struct, frozen=True):
    """A block and how many of its addresses are taken: used, or reserved."""

    space: str
    block: str
    cidr: str
    size: int
    taken: int


class Expiring(msgspec.Struct, frozen=True):
    """A reservation that expires soon. Times in seconds since the epoch."""

    id: str
    space: str
    block: str
    cidr: str
    created_by: str
    expires_on: float


class Overview(msgspec.Struct, frozen=True):
    """How many spaces and blocks there are, the fullest blocks first, and the reservations that expire first."""

    spaces: int
    blocks: int
    fullest: list[Fullness]
    expiring: list[Expiring]


def overview(tx: Tx, now: float, most: int = 5) -> Overview:
    """Return what deserves attention, at most so many of each."""
    spaces = tree.spaces(tx)
    found = [(space.facts.name, block) for space in spaces for block in blocks(tx, space.id)]
    fullest = sorted((_fullness(tx, *each) for each in found), key=lambda row: (-row.taken / row.size, row.cidr))
    expiring = sorted((row for each in found for row in _expiring(tx, *each, now)), key=lambda row: row.expires_on)
    return Overview(len(spaces), len(found), [row for row in fullest if row.taken][:most], expiring[:most])


def _fullness(tx: Tx, space: str, block: Node[objects.Block]) -> Fullness:
    """Return how full a block is, from the stretches that are free: there are fewer of them than claims."""
    free = sum(last - first + 1 for first, last in tx.gaps(block.id, block.prefix.first, block.prefix.last))
    return Fullness(space, block.facts.name, str(block.prefix), block.prefix.size, block.prefix.size - free)


def _expiring(tx: Tx, space: str, block: Node[objects.Block], now: float) -> Iterator[Expiring]:
    for claim in tx.expired(block.id, now + SOON, _ALWAYS, 1000):
        facts = tree.node(claim).facts
        if isinstance(facts, objects.Reservation) and claim.until is not None:
            prefix = str(tree.node(claim).prefix)
            yield Expiring(facts.id, space, block.facts.name, prefix, facts.created_by, claim.until)
