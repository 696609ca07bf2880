"""The order in which a host looks for a block in a pool (spec §1.6): from a place of its own round and round.

Bit for bit the original's, so that nodes of both kinds keep out of each other's way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unipam.addr.prefix import BITS, Prefix
from unipam.addr.ranges import RangeSet
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.rules.go_random import Source, fnv32


def start(pool: Pool, host: str, dice: int = 0) -> int:
    """Return the number of the block at which a host begins; `dice` is random, for pools of blocks of one address.

    There every host begins anywhere each time, since none needs to find its own block again.
    """
    seed = dice if pool.block_length == BITS else fnv32(host)
    return Source(seed).below(_count(pool))


def walk(pool: Pool, host: str, reserved: RangeSet, dice: int = 0) -> Iterator[Prefix]:
    """Yield every block of a pool once, in the host's order, but for those that are reserved wholly."""
    size = 1 << (BITS - pool.block_length)
    first = pool.prefix.first + start(pool, host, dice) * size
    for low, high in ((first, pool.prefix.last), (pool.prefix.first, first - 1)):
        at = low
        while at <= high and (usable := reserved.gap(at, high)) is not None:
            block = pool.block_of(usable)
            yield block
            at = block.last + 1


def in_order(pool: Pool, host: str, prefixes: Iterable[Prefix], dice: int = 0) -> list[Prefix]:
    """Return those of the prefixes that are blocks of a pool, in the host's order: it may be too large to be walked."""
    first = pool.prefix.first + (start(pool, host, dice) << (BITS - pool.block_length))
    own = (each for each in prefixes if each.length == pool.block_length and pool.holds(each.first))
    return sorted(own, key=lambda each: (each.first - first) % pool.prefix.size)


def _count(pool: Pool) -> int:
    return pool.prefix.size >> (BITS - pool.block_length)
