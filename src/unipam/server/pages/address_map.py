"""The map: addresses in order, in rows, from the plan down to the subnet; or, as a second view, in areas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.addr.prefix import Prefix, format_address
from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.plan.branches import FREE, Branch, Filter, Tree, split
from unipam.server.looking import seen_of
from unipam.server.pages import pictures
from unipam.server.pages.browser import with_query
from unipam.server.pages.colours import COLOURS, Legend, Paint, paint
from unipam.server.pages.page import Head, Page, PageDep
from unipam.server.pages.pictures import Item, Row, Tile
from unipam.server.pages.places import place_of, take_place
from unipam.server.pages.shell import command
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)

MOST = 1900
_TABLE = 30
_BLOCKS = 1000
_STRIPS = 20
_TILES = 120
"""What is drawn of one object at most, before neighbours are merged; the rest is said, and seen by zooming in."""
HEIGHT = 560.0
VIEWS = ("rows", "areas")


class Strip(NamedTuple):
    """A block or a part of one as rows; `place` zooms in, or is its page where this is it; its rows' addresses zoom."""

    space: str
    name: str
    cidr: str
    place: str
    used: int
    reserved: int
    size: int
    rows: tuple[Row, ...]
    zooms: tuple[str, ...]


class Drawing(NamedTuple):
    """A map: as strips in the order of addresses, or as tiles by size; the same as a table; what its colours mean.

    `left_out` are the objects that lie here and are not drawn, `untold` those drawn that the table leaves out. `next`
    is how many of the `total` blocks come before the next part of an overview; None: this is the last.
    """

    strips: list[Strip]
    tiles: list[Tile]
    table: list[Branch]
    legend: tuple[Legend, ...]
    left_out: int
    untold: int = 0
    next: int | None = None
    total: int = 0


@router.get("/map")
async def address_map(page: PageDep) -> Response:
    """What does my address space look like, and where is room?"""
    under, view = split(page.query("under")), page.query("view") or "rows"
    if view not in VIEWS:
        raise BadValue(f"view: {view!r} is none of {', '.join(VIEWS)}", field="view", value=view)
    colour = page.query("colour") or "kind"
    if colour not in dict(COLOURS):
        raise BadValue(f"colour: {colour!r} is none of {', '.join(dict(COLOURS))}", field="colour", value=colour)
    snapshot = await seen_of(page.session)
    visibility = await page.session.visibility(under[0] if under else None)

    def painting(rows: Iterable[Branch]) -> Paint:
        return paint(colour, rows, snapshot, page.moments.now if page.at is None else page.at)

    def work(tx: Tx) -> Drawing:
        tree = Tree(tx, visibility, snapshot, page.at)
        if len(under) < 2:
            return _overview(page, tree, under, view, painting)
        return _inside(page, tree, under, view, painting)

    drawing = await page.read(work)
    head = Head(
        under[-1] if under else "Map", "What does the address space look like, and where is room?",
        _crumbs(page, under[:-1]) if under else (),
        command("plan", "branches", "/".join(under), at=page.iso_at),
        with_query("/tree", {"under": "/".join(under), "at": page.at}),
        seen=snapshot.taken or None, past=True,
    )  # fmt: skip
    return page.render(
        "map.html", head, drawing=drawing, under=under, view=view, colour=colour, colours=COLOURS, height=HEIGHT,
        zoom=lambda row: _zoom(page, row),
    )  # fmt: skip


