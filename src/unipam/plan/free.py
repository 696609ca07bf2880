"""Free space under a parent, as the decisions of one transaction see it: what is stored, less what was decided since.

A search begins at the floor that earlier searches left for its length, so that a full region is looked through once
and not for every request. Floors only rise here; `plan.reopen` lowers them when something is freed.
"""

from __future__ import annotations

from collections.abc import Iterator

from unipam.addr.fit import lowest
from unipam.addr.prefix import BITS, Prefix, Range, truncate
from unipam.addr.ranges import RangeSet
from unipam.model.errors import Exhausted
from unipam.model.objects import F, choose, length_in
from unipam.model.records import Claim
from unipam.plan.tree import Node
from unipam.store.api import Tx

WORTH_REMEMBERING = 16
"""Stretches that a search may look through before it is worth a write to spare the next one the same."""


class FreeSpace:
    """Free prefixes under parents, within one transaction that writes only after all is decided."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._taken: dict[int, RangeSet] = {}
        self._looked_at: dict[int, Range] = {}
        self._floors: dict[tuple[int, int], int] = {}
        self._costly: set[tuple[int, int]] = set()

    def gaps(self, parent: Claim, floor: int = 0) -> Iterator[Range]:
        """Yield the free stretches within the parent from `floor` on, lowest first."""
        first = max(parent.first, floor)
        taken = self._taken.get(parent.id)
        for gap in self._stored(parent, first):
            if taken is None:
                yield gap
            else:
                yield from taken.gaps(gap.first, gap.last)

    def _stored(self, parent: Claim, first: int) -> Iterator[Range]:
        """Yield what is free in the store from `first` on. The stretch looked at last needs no second question."""
        known = self._looked_at.get(parent.id)
        if known is not None and known.first <= first <= known.last:
            yield Range(first, known.last)
            first = known.last + 1
        if first <= parent.last:
            for gap in self._tx.gaps(parent.id, first, parent.last):
                self._looked_at[parent.id] = gap
                yield gap

    def find(self, parent: Claim, length: int, *, reverse: bool = False, smallest: bool = False) -> Prefix | None:
        """Return a free prefix of `length` within the parent (see `model.plan.choose`); it is not taken yet."""
        if reverse or smallest:
            return choose(self.gaps(parent), length, reverse=reverse, smallest=smallest)
        return next((Prefix(first, length) for first, _ in self._lowest(parent, length, 1)), None)

    def draw(self, parent: Claim, length: int, amount: int, *, reverse: bool, smallest: bool) -> list[Prefix]:
        """Take up to `amount` prefixes, each of which is what `find` would find then."""
        if not (reverse or smallest):
            return self._draw_lowest(parent, length, amount)
        drawn: list[Prefix] = []
        while len(drawn) < amount:
            prefix = self.find(parent, length, reverse=reverse, smallest=smallest)
            if prefix is None:
                break
            self.take(parent, prefix)
            drawn.append(prefix)
        return drawn

    def _draw_lowest(self, parent: Claim, length: int, amount: int) -> list[Prefix]:
        """Draw all at once, since a hundred prefixes side by side are one stretch."""
        drawn: list[Prefix] = []
        for first, last in self._lowest(parent, length, amount):
            self._take(parent, first, last)
            drawn += [Prefix(start, length) for start in range(first, last + 1, 1 << (BITS - length))]
        return drawn

    def _lowest(self, parent: Claim, length: int, amount: int) -> list[Range]:
        """Return the lowest free room for up to `amount` prefixes; from there on the next search goes."""
        key = (parent.id, length)
        if key not in self._floors:
            self._floors[key] = self._tx.cursor(*key) or 0
        looked = _Counted(self.gaps(parent, self._floors[key]))
        found = lowest(looked, length, amount)
        self._floors[key] = truncate(found[-1].last, length).first if found else parent.last + 1
        if looked.count > WORTH_REMEMBERING and found:
            self._costly.add(key)
        return found

    def is_free(self, parent: Claim, prefix: Prefix) -> bool:
        """Return whether no address of the prefix is taken."""
        taken = self._taken.get(parent.id)
        if taken is not None and taken.overlaps(prefix.first, prefix.last):
            return False
        return next(self._tx.gaps(parent.id, prefix.first, prefix.last), None) == (prefix.first, prefix.last)

    def take(self, parent: Claim, prefix: Prefix) -> None:
        """Take the prefix: from now on it is not free."""
        self._take(parent, prefix.first, prefix.last)

    def _take(self, parent: Claim, first: int, last: int) -> None:
        self._taken.setdefault(parent.id, RangeSet()).add(first, last)

    def give_back(self, parent: Claim, prefix: Prefix) -> None:
        """Give back what was taken: the request that took it was refused after all."""
        self._taken[parent.id].discard(prefix.first, prefix.last)
        for key, floor in self._floors.items():
            if key[0] == parent.id:
                self._floors[key] = min(floor, prefix.first)

    def remember(self) -> None:
        """Leave the floors of long searches to those who come after."""
        for parent, length in sorted(self._costly):
            self._tx.set_cursor(parent, length, self._floors[parent, length])


class _Counted:
    """An iterable of stretches that knows how many were looked at."""

    def __init__(self, gaps: Iterator[Range]) -> None:
        self._gaps = gaps
        self.count = 0

    def __iter__(self) -> Iterator[Range]:
        for gap in self._gaps:
            self.count += 1
            yield gap


def next_free(
    free: FreeSpace, block: Node[F], bits: int, *, reverse: bool = False, smallest: bool = False
) -> Prefix | None:
    """Return a free prefix of the length under a parent, not taken yet. Raises BadValue when it is no length at all."""
    try:
        length = length_in(block.prefix, bits)
    except Exhausted:
        return None
    return free.find(block.claim, length, reverse=reverse, smallest=smallest)
