"""What is said where a request finds no room: the largest free prefix of each block, and what runs out next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

from unipam.addr.fit import prefixes
from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.moments import moment
from unipam.model.records import Claim
from unipam.plan.free import FreeSpace
from unipam.plan.tree import Node
from unipam.store.api import Tx

MOST = 1000
"""Free stretches, and reservations, that are looked at for a sentence about them."""


def room_left(tx: Tx, free: FreeSpace, blocks: Sequence[Node[objects.Block]]) -> str:
    """Return the sentence; it takes a bounded look, so what it names may not be the largest of a crowded block."""
    largest = [_largest(free, block) for block in blocks]
    said = [
        f"{prefix} is the largest free prefix of {name}" if prefix else f"{name} is full" for name, prefix in largest
    ]
    ending = [claim for block in blocks for claim in tx.expired(block.id, math.inf, math.inf, MOST)]
    return "; ".join([*said, *_next(ending)])


def _largest(free: FreeSpace, block: Node[objects.Block]) -> tuple[str, Prefix | None]:
    found = (prefix for gap in islice(free.gaps(block.claim), MOST) for prefix in prefixes(*gap))
    return block.facts.name, min(found, key=lambda prefix: (prefix.length, prefix.first), default=None)


def _next(ending: Sequence[Claim]) -> list[str]:
    """Say which of the claims that end by themselves ends first, and when."""
    first = min(ending, key=lambda claim: claim.until or math.inf, default=None)
    if first is None or first.until is None:
        return []
    return [f"the reservation {first.owner.holder} ({first.text}) runs out next, at {moment(first.until)}"]
