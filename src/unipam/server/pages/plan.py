"""The plan as a tree: what is where, how full, and what is free at every level."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.model.cloud import Snapshot
from unipam.model.errors import BadValue, Missing
from unipam.model.objects import fold
from unipam.model.records import SPACE
from unipam.plan.branches import DEEPEST, FREE, SHOWN, Branch, Branches, Filter, Tree, split, start_of
from unipam.plan.permissions import UseCase, Visibility
from unipam.server.looking import seen_of
from unipam.server.pages.browser import with_query
from unipam.server.pages.export import export
from unipam.server.pages.page import Fresh, Head, Page, PageDep
from unipam.server.pages.places import place_of, take_place
from unipam.server.pages.shell import command
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)

MOST_ROWS = 64
"""Rows that open nodes share."""
_FEWEST_OF_SPACE, _FEWEST, _FEWEST_FREE = 20, 8, 4
"""Rows that an open node has in any case, as far as the page's weight allows it: a space, another one, and another one
where only what is free is asked for."""
_MOST_OPEN = 12
"""Nodes in spaces that are open at first where only what is free is asked for."""
MOST_WEIGHT = 40_000
"""Bytes that all rows may have together: with more of them the page would exceed 60 kB."""
_AT_ONCE = 500
_NONE = "-"
"""What `open=` says where everything is shut."""
COLUMNS = ("kind", "cidr", "name", "path", "size", "used", "reserved", "largest", "desc", "by", "since", "status", "id")


class Line(NamedTuple):
    """A row of the tree on a page. `toggle` is the address with it opened or shut.

    A line with `more` leads to the rows of the node after those shown, one with `earlier` to its first.
    """

    row: Branch
    level: int
    is_open: bool
    toggle: str
    place: str
    reserve: str
    more: str = ""
    earlier: str = ""

    @property
    def weight(self) -> int:
        """Return about how many bytes the row takes; what holds something is drawn with a bar and can be opened."""
        texts = (self.toggle, self.place, self.reserve, self.more, self.earlier, self.row.name, self.row.desc)
        return 320 + 480 * self.row.holds + sum(map(len, texts))


class Wanted(NamedTuple):
    """What the page's address asks for. `starts` are the addresses at which the shown parts of open nodes begin."""

    space: str
    opened: tuple[tuple[str, ...], ...]
    filter: Filter
    starts: dict[tuple[str, ...], str]
    chosen: bool


@router.get("/plan")
async def plan(page: PageDep) -> Response:
    """What is where, how full, and what is free?"""
    wanted, snapshot = wanted_of(page), await seen_of(page.session)
    visibility = await page.session.visibility(wanted.space or None)
    if page.wanted_format:
        rows = every_row(page, visibility, snapshot, wanted)
        return export(rows, COLUMNS, "plan", page.wanted_format)
    lines, names = await page.read(lambda tx: lines_of(page, Tree(tx, visibility, snapshot, page.at), wanted))
    head = Head(
        "Plan", "What is where, how full is it, and what is free?", command=_command(page, wanted),
        api=_api(page, wanted), exports=True, seen=snapshot.taken or None, past=True, listing="plan",
        fresh=Fresh("New space", "/new/space", page.may(UseCase.MAKE_SPACE)),
    )  # fmt: skip
    return page.render(
        "plan.html", head, lines=lines, spaces=space_choice(names), wanted=wanted, filtered=wanted.filter,
        reserve_refused=lambda space: page.may(UseCase.RESERVE, space),
    )  # fmt: skip


def space_choice(names: list[str]) -> list[tuple[str, str]]:
    """Return the options of a choice of space."""
    return [("", "every space"), *((name, name) for name in names)]


def wanted_of(page: Page) -> Wanted:
    """Read the page's address. Raises BadValue for a number that is none."""
    show = page.query("show") or "both"
    if show not in SHOWN:
        raise BadValue(f"show: {show!r} is none of {', '.join(SHOWN)}", field="show", value=show)
    size = page.query("size")
    kept = Filter(show, length(page, "min", 0), length(page, "max", 128), length(page, "size", 0) if size else None)
    starts = (each.partition("@") for each in page.query("from").split(",") if each)
    named = [split(each) for each in page.query("open").split(",") if each]
    opened = tuple(dict.fromkeys(path[:n] for path in named for n in range(1, len(path) + 1)))  # with what is around
    begun = {split(path): start for path, _, start in starts}
    return Wanted(page.query("space"), opened, kept, begun, "open" in page.request.query_params)


