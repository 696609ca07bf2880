"""Prefixes with what holds them, to be asked which of them overlap another. Pure; meaning is given in `drift`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, truncate


class Taken(NamedTuple):
    """A prefix that something holds: what (`subject`), how people call it, and in which block."""

    prefix: Prefix
    subject: str
    name: str
    block: Any


class TakenIndex:
    """Finds overlaps in time that does not grow with the number of prefixes that do not overlap.

    Of two prefixes that overlap one contains the other: those around a prefix are among its own truncations, of the
    lengths that there are; those within it begin between its ends.
    """

    def __init__(self, taken: Iterable[Taken]) -> None:
        self._at: dict[Prefix, list[Taken]] = {}
        for each in taken:
            self._at.setdefault(each.prefix, []).append(each)
        self._lengths = sorted({prefix.length for prefix in self._at})
        self._sorted = sorted(self._at)
        self._firsts = [prefix.first for prefix in self._sorted]

    def overlapping(self, prefix: Prefix) -> Iterator[Taken]:
        """Yield what overlaps the prefix, the widest first."""
        for length in self._lengths:
            if length >= prefix.length:
                break
            yield from self._at.get(truncate(prefix.first, length), ())
        place = bisect_right(self._firsts, prefix.first - 1)
        while place < len(self._firsts) and self._firsts[place] <= prefix.last:
            if self._sorted[place].length >= prefix.length:
                yield from self._at[self._sorted[place]]
            place += 1
