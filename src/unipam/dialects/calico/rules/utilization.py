"""How full pools and blocks are (spec §1.11): what is in use, what is reserved, and what is neither."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from unipam.addr.prefix import Prefix
from unipam.addr.ranges import RangeSet
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.rules import blocks as of_blocks


class Usage(NamedTuple):
    """How many addresses a prefix has. `in_use` and `reserved` may overlap; `free` are those that are neither.

    What cools and what a Windows host keeps for itself counts as in use.
    """

    prefix: Prefix
    capacity: int
    in_use: int
    reserved: int
    free: int


class PoolUsage(NamedTuple):
    """A pool, or what lies in no pool (None), and its blocks."""

    pool: Pool | None
    usage: Usage | None
    blocks: tuple[Usage, ...]


def utilization(pools: Sequence[Pool], blocks: Iterable[Block], reserved: RangeSet) -> list[PoolUsage]:
    """Return how full each pool is, in the order given; at last the blocks that lie in no pool, where there are any."""
    inside: dict[str, list[Block]] = {pool.name: [] for pool in pools}
    orphans: list[Block] = []
    for block in blocks:
        pool = next((pool for pool in pools if pool.holds(block.prefix.first)), None)
        (orphans if pool is None else inside[pool.name]).append(block)
    found = [
        PoolUsage(pool, _of_pool(pool.prefix, inside[pool.name], reserved), _of_blocks(inside[pool.name], reserved))
        for pool in pools
    ]
    return [*found, PoolUsage(None, None, _of_blocks(orphans, reserved))] if orphans else found


def _of_blocks(blocks: Iterable[Block], reserved: RangeSet) -> tuple[Usage, ...]:
    return tuple(of_block(block, reserved) for block in blocks)


def of_block(block: Block, reserved: RangeSet) -> Usage:
    """Return how full a block is."""
    in_use = sum(index is not None for index in block.allocations)
    within = covered(block.prefix, reserved)
    return Usage(block.prefix, block.prefix.size, in_use, within, of_blocks.free(block, reserved))


def _of_pool(prefix: Prefix, blocks: Sequence[Block], reserved: RangeSet) -> Usage:
    in_use = unreserved = 0
    for block in blocks:
        held = [ordinal for ordinal, index in enumerate(block.allocations) if index is not None]
        in_use += len(held)
        unreserved += sum(block.address(ordinal) not in reserved for ordinal in held)
    within = covered(prefix, reserved)
    return Usage(prefix, prefix.size, in_use, within, prefix.size - within - unreserved)


def covered(prefix: Prefix, reserved: RangeSet) -> int:
    """Count the addresses of a prefix that are reserved."""
    return (RangeSet([(prefix.first, prefix.last)]) & reserved).size
