"""Pictures of address space as plain figures: which mark stands where. Templates draw them as SVG.

Whatever is small is merged with what is beside it, so that no picture has more marks than a person could tell apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from unipam.addr.prefix import Prefix, Range, truncate

WIDTH = 1000.0
FEWEST = 5.0
"""Units of `WIDTH` that a mark has at least; what is narrower is merged."""
MANY = "many"
MOST_MARKS, MOST_IN_OVERVIEW = 160, 120
"""Marks of one picture: with more of them its page would exceed 60 kB, and they would be too narrow to be hit."""


class Item(NamedTuple):
    """A stretch of addresses, and what is there. `place` tells where it leads, empty: nowhere; most are never asked."""

    first: int
    last: int
    kind: str
    name: str = ""
    place: Callable[[], str] = str
    used: float = 0.0


class Mark(NamedTuple):
    """A stretch of a row. `things` are how many it stands for; `x` and `width` lie within `WIDTH`."""

    x: float
    width: float
    kind: str
    name: str
    title: str
    place: str
    used: float
    things: int


class Row(NamedTuple):
    """A row of a map: which addresses it shows, as people write them, and the marks on it."""

    text: str
    marks: tuple[Mark, ...]


def row_of(span: Range, items: Iterable[Item], text: str, fewest: float = FEWEST) -> Row:
    """Return the items that lie in a stretch as marks of one row, in address order."""
    inner = (each for each in items if each.last >= span.first and each.first <= span.last)
    return Row(text, tuple(_merged([_spot(each, span) for each in inner], fewest)))


class _Spot(NamedTuple):
    """Where an item lies on a row; most become part of one mark with others, and are never written out."""

    x: float
    width: float
    item: Item

    @property
    def end(self) -> float:
        return self.x + self.width

    @property
    def title(self) -> str:
        return f"{self.item.name} {Range(self.item.first, self.item.last)}".strip()


def _spot(item: Item, span: Range) -> _Spot:
    first, last, size = max(item.first, span.first), min(item.last, span.last), span.last - span.first + 1
    return _Spot(WIDTH * (first - span.first) / size, WIDTH * (last - first + 1) / size, item)


def _mark(spot: _Spot, width: float, things: int = 1) -> Mark:
    item = spot.item
    return Mark(spot.x, width, item.kind, item.name, spot.title, item.place(), item.used, things)


def _merged(spots: Sequence[_Spot], fewest: float) -> Iterator[Mark]:
    """Yield the items as marks, with neighbours that are too narrow as one."""
    group: list[_Spot] = []
    for spot in spots:
        if spot.width >= fewest:
            yield from _together(group)
            group = []
            yield _mark(spot, spot.width)
            continue
        if group and spot.end - group[0].x > fewest * 2:
            yield from _together(group)
            group = []
        group.append(spot)
    yield from _together(group)


def _together(group: Sequence[_Spot]) -> Iterator[Mark]:
    if not group:
        return
    first, width = group[0], group[-1].end - group[0].x
    used = [spot for spot in group if spot.item.kind != "free"]
    if len(group) == 1 or not used:
        yield _mark(first, width, len(group))
        return
    title = f"{len(used)} too small to tell apart: {used[0].title} to {used[-1].title}"
    yield Mark(first.x, width, MANY, "", title, "", 0.0, len(used))


def rows_of(span: Prefix, items: Sequence[Item], most: int = 8) -> list[Row]:
    """Return a prefix as up to `most` rows of the same length (a power of two), the lowest addresses first."""
    bits = min(most.bit_length() - 1, 128 - span.length)
    return _few_marks(lambda fewest: _rows(span, items, bits, fewest), FEWEST, MOST_MARKS)


def overview_of(strips: Sequence[tuple[Prefix, Sequence[Item]]]) -> list[Row]:
    """Return prefixes with what lies in them as a row each: rows of one drawing, whose marks all together are few."""
    return _few_marks(lambda fewest: [_rows(*strip, 0, fewest)[0] for strip in strips], 3.4 * FEWEST, MOST_IN_OVERVIEW)


def _few_marks(draw: Callable[[float], list[Row]], fewest: float, most: int) -> list[Row]:
    """Return rows as they are drawn with marks that are wide enough for there to be no more than so many.

    A row has at least one mark for each width of it, so this ends where each row is one mark, or two.
    """
    rows = draw(fewest)
    while sum(len(row.marks) for row in rows) > most and fewest < WIDTH:
        fewest *= 2
        rows = draw(fewest)
    return rows


def _rows(span: Prefix, items: Sequence[Item], bits: int, fewest: float) -> list[Row]:
    rows = []
    step = span.size >> bits
    for number in range(1 << bits):
        first = span.first + number * step
        part = Range(first, first + step - 1)
        rows.append(row_of(part, items, str(truncate(first, span.length + bits)), fewest))
    return rows


class Tile(NamedTuple):
    """A rectangle of a treemap, within `WIDTH` times a height."""

    x: float
    y: float
    width: float
    height: float
    item: Item


def treemap(items: Sequence[Item], height: float) -> list[Tile]:
    """Return rectangles whose areas are as the items' sizes: squarified, the largest first (Bruls, 2000)."""
    total = sum(each.last - each.first + 1 for each in items)
    if not total:
        return []
    left = [(each, WIDTH * height * (each.last - each.first + 1) / total) for each in _by_size(items)]
    tiles: list[Tile] = []
    x = y = 0.0
    w, h = WIDTH, height
    while left:
        taken = _strip(left, min(w, h))
        area = sum(size for _, size in left[:taken])
        thick = area / min(w, h)
        offset = 0.0
        for item, size in left[:taken]:
            along = size / thick
            tile = Tile(x, y + offset, thick, along, item) if w >= h else Tile(x + offset, y, along, thick, item)
            tiles.append(tile)
            offset += along
        x, y, w, h = (x + thick, y, w - thick, h) if w >= h else (x, y + thick, w, h - thick)
        left = left[taken:]
    return tiles


def largest(items: Sequence[Item], most: int) -> list[Item]:
    """Return the largest items, and one for all the others together where there are more."""
    ordered = _by_size(items)
    if len(ordered) <= most:
        return ordered
    rest = ordered[most - 1 :]
    size = sum(each.last - each.first + 1 for each in rest)
    return [*ordered[: most - 1], Item(0, size - 1, MANY, f"{len(rest)} smaller ones")]


def _by_size(items: Sequence[Item]) -> list[Item]:
    return sorted(items, key=lambda each: (each.first - each.last, each.first))


def _strip(left: Sequence[tuple[Item, float]], side: float) -> int:
    """Return how many of the next items make one strip: as long as the worst of them becomes no more oblong."""
    worst, area = float("inf"), 0.0
    for count, (_, size) in enumerate(left, start=1):
        area += size
        largest, smallest = left[0][1], size
        ratio = max(side * side * largest / (area * area), area * area / (side * side * smallest)) if smallest else 1e18
        if ratio > worst:
            return count - 1
        worst = ratio
    return len(left)
