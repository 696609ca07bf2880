"""Slow and obvious: what `addr` and `model` must say, worked out over plain sets and walks, one address at a time.

Nothing here shares code or ideas with what it judges; it is only usable in universes of a few hundred addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hypothesis import strategies as st

from unipam.addr.prefix import BITS, LINE_LAST, V4_FIRST, V4_LAST, Prefix, Range
from unipam.model.records import Pool, PoolRange

SPAN = 64
"""Addresses in a universe: an aligned block, so that every prefix of 1 to 64 addresses has its place."""

BASES = (0, V4_FIRST - SPAN, V4_FIRST, V4_FIRST + (10 << 24), V4_LAST + 1 - SPAN, V4_LAST + 1, LINE_LAST + 1 - SPAN)
"""Where universes lie: both ends of the line, both sides of both ends of IPv4, and in its middle."""

bases = st.sampled_from(BASES)
lengths = st.integers(BITS - 6, BITS)


@st.composite
def spans(draw: st.DrawFn, base: int) -> Range:
    """Some addresses in a row within the universe at `base`."""
    first = draw(st.integers(0, SPAN - 1))
    last = draw(st.integers(first, SPAN - 1))
    return Range(base + first, base + last)


def members(ranges: Iterable[tuple[int, int]]) -> set[int]:
    """Every address of the ranges."""
    return {address for first, last in ranges for address in range(first, last + 1)}


def runs(addresses: set[int]) -> list[Range]:
    """The longest rows of addresses, lowest first."""
    found: list[Range] = []
    for address in sorted(addresses):
        if found and found[-1].last + 1 == address:
            found[-1] = Range(found[-1].first, address)
        else:
            found.append(Range(address, address))
    return found


def block(prefix: Prefix) -> set[int]:
    """Every address of a prefix."""
    return {prefix.first + offset for offset in range(2 ** (BITS - prefix.length))}


def cover(addresses: set[int], base: int, length: int = BITS - 6) -> list[Prefix]:
    """The largest prefixes that lie wholly in the set, by halving the universe at `base` again and again."""
    whole = Prefix(base, length)
    if block(whole) <= addresses:
        return [whole]
    if not block(whole) & addresses:
        return []
    half = 2 ** (BITS - length - 1)
    return cover(addresses, base, length + 1) + cover(addresses, base + half, length + 1)


def fits(free: set[int], base: int, length: int) -> list[Prefix]:
    """Every aligned prefix of the length in the universe at `base` that is wholly free, lowest first."""
    every = (Prefix(first, length) for first in range(base, base + SPAN, 2 ** (BITS - length)))
    return [prefix for prefix in every if block(prefix) <= free]


def tightest(free: set[int], base: int, length: int, *, reverse: bool) -> Prefix | None:
    """The fit that lies in the smallest of the covering prefixes; the lowest such, or the highest."""
    large_enough = [whole for whole in cover(free, base) if whole.length <= length]
    if not large_enough:
        return None
    longest = max(whole.length for whole in large_enough)
    equal = [whole for whole in large_enough if whole.length == longest]
    within = fits(block(equal[-1 if reverse else 0]), base, length)
    return within[-1 if reverse else 0]


def walk(ranges: tuple[PoolRange, ...], cursor: int | None) -> Iterator[tuple[PoolRange, int]]:
    """Every candidate in host-local's order (spec cni-and-host-local §2.3): one ring, stepped through once.

    The ring is every address of every range in the order written; the walk starts behind the cursor, or at the
    beginning when the cursor is nowhere in it, and ends before it would come to its own start again. A range's own
    gateway is stepped over.
    """
    ring = [(span, address) for span in ranges for address in range(span.first, span.last + 1)]
    places = [index for index, (_, address) in enumerate(ring) if address == cursor]
    start = places[0] + 1 if places else 0
    for step in range(len(ring)):
        span, address = ring[(start + step) % len(ring)]
        if address != span.gateway:
            yield span, address


def next_address(pool: Pool, cursor: int | None, claimed: set[int]) -> int | None:
    """The first candidate that nobody claims."""
    return next((address for _, address in walk(pool.ranges, cursor) if address not in claimed), None)
