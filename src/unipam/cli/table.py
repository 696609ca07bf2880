"""Tables for people, alike on a terminal and in a pipe: what matters whole, numbers to the right, ages for moments."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Row = Mapping[str, object]

ID_LENGTH = 12
"""How much of an id a table shows; -o wide shows all of it."""

NOTHING = "-"
"""What stands where there is nothing: each line has as many words as there are heads, but for texts with spaces."""


class Column(NamedTuple):
    """A column of a table: its head, what it takes of a row, and how that is written."""

    head: str
    read: Callable[[Row], Any]
    write: Callable[[Any], str]
    right: bool = False
    wide: bool = False
    write_wide: Callable[[Any], str] | None = None

    def sort_key(self, row: Row) -> Any:
        """Return where a row stands in this column's order: of ages the youngest comes first."""
        place = order(self.read(row))
        return (0, -seconds(self.read(row)), "") if self.write is since and place[0] < 3 else place


class View(NamedTuple):
    """How rows of a kind are shown: the schema of their document, their columns, and the field that names a row."""

    schema: str
    columns: tuple[Column, ...]
    name: str
    within: tuple[str, ...] = ()
    """The fields that its name is unique within."""

    def with_column(self, column: Column) -> View:
        """Return the view with one more column, the first."""
        return self._replace(columns=(column, *self.columns))


def column(field: str, head: str = "", *, wide: bool = False) -> Column:
    """Return a column of texts; a dot in the field leads into a member, lists are written with spaces between."""
    return Column(head or field, lambda row: member(row, field), plain, wide=wide)


def ident(field: str, head: str = "", *, wide: bool = False) -> Column:
    """Return a column of ids, whose beginnings tell them apart."""
    return column(field, head, wide=wide)._replace(write=lambda value: plain(value)[:ID_LENGTH], write_wide=plain)


def number(field: str, head: str = "", *, wide: bool = False) -> Column:
    """Return a column of counts."""
    return column(field, head, wide=wide)._replace(write=count, right=True)


def age(field: str, head: str = "age", *, wide: bool = False) -> Column:
    """Return a column that says how long ago a moment was (epoch seconds or RFC 3339)."""
    return column(field, head, wide=wide)._replace(write=since)


def moment(field: str, head: str = "", *, wide: bool = True) -> Column:
    """Return a column of moments, as they are read by people and machines."""
    return column(field, head, wide=wide)._replace(write=stamp)


def share(part: str, whole: str, head: str = "use") -> Column:
    """Return a column with the share of one count in another, in per cent."""
    return Column(head, lambda row: fraction(member(row, part), member(row, whole)), percent, right=True)


def member(row: Any, field: str) -> Any:
    """Return a member of a row, or of a member of it; None where there is none."""
    for name in field.split("."):
        row = row.get(name) if isinstance(row, Mapping) else None
    return row


def plain(value: Any) -> str:
    """Return any value as a table shows it."""
    if isinstance(value, (list, tuple)):
        return " ".join(map(plain, value))
    return "" if value is None else str(value)


def count(value: Any) -> str:
    """Return a count; one that nobody would read, such as the addresses of a prefix of IPv6, as a power."""
    if not isinstance(value, int) or value < 10**12:
        return plain(value)
    exact = value & (value - 1) == 0
    return f"2^{value.bit_length() - 1}" if exact else f"{value:.2e}".replace("e+", "e")


def fraction(part: Any, whole: Any) -> float | None:
    """Return a share as a number from 0 to 1; None of nothing."""
    return part / whole if isinstance(part, int) and isinstance(whole, int) and whole else None


def percent(value: float | None) -> str:
    """Return a share in per cent, where only nothing is 0 % and only all is 100 %."""
    if value is None:
        return ""
    if 0 < value < 0.01:
        return "<1%"
    return ">99%" if 0.99 < value < 1 else f"{value:.0%}"


def seconds(value: Any) -> float:
    """Return a moment as epoch seconds."""
    from datetime import datetime  # whatever shows no table does without

    return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else float(value)


def since(value: Any) -> str:
    """Return how long ago a moment was; empty for none."""
    return "" if value in (None, "") else duration(time.time() - seconds(value))


def stamp(value: Any) -> str:
    """Return a moment in RFC 3339; empty for none."""
    from unipam.model.moments import moment as written

    return "" if value in (None, "") else value if isinstance(value, str) else written(value)


_STEPS = (
    (120, 1, "s", 0, ""),
    (600, 60, "m", 1, "s"),
    (3 * 3600, 60, "m", 0, ""),
    (8 * 3600, 3600, "h", 60, "m"),
    (48 * 3600, 3600, "h", 0, ""),
    (8 * 86400, 86400, "d", 3600, "h"),
    (730 * 86400, 86400, "d", 0, ""),
    (float("inf"), 365 * 86400, "y", 86400, "d"),
)
"""Below how many seconds a duration is written in which unit, and its rest in which."""


def duration(seconds: float) -> str:
    """Return a duration as kubectl writes ages: 45s, 5m10s, 12h, 3d4h; the longer, the coarser."""
    whole = max(0, int(seconds))
    _, unit, name, part, part_name = next(step for step in _STEPS if whole < step[0])
    rest = whole % unit // part if part else 0
    return f"{whole // unit}{name}" + (f"{rest}{part_name}" if rest else "")


class Table:
    """Draws rows under one set of heads; what is added later stands under what was there."""

    def __init__(self, columns: Sequence[Column], *, wide: bool = False, heads: bool = True) -> None:
        self._columns = [each for each in columns if wide or not each.wide]
        self._writers = [(wide and each.write_wide) or each.write for each in self._columns]
        self._heads = [each.head.upper() for each in self._columns] if heads else []
        self._widths = [0] * len(self._columns)

    def lines(self, rows: Sequence[Row]) -> Iterator[str]:
        """Yield the heads, the first time, and a line for each row."""
        shown = list(zip(self._columns, self._writers, strict=True))
        texts = [[write(each.read(row)) or NOTHING for each, write in shown] for row in rows]
        if self._heads:
            texts.insert(0, self._heads)
            self._heads = []
        for line in texts:
            self._widths = list(map(max, self._widths, map(len, line)))
        yield from map(self._line, texts)

    def _line(self, texts: Sequence[str]) -> str:
        cells = zip(self._columns, texts, self._widths, strict=True)
        return "  ".join(t.rjust(width) if c.right else t.ljust(width) for c, t, width in cells).rstrip()


def sorted_by(rows: Sequence[Row], columns: Sequence[Column], wanted: str) -> list[Row]:
    """Return the rows by a column or a field, from the last to the first with a - before it.

    Raises KeyError when there is none of this name.
    """
    name = wanted.removeprefix("-").removeprefix(".").lower()
    known = {each.head.lower(): each.sort_key for each in reversed(columns)}
    if name not in known and rows and not any(name in row for row in rows):
        raise KeyError(name)
    key = known.get(name, lambda row: order(member(row, name)))
    return sorted(rows, key=key, reverse=wanted.startswith("-"))


def order(value: Any) -> tuple[int, Any, str]:
    """Return where a value stands: numbers and addresses by their value, then texts, nothing last."""
    from unipam.addr.prefix import parse_address

    if value is None or value == "":
        return 3, 0, ""
    if isinstance(value, (int, float)):
        return 0, value, ""
    text = plain(value)
    address, _, length = text.partition("/")
    try:
        return 1, (parse_address(address), int(length or 128)), text
    except ValueError:
        return 2, text.lower(), text
