"""The map: addresses in order, in rows, from the plan down to the subnet; or, as a second view, in areas."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.addr.prefix import Prefix, format_address
from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.model.records import SPACE
from unipam.plan.branches import FREE, Branch, Filter, Tree, split
from unipam.server.looking import seen_of
from unipam.server.pages import pictures
from unipam.server.pages.browser import with_query
from unipam.server.pages.page import Head, Page, PageDep
from unipam.server.pages.pictures import Item, Row, Tile
from unipam.server.pages.places import place_of, take_place
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)

MOST = 1900
_TABLE = 40
_TILES = 200
"""What is drawn of one object at most, before neighbours are merged; the rest is said, and seen by zooming in."""
HEIGHT = 560.0
VIEWS = ("rows", "areas")


class Strip(NamedTuple):
    """A block or a part of one as rows; `place` zooms in, and so does each row's address."""

    space: str
    name: str
    cidr: str
    place: str
    used: int
    reserved: int
    size: int
    rows: tuple[Row, ...]
    zooms: tuple[str, ...]


class Legend(NamedTuple):
    """A kind of mark and what it means."""

    kind: str
    text: str


LEGEND = (
    Legend("network", "network"), Legend("reservation", "reservation"), Legend("block", "block"),
    Legend("external", "external"), Legend("cloud", "Azure subnet"), Legend("many", "several, too small to tell apart"),
    Legend("free", "free"),
)  # fmt: skip


@router.get("/map")
async def address_map(page: PageDep) -> Response:
    """What does my address space look like, and where is room?"""
    under, view = split(page.query("under")), page.query("view") or "rows"
    if view not in VIEWS:
        raise BadValue(f"view: {view!r} is none of {', '.join(VIEWS)}", field="view", value=view)
    snapshot = await seen_of(page.session)
    visibility = await page.session.visibility(under[0] if under else None)

    def work(tx: Tx) -> tuple[list[Strip], list[Tile], list[Branch], int]:
        tree = Tree(tx, visibility, snapshot, page.at)
        if len(under) < 2:
            return _overview(page, tree, under, view)
        return _inside(page, tree, under, view)

    strips, tiles, table, left_out = await page.read(work)
    head = Head(
        under[-1] if under else "Map", "What does the address space look like, and where is room?",
        _crumbs(page, under[:-1]) if under else (),
        f"plan branches {'/'.join(under)}".strip(), with_query("/tree", {"under": "/".join(under)}),
        seen=snapshot.taken or None, past=True,
    )  # fmt: skip
    return page.render(
        "map.html", head, strips=strips, tiles=tiles, table=table, under=under, view=view, legend=LEGEND,
        left_out=left_out, height=HEIGHT, zoom=lambda row: _zoom(page, row),
    )  # fmt: skip


def _crumbs(page: Page, above: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    view = page.query("view")
    places = [
        (with_query("/map", {"under": "/".join(above[:n]), "view": view}), above[n - 1])
        for n in range(1, len(above) + 1)
    ]
    return ((with_query("/map", {"view": view}), "Map"), *places)


def _zoom(page: Page, row: Branch) -> str:
    """Return where a mark leads: into what it holds; to where what is free is taken; else to its page."""
    if row.kind == FREE:
        return take_place(row)
    if row.holds:
        return with_query("/map", {"under": "/".join(row.path), "view": page.query("view"), "at": page.query("at")})
    return place_of(row.kind, row.path, row.id)


def _overview(
    page: Page, tree: Tree, under: tuple[str, ...], view: str
) -> tuple[list[Strip], list[Tile], list[Branch], int]:
    """Return every block of a space, or of all spaces, each as one row; or as areas of one drawing."""
    spaces = [s for s in tree.spaces() if not under or objects.fold(s.name) == objects.fold(under[0])]
    strips: list[Strip] = []
    blocks: list[Branch] = []
    left = MOST
    for space in spaces:
        for block in tree.under(space.path, Filter(limit=200)).rows:
            blocks.append(block)
            rows = tree.under(block.path, Filter(limit=max(20, left), largest=False)).rows if view == "rows" else []
            left -= len(rows)
            strips.append(_strip(page, block, rows, 1))
    if under and not spaces:
        tree.under(under, Filter(limit=1))  # says that there is no such space
    tiles = pictures.treemap([_item(page, b) for b in blocks if _is_v4(b)], HEIGHT) if view == "areas" else []
    return strips if view == "rows" else [], tiles, blocks, max(0, -left)


def _inside(
    page: Page, tree: Tree, under: tuple[str, ...], view: str
) -> tuple[list[Strip], list[Tile], list[Branch], int]:
    """Return what lies in one object, as up to eight rows, or as areas."""
    own = tree.row(under)
    part = objects.parse_cidr(page.query("part"), "part") if page.query("part") else None
    start = format_address(part.first) if part else ""
    found = tree.under(under, Filter(limit=MOST, start=start, largest=False))
    left_out = 0 if found.next is None else max(1, found.total - len(found.rows))
    if view == "areas":
        tiles = pictures.treemap(pictures.largest([_item(page, row) for row in found.rows], _TILES), HEIGHT)
        return (
            [],
            [t for t in tiles if t.width >= 4 and t.height >= 4],
            [row for row in found.rows if row.kind != FREE][:_TABLE],
            left_out,
        )
    return (
        [_strip(page, own, found.rows, 8, part)],
        [],
        [row for row in found.rows if row.kind != FREE][:_TABLE],
        left_out,
    )


def _strip(page: Page, row: Branch, inner: list[Branch], most: int, part: Prefix | None = None) -> Strip:
    prefix = part or _prefix(row)
    rows = pictures.rows_of(prefix, [_item(page, each) for each in inner], most)
    under = "/".join(row.path)
    zooms = tuple(with_query("/map", {"under": under, "part": each.text, "at": page.query("at")}) for each in rows)
    return Strip(row.path[0], row.name, str(prefix), _zoom(page, row), row.used or 0, row.reserved or 0, row.size,
                 tuple(rows), zooms)  # fmt: skip


def _item(page: Page, row: Branch) -> Item:
    prefix = _prefix(row)
    kind = {SPACE: "block", "cloud subnet": "cloud", objects.SUBNET: "external", objects.ENDPOINT: "external"}
    name = row.desc if row.kind == objects.RESERVATION and row.desc else row.name
    taken = ((row.used or 0) + (row.reserved or 0)) / row.size if row.size and row.used is not None else 0.0
    leads = partial(_zoom, page, row)
    return Item(prefix.first, prefix.last, kind.get(row.kind, row.kind), name or row.cidr, leads, taken)


def _prefix(row: Branch) -> Prefix:
    return objects.parse_place(row.cidr)


def _is_v4(row: Branch) -> bool:
    return _prefix(row).family == 4