def _crumbs(page: Page, above: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    kept = _kept(page)
    places = [
        (with_query("/map", {"under": "/".join(above[:n]), **kept}), above[n - 1]) for n in range(1, len(above) + 1)
    ]
    return ((with_query("/map", kept), "Map"), *places)


def _kept(page: Page) -> dict[str, str]:
    """Return what a map keeps when one zooms."""
    return {name: page.query(name) for name in ("view", "colour")}


def _zoom(page: Page, row: Branch) -> str:
    """Return where a mark leads: into what it holds; to where what is free is taken; else to its page."""
    if row.kind == FREE:
        return take_place(row)
    if row.holds:
        return with_query("/map", {"under": "/".join(row.path), **_kept(page), "at": page.query("at")})
    return place_of(row.kind, row.path, row.id)


Painting = Callable[[Iterable[Branch]], Paint]


def _overview(page: Page, tree: Tree, under: tuple[str, ...], view: str, painting: Painting) -> Drawing:
    """Return the blocks of a space, or of all spaces: each as one row, in parts; or as areas of one drawing."""
    spaces = [s for s in tree.spaces() if not under or objects.fold(s.name) == objects.fold(under[0])]
    if under and not spaces:
        tree.under(under, Filter(limit=1))  # says that there is no such space
    found = [tree.under(space.path, Filter(limit=_BLOCKS, largest=False)) for space in spaces]
    blocks = [block for each in found for block in each.rows]
    hidden = sum(max(0, each.total - len(each.rows)) for each in found)
    return _areas(page, blocks, hidden, painting) if view == "areas" else _rows(page, tree, blocks, hidden, painting)


def _areas(page: Page, blocks: list[Branch], hidden: int, painting: Painting) -> Drawing:
    colours = painting(blocks)
    items = pictures.largest([_item(page, row, colours) for row in blocks if _is_v4(row)], _TILES)
    untold = max(0, len(blocks) - _TABLE)
    return Drawing([], pictures.treemap(items, HEIGHT), blocks[:_TABLE], colours.legend, hidden, untold)


def _rows(page: Page, tree: Tree, blocks: list[Branch], hidden: int, painting: Painting) -> Drawing:
    begin = _begin(page.query("after"))
    shown = blocks[begin : begin + _STRIPS]
    inner: list[list[Branch]] = []
    left = MOST
    for block in shown:
        inner.append(tree.under(block.path, Filter(limit=max(20, left), largest=False)).rows)
        left -= len(inner[-1])
    colours = painting(row for rows in inner for row in rows)
    items = [[_item(page, each, colours) for each in rows] for rows in inner]
    drawn = pictures.overview_of([(_prefix(block), each) for block, each in zip(shown, items, strict=True)])
    strips = [_strip(page, block, [row], _zoom(page, block)) for block, row in zip(shown, drawn, strict=True)]
    following = begin + _STRIPS if begin + _STRIPS < len(blocks) else None
    return Drawing(strips, [], shown, colours.legend, hidden + max(0, -left), 0, following, len(blocks))


def _begin(text: str) -> int:
    """Read how many blocks come before a part. Raises BadValue."""
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadValue(f"after: {text!r} is no number of blocks", field="after", value=text)
    return int(text or 0)


def _inside(page: Page, tree: Tree, under: tuple[str, ...], view: str, painting: Painting) -> Drawing:
    """Return what lies in one object, as up to eight rows, or as areas."""
    own = tree.row(under)
    part = objects.parse_cidr(page.query("part"), "part") if page.query("part") else None
    start = format_address(part.first) if part else ""
    found = tree.under(under, Filter(limit=MOST, start=start, largest=False))
    left_out = 0 if found.next is None else max(1, found.total - len(found.rows))
    used = [row for row in found.rows if row.kind != FREE]
    table, untold = used[:_TABLE], max(0, len(used) - _TABLE)
    colours = painting(found.rows)
    if view == "areas":
        tiles = pictures.treemap(pictures.largest([_item(page, row, colours) for row in found.rows], _TILES), HEIGHT)
        drawn = [tile for tile in tiles if tile.width >= 4 and tile.height >= 4]
        return Drawing([], drawn, table, colours.legend, left_out + len(tiles) - len(drawn), untold)
    prefix = part or _prefix(own)
    rows = pictures.rows_of(prefix, [_item(page, each, colours) for each in found.rows])
    strip = _strip(page, own, rows, place_of(own.kind, own.path, own.id), str(prefix))
    return Drawing([strip], [], table, colours.legend, left_out, untold)


def _strip(page: Page, row: Branch, rows: list[Row], place: str, cidr: str = "") -> Strip:
    kept = {"under": "/".join(row.path), **_kept(page), "at": page.query("at")}
    zooms = tuple(with_query("/map", {**kept, "part": each.text}) for each in rows)
    return Strip(
        row.path[0], row.name, cidr or str(_prefix(row)), place, row.used or 0, row.reserved or 0, row.size,
        tuple(rows), zooms,
    )  # fmt: skip


def _item(page: Page, row: Branch, colours: Paint) -> Item:
    prefix = _prefix(row)
    name = row.desc if row.kind == objects.RESERVATION and row.desc else row.name
    label = " ".join(filter(None, (colours.letter(row), name or row.cidr)))
    taken = ((row.used or 0) + (row.reserved or 0)) / row.size if row.size and row.used is not None else 0.0
    leads = partial(_zoom, page, row)
    return Item(prefix.first, prefix.last, colours.kind(row), label, leads, taken)


def _prefix(row: Branch) -> Prefix:
    return objects.parse_place(row.cidr)


def _is_v4(row: Branch) -> bool:
    return _prefix(row).family == 4
