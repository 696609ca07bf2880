"""RangeSet: a set of addresses kept as ranges. Knows neither claims nor pools."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from unipam.addr.prefix import Range


class RangeSet:
    """A mutable set of addresses.

    Adding and removing cost a binary search and a memory move, so a set of many thousand ranges stays fast;
    asking for a gap costs a binary search.
    """

    # Invariant of the two lists: sorted, disjoint and coalesced, i.e. _lasts[i] + 1 < _firsts[i + 1].
    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def __iter__(self) -> Iterator[Range]:
        return map(Range, self._firsts, self._lasts)

    def __len__(self) -> int:
        """Return how many ranges (not addresses)."""
        return len(self._firsts)

    def __contains__(self, value: int) -> bool:
        index = bisect_right(self._firsts, value) - 1
        return index >= 0 and value <= self._lasts[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and (self._firsts, self._lasts) == (other._firsts, other._lasts)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"RangeSet({[str(r) for r in self]})"

    @property
    def size(self) -> int:
        """Return how many addresses."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def copy(self) -> RangeSet:
        """Return an independent set of the same addresses."""
        twin = RangeSet()
        twin._firsts, twin._lasts = self._firsts[:], self._lasts[:]
        return twin

    def overlaps(self, first: int, last: int) -> bool:
        """Return whether any address from `first` to `last` is in the set."""
        index = bisect_right(self._firsts, last) - 1
        return index >= 0 and self._lasts[index] >= first

    def add(self, first: int, last: int) -> None:
        """Put in every address from `first` to `last`, swallowing what it overlaps or touches."""
        #      low            high
        #  f----t  f--t    f----t     f---t
        #         first------last
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def discard(self, first: int, last: int) -> None:
        """Take out every address from `first` to `last`; what sticks out on either side stays."""
        #        low          high
        #  f--t  f-----t  f-----t   f---t
        #           first----last
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        if low >= high:
            return
        left, right = self._firsts[low], self._lasts[high - 1]
        keep = [(left, first - 1)] * (left < first) + [(last + 1, right)] * (last < right)
        self._firsts[low:high] = [f for f, _ in keep]
        self._lasts[low:high] = [t for _, t in keep]

    def gap(self, first: int, last: int) -> int | None:
        """Return the lowest address from `first` to `last` that is not in the set."""
        index = bisect_right(self._firsts, first) - 1
        if index >= 0 and self._lasts[index] >= first:
            first = self._lasts[index] + 1
        return first if first <= last else None

    def gaps(self, first: int, last: int) -> Iterator[Range]:
        """Yield the ranges from `first` to `last` that are not in the set, lowest first."""
        index = bisect_left(self._lasts, first)
        while first <= last:
            if index == len(self._firsts) or self._firsts[index] > last:
                yield Range(first, last)
                return
            if first < self._firsts[index]:
                yield Range(first, self._firsts[index] - 1)
            first = self._lasts[index] + 1
            index += 1

    def __or__(self, other: RangeSet) -> RangeSet:
        union = self.copy()
        for first, last in other:
            union.add(first, last)
        return union

    def __sub__(self, other: RangeSet) -> RangeSet:
        rest = self.copy()
        for first, last in other:
            rest.discard(first, last)
        return rest

    def __and__(self, other: RangeSet) -> RangeSet:
        return self - (self - other)
