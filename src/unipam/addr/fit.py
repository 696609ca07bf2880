"""Which free prefix to take: functions of free ranges, in address order. Knows no owner and no policy by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unipam.addr.prefix import BITS, Prefix, Range


def prefixes(first: int, last: int) -> Iterator[Prefix]:
    """Yield the fewest prefixes that cover exactly the addresses from `first` to `last`, lowest first."""
    #   5  6-7  8-------15       from 5 to 15, in IPv4's lengths /32, /31, /29: each is the largest block that is
    #                            aligned at where it begins and does not pass the end
    while first <= last:
        aligned = (first & -first).bit_length() - 1 if first else BITS
        fits = (last - first + 1).bit_length() - 1
        length = BITS - min(aligned, fits)
        yield Prefix(first, length)
        first += 1 << (BITS - length)


def lowest(free: Iterable[Range], length: int, amount: int) -> list[Range]:
    """Return the lowest ranges within the free ones that hold up to `amount` aligned prefixes of `length`."""
    size = 1 << (BITS - length)
    found = []
    for first, last in free:
        start = -(-first // size) * size
        if start + size - 1 <= last:
            count = min(amount, (last + 1 - start) // size)
            found.append(Range(start, start + count * size - 1))
            amount -= count
            if not amount:
                break
    return found


def first_fit(free: Iterable[Range], length: int) -> Prefix | None:
    """Return the lowest aligned prefix of `length` within the free ranges."""
    return next((Prefix(first, length) for first, _ in lowest(free, length, 1)), None)


def last_fit(free: Iterable[Range], length: int) -> Prefix | None:
    """Return the highest aligned prefix of `length` within the free ranges, which may come in any order."""
    size = 1 << (BITS - length)
    best = None
    for first, last in free:
        start = (last + 1) // size * size - size
        if start >= first and (best is None or start > best):
            best = start
    return None if best is None else Prefix(best, length)


def best_fit(free: Iterable[Range], length: int, *, reverse: bool = False) -> Prefix | None:
    """Return a prefix of `length` out of the smallest free prefix that holds it, so that large ones stay whole.

    Among equally small ones the lowest is cut, at its lowest part; with `reverse` the highest, at its highest part.
    """
    #   |=========/26=========||/28|      |====/27====|        free, cut into the blocks that it is made of:
    #                          ^ a /28 is taken here, and the /26 and the /27 stay whole
    best: Prefix | None = None
    for first, last in free:
        if last - first + 1 < 1 << (BITS - length):
            continue
        for block in prefixes(first, last):
            better = best is None or block.length > best.length or (reverse and block.length == best.length)
            if block.length <= length and better:
                best = block
    if best is None:
        return None
    return Prefix(best.last - (1 << (BITS - length)) + 1 if reverse else best.first, length)


def nth(free: Iterable[Range], index: int) -> int | None:
    """Return the free address number `index`, counted from 0 in address order."""
    for first, last in free:
        if index <= last - first:
            return first + index
        index -= last - first + 1
    return None