def length(page: Page, name: str, default: int) -> int:
    """Read a prefix length of the query. Raises BadValue."""
    text = page.query(name).removeprefix("/") or str(default)
    if not (text.isascii() and text.isdigit() and int(text) <= 128):
        raise BadValue(f"{name}: {text!r} is not a prefix length from 0 to 128", field=name, value=text)
    return int(text)


def _command(page: Page, wanted: Wanted) -> str:
    under, asked = _asked(wanted)
    return command("plan", "branches", under, **asked, at=page.iso_at)


def _api(page: Page, wanted: Wanted) -> str:
    under, asked = _asked(wanted)
    return with_query("/tree", {"under": under, **asked, "at": page.at})


def _asked(wanted: Wanted) -> tuple[str, dict[str, object]]:
    """Return what the page's rows lie in, and the filter and the levels, as the API and the command line name them."""
    it, (under, depth) = wanted.filter, _extent(wanted)
    return under, {
        "show": it.show if it.show != "both" else "", "min": it.shortest or None,
        "max": it.longest if it.longest < 128 else None, "size": it.size, "depth": depth if depth > 1 else None,
    }  # fmt: skip


def _extent(wanted: Wanted) -> tuple[str, int]:
    """Return the one node that is open, with what it lies in, or else the space; and how many levels beneath it."""
    opened = [path for path in wanted.opened if path != (_NONE,)]
    inmost = max(opened, key=len, default=())
    if inmost and all(inmost[: len(path)] == path for path in opened):
        return "/".join(inmost), 1
    at_first = 2 if wanted.filter.show == FREE else 1
    deepest = len(inmost) if wanted.chosen else at_first
    return wanted.space, min(DEEPEST, max(1, deepest + (not wanted.space)))


def lines_of(page: Page, tree: Tree, wanted: Wanted) -> tuple[list[Line], list[str]]:
    """Return the page's rows, and the names of all spaces."""
    spaces = tree.spaces()
    names = [space.name for space in spaces]
    shown = [space for space in spaces if not wanted.space or fold(space.name) == fold(wanted.space)]
    if wanted.space and not shown:
        raise Missing(f"there is no space named {wanted.space!r}", kind="space", value=wanted.space)
    opened = wanted.opened if wanted.chosen else _open_at_first(tree, shown, wanted.filter)
    walk = _Walk(page, tree, wanted, opened)
    for space in shown:
        walk.visit(space, 0)
    return walk.lines, names


def _open_at_first(tree: Tree, shown: list[Branch], wanted: Filter) -> tuple[tuple[str, ...], ...]:
    """Return what is open before anybody opened anything: spaces; and blocks, where what is free is asked for."""
    spaces = [space.path for space in shown[:5]]
    if wanted.show != FREE:
        return tuple(spaces)
    beneath = [
        row.path
        for path in spaces
        for row in tree.under(path, wanted._replace(limit=_FEWEST_OF_SPACE)).rows
        if row.holds
    ]
    return tuple([*spaces, *beneath][: _MOST_OPEN + len(spaces)])


