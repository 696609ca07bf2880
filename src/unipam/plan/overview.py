"""What a planner looks at first: what is nearly full, what expires soon. Functions of one transaction."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from unipam.model import objects
from unipam.model.records import Claim, Selection
from unipam.plan import tree
from unipam.plan.blocks import name_of
from unipam.plan.listing import Paths
from unipam.store.api import Tx

SOON = 14 * 86_400.0
"""Seconds within which a reservation expires soon."""
_ALL = 100_000
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
    paths = Paths(tx)
    found = [(paths.of(claim.parent), claim) for claim in tx.select(Selection(objects.BLOCK, limit=_ALL))]
    taken = tx.claimed([claim.id for _, claim in found])
    rows = (_fullness(path, claim, taken.get(claim.id, 0)) for path, claim in found)
    fullest = sorted(rows, key=lambda row: (-row.taken / row.size, row.cidr))
    expiring = sorted((row for each in found for row in _expiring(tx, *each, now)), key=lambda row: row.expires_on)
    return Overview(len(tx.spaces()), len(found), [row for row in fullest if row.taken][:most], expiring[:most])


def _fullness(path: tuple[str, ...], claim: Claim, taken: int) -> Fullness:
    prefix = tree.prefix_of(claim)
    return Fullness(path[0], name_of(tree.node(claim)), str(prefix), prefix.size, taken)


def _expiring(tx: Tx, path: tuple[str, ...], block: Claim, now: float) -> Iterator[Expiring]:
    for claim in tx.expired(block.id, now + SOON, _ALWAYS, 1000):
        node = tree.node(claim)
        if isinstance(node.facts, objects.Reservation) and claim.until is not None:
            name = name_of(tree.node(block))
            yield Expiring(node.facts.id, path[0], name, str(node.prefix), node.facts.created_by, claim.until)
