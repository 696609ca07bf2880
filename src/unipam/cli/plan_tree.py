"""The plan as a picture: what lies in what, how full it is, what is free. Here: the tree as rows; not here: asking."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from unipam.addr.fit import prefixes
from unipam.addr.prefix import Prefix, parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.cli.table import Column, View, column, count, fraction, ident, member, percent, plain

Item = dict[str, Any]
"""An object of the plan as the register tells it, with what it holds as `items`."""

_HOLDERS = ("space", "block", "external", "subnet")
_BOX = ("├─ ", "│  ", "└─ ", "   ")
_ASCII = ("|- ", "|  ", "`- ", "   ")
_BAR = 8
"""How many characters a bar is long."""


def under(items: Iterable[Item], wanted: str, path: str = "") -> Iterator[Item]:
    """Yield the outermost objects of this name, path (SPACE/BLOCK/…) or id, or that lie within this prefix."""
    try:
        place = parse_prefix(wanted)
    except ValueError:
        place = None
    for item in items:
        here = f"{path}/{item['name']}".removeprefix("/")
        if wanted in (item["name"], here) or (place and item["cidr"] and place.contains(parse_prefix(item["cidr"]))):
            yield item
        else:
            yield from under(item["items"], wanted, here)


def measured(item: Item, *, free: bool, depth: int | None) -> Item:
    """Return an object with its `use`, down to a depth (None: all), with what is free as objects of their own kind."""
    held = item["items"]
    more = {"use": _use(item)} if item["kind"] in _HOLDERS else {}
    shown = [] if depth == 0 else [measured(e, free=free, depth=None if depth is None else depth - 1) for e in held]
    if free and depth != 0 and item["cidr"] and item["kind"] in _HOLDERS:
        shown = sorted([*shown, *_free(item)], key=lambda each: parse_prefix(each["cidr"]).first)
    return {**item, **more, "items": shown}


def _use(item: Item) -> dict[str, int]:
    """Return how full it is: whatever it holds uses it up, but for reservations. Of a space: its blocks together."""
    if item["kind"] == "space":
        blocks = [_use(each) for each in item["items"] if ":" not in each["cidr"]] or list(map(_use, item["items"]))
        return {name: sum(each[name] for each in blocks) for name in ("size", "used", "reserved", "free")}
    size, used, reserved = parse_prefix(item["cidr"]).size, 0, 0
    for each in item["items"]:
        if each["kind"] == "reservation":
            reserved += parse_prefix(each["cidr"]).size
        else:
            used += parse_prefix(each["cidr"]).size
    return {"size": size, "used": used, "reserved": reserved, "free": size - used - reserved}


def _free(item: Item) -> Iterator[Item]:
    own, held = parse_prefix(item["cidr"]), RangeSet()
    for each in item["items"]:
        taken = parse_prefix(each["cidr"])
        held.add(taken.first, taken.last)
    for gap in held.gaps(own.first, own.last):
        for prefix in prefixes(gap.first, gap.last):
            yield _hole(prefix)


def _hole(prefix: Prefix) -> Item:
    use = {"size": prefix.size, "used": 0, "reserved": 0, "free": prefix.size}
    return {"kind": "free", "name": "", "cidr": str(prefix), "use": use, "items": []}


def rows(items: Sequence[Item], *, drawn: bool) -> Iterator[Item]:
    """Yield a row for each object, with its path and, where wanted, with its place in the tree drawn."""
    marks = (_ASCII if _is_plain() else _BOX) if drawn else ()
    for item in items:
        yield _row(item, item["name"], drawn=item["cidr"] or item["name"] if drawn else None)
        yield from _below(item["items"], item["name"], "", marks)


def _below(items: Sequence[Item], path: str, before: str, marks: Sequence[str]) -> Iterator[Item]:
    branch, line, last, nothing = marks or ("",) * 4
    for number, item in enumerate(items, start=1):
        mark, after = (last, nothing) if number == len(items) else (branch, line)
        here = f"{path}/{item['name'] or item['cidr']}"
        yield _row(item, here, drawn=f"{before}{mark}{item['cidr']}" if marks else None)
        yield from _below(item["items"], here, before + after, marks)


def _row(item: Item, path: str, drawn: str | None) -> Item:
    row = {"path": path, **item}
    del row["items"]
    return row if drawn is None else {"drawn": drawn, **row}


def _is_plain() -> bool:
    """Return whether the output cannot show boxes."""
    return "utf" not in (sys.stdout.encoding or "").lower()


def _gauge(use: dict[str, int] | None) -> str:
    """Return a bar: what is used, what is reserved, what is free; and the first two in per cent."""
    if not use or not use["size"]:
        return " "
    taken = fraction(use["used"] + use["reserved"], use["size"])
    full, reserved, empty = "#+." if _is_plain() else "█▒░"
    used_cells, cells = _cells(use["used"], use["size"]), _cells(use["used"] + use["reserved"], use["size"])
    bar = full * used_cells + reserved * (cells - used_cells) + empty * (_BAR - cells)
    return f"{bar} {percent(taken):>4}"


def _cells(part: int, whole: int) -> int:
    """Return how much of a bar a part is; something is never nothing, and only all is all."""
    cells = part * _BAR // whole
    return max(cells, 1) if part else 0


def _blank(each: Column) -> Column:
    """Return a column that shows nothing where there is nothing."""
    return each._replace(write=lambda value: each.write(value) or " ")


VIEW = View(
    "plan",
    (
        column("drawn", "plan"),
        _blank(column("kind")),
        _blank(ident("name"))._replace(read=lambda row: row["name"] if row["cidr"] else ""),
        Column("use", lambda row: row.get("use") if row["kind"] != "free" else None, _gauge),
        _blank(Column("free", lambda row: member(row, "use.free"), count, right=True)),
        _blank(Column("status", lambda row: row.get("status"), plain)),
        _blank(column("desc")),
    ),
    name="path",
)
