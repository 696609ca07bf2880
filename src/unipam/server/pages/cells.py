"""A stretch of addresses as cells, one for each: which is used, and by what. Templates draw them as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from unipam.addr.prefix import BITS, Prefix, format_address

ACROSS, DOWN = 32, 8
PAGE = ACROSS * DOWN
"""Addresses of one drawing."""
USED, KEPT, FREE = "used", "kept", "free"


class Cell(NamedTuple):
    """An address, of which kind it is, and what is to be said of it."""

    kind: str
    title: str


class Line(NamedTuple):
    """Cells in a row, and the address of the first."""

    text: str
    cells: tuple[Cell, ...]


class Sheet(NamedTuple):
    """The cells of one part of a prefix; `parts` are all of its parts, to be chosen from, where there are several."""

    lines: tuple[Line, ...]
    part: str
    parts: tuple[str, ...]


def sheet(prefix: Prefix, known: Mapping[int, Cell], part: str = "", most: int = 64) -> Sheet:
    """Return a prefix's addresses as cells, what nothing is known of as free; of one of its parts, if it is large.

    At most `most` parts are offered: behind them nothing can be chosen.
    """
    length = max(prefix.length, BITS - PAGE.bit_length() + 1)
    step = 1 << (BITS - length)
    count = min(prefix.size // step, most) if length > prefix.length else 1
    parts = [Prefix(prefix.first + number * step, length) for number in range(count)]
    chosen = next((each for each in parts if str(each) == part), parts[0])
    lines = [
        Line(format_address(first), tuple(_cell(known, address) for address in range(first, last + 1)))
        for first, last in _rows(chosen)
    ]
    return Sheet(tuple(lines), str(chosen), tuple(map(str, parts)) if count > 1 else ())


def _rows(part: Prefix) -> Iterator[tuple[int, int]]:
    for first in range(part.first, part.last + 1, ACROSS):
        yield first, min(first + ACROSS - 1, part.last)


def _cell(known: Mapping[int, Cell], address: int) -> Cell:
    text = format_address(address)
    cell = known.get(address)
    return Cell(FREE, f"{text}: nothing is seen here") if cell is None else cell._replace(title=f"{text}: {cell.title}")