class _Walk:
    """Walks the tree's open nodes, and writes a line for each row."""

    def __init__(self, page: Page, tree: Tree, wanted: Wanted, opened: tuple[tuple[str, ...], ...]) -> None:
        self.lines: list[Line] = []
        self._tree = tree
        self._wanted = wanted
        self._opened = {_key(path): path for path in opened}
        self._starts = {_key(path): start for path, start in wanted.starts.items()}
        self._query = {k: v for k, v in page.request.query_params.items() if k not in ("from", "format")}
        fewest = _FEWEST_FREE if wanted.filter.show == FREE else _FEWEST
        self._limit = max(fewest, MOST_ROWS // max(1, len(opened)))
        self._weight = 0

    def visit(self, row: Branch, level: int) -> None:
        """Write a row, and what is beneath it where that is open."""
        is_open = row.holds and _key(row.path) in self._opened
        toggle = self._toggled(row, is_open) if row.holds else ""
        self._add(Line(row, level, is_open, toggle, place_of(row.kind, row.path, row.id), take_place(row)))
        if is_open:
            self._open(row, level)

    def _open(self, row: Branch, level: int) -> None:
        try:
            found = self._under(row)
        except Missing:  # what was opened once is not there any more, or not at this moment
            return
        if _key(row.path) in self._starts:
            self._earlier(row, level + 1)
        for each in found.rows:
            if self._weight > MOST_WEIGHT:
                self._more(row, level + 1, start_of(each))
                return
            self.visit(each, level + 1)
        if found.next:
            self._more(row, level + 1, found.next)

    def _add(self, line: Line) -> None:
        self.lines.append(line)
        self._weight += line.weight

    def _under(self, row: Branch) -> Branches:
        start = self._starts.get(_key(row.path), "")
        limit = max(self._limit, _FEWEST_OF_SPACE) if row.kind == SPACE else self._limit
        return self._tree.under(row.path, self._wanted.filter._replace(start=start, limit=limit))

    def _toggled(self, row: Branch, is_open: bool) -> str:
        own = _key(row.path)
        paths = [path for key, path in self._opened.items() if not (is_open and key[: len(own)] == own)]
        paths += [] if is_open else [row.path]
        return self._place(paths, self._starts)

    def _earlier(self, row: Branch, level: int) -> None:
        """Lead to the first part of this node; all else stays."""
        starts = {key: start for key, start in self._starts.items() if key != _key(row.path)}
        self._add(Line(row, level, False, "", "", "", earlier=self._place(list(self._opened.values()), starts)))

    def _more(self, row: Branch, level: int, start: str) -> None:
        """Lead to the part from there on, of this node and of what it lies in; all else is shut."""
        around = [row.path[:n] for n in range(1, len(row.path) + 1)]
        place = self._place(around, {**self._starts, _key(row.path): start})
        self._add(Line(row, level, False, "", "", "", place))

    def _place(self, opened: list[tuple[str, ...]], starts: Mapping[tuple[str, ...], str]) -> str:
        """Return the address of the page with these nodes open, and of each of them the part that begins there."""
        paths = sorted({"/".join(path) for path in opened})
        begun = [f"{'/'.join(path)}@{starts[_key(path)]}" for path in opened if _key(path) in starts]
        return with_query("/plan", {**self._query, "open": ",".join(paths) or _NONE, "from": ",".join(begun)})


def _key(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path by which a node is found again, however its names are written."""
    return tuple(map(fold, path))


async def every_row(
    page: Page, visibility: Visibility, snapshot: Snapshot, wanted: Wanted
) -> AsyncIterator[dict[str, Any]]:
    """Yield every row of the filter at every depth, a node at a time, each read on the state that it finds."""
    roots = await page.read(lambda tx: Tree(tx, visibility, snapshot, page.at).spaces())
    waiting = [root for root in reversed(roots) if not wanted.space or fold(root.name) == fold(wanted.space)]
    while waiting:
        row = waiting.pop()
        if row.kind == FREE or wanted.filter.show != "free":
            yield cells(row)
        if row.holds:
            waiting += reversed([each async for each in _all_under(page, visibility, snapshot, row, wanted.filter)])


async def _all_under(
    page: Page, visibility: Visibility, snapshot: Snapshot, row: Branch, wanted: Filter
) -> AsyncIterator[Branch]:
    start: str | None = ""
    while start is not None:
        part = wanted._replace(start=start, limit=_AT_ONCE)

        def work(tx: Tx, part: Filter = part) -> Branches:
            return Tree(tx, visibility, snapshot, page.at).under(row.path, part)

        found = await page.read(work)
        for each in found.rows:
            yield each
        start = found.next


def cells(row: Branch) -> dict[str, Any]:
    """Return a row as the cells of an export."""
    found = {name: getattr(row, name) for name in COLUMNS}
    return {**found, "path": "/".join(row.path), "since": row.since or None}
