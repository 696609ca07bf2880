"""The page that gives somebody a prefix: how large, where, what it would be and why; then it is reserved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from fastapi import APIRouter
from fastapi.responses import Response

from unipam.addr.prefix import Prefix, Range
from unipam.model import objects
from unipam.model.errors import BadValue, Exhausted, NotSignedIn, UnipamError
from unipam.model.objects import Block, parse_cidr
from unipam.model.records import Claim, Selection
from unipam.plan import reads, tree
from unipam.plan.blocks import blocks
from unipam.plan.free import FreeSpace
from unipam.plan.listing import Paths, row_of
from unipam.plan.permissions import HIDDEN, UseCase, Visibility, require
from unipam.plan.reads import Candidate
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import ReservationRequest
from unipam.plan.reserve import reserve as plan_reserve
from unipam.plan.tree import Author, Node
from unipam.server.pages import pictures, shell
from unipam.server.pages.browser import with_query
from unipam.server.pages.forms import Problem, do, fresh_key
from unipam.server.pages.page import FormDep, Head, Page, PageDep
from unipam.server.pages.pictures import Item, Row
from unipam.server.pages.places import block_place, place_of, reservation_place, space_place
from unipam.server.pages.shell import command
from unipam.store.api import Tx

router = APIRouter(include_in_schema=False)

AZURE_KEEPS = 5
"""Addresses of every subnet that Azure keeps for itself."""
_MOST_COUNT = 1000
_HOLDERS = 10
_MOST_ELSEWHERE = 12
"""Blocks with room that are named."""


class Offer(NamedTuple):
    """What would be given: prefixes, and why the first; the stretch around it, drawn; or why nothing would be given.

    `holders` are the largest that have a block that is too full: kind, prefix, name, address of their page. `elsewhere`
    are blocks of the space that have room, each with the prefix that it would give. `size` is how many addresses each
    prefix has.
    """

    block: str = ""
    prefixes: tuple[str, ...] = ()
    reason: str = ""
    whole: Row | None = None
    gap: Row | None = None
    gap_text: str = ""
    refusal: str = ""
    holders: tuple[tuple[str, str, str, str], ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()
    size: int = 0


class Wish(NamedTuple):
    """What was asked for, as far as it can be read. `bits` is None where nothing says how large."""

    space: str
    blocks: tuple[str, ...]
    bits: int | None
    cidr: str
    amount: int
    order: str
    note: str = ""


@router.get("/reserve")
async def reserve(page: PageDep) -> Response:
    """Give me a prefix."""
    return await _show(page, dict(page.request.query_params))


async def _show(page: Page, typed: Mapping[str, str], problem: Problem | None = None) -> Response:
    wish: Wish | None = None
    visibility = await page.session.visibility()
    try:
        wish = read_wish(typed)
    except BadValue as error:
        problem = problem or Problem.of(error)

    def work(tx: Tx) -> tuple[list[str], list[tuple[str, str]], Offer | None]:
        spaces = [node.facts.name for node in tree.spaces(tx)]
        space = typed.get("space", "") or (spaces[0] if spaces else "")
        return spaces, _blocks(tx, space), _offer(tx, wish, visibility) if wish and wish.space else None

    try:
        spaces, choices, offer = await page.read(work)
    except UnipamError as error:
        problem = problem or Problem.of(error)
        spaces, choices, offer = await page.read(lambda tx: ([n.facts.name for n in tree.spaces(tx)], [], None))
    space = typed.get("space", "") or (spaces[0] if spaces else "")
    head = Head("Reserve", "How large, where, and what would it be?")
    if offer is not None and wish is not None and wish.blocks:  # what names a space and blocks that there are
        api = with_query(f"{space_place(wish.space)}/reservations", {"dry_run": "true"})
        head = head._replace(command=_command(wish), api=api, sends=_sent(wish))
    return page.render(
        "reserve.html", head, problem.status if problem and not page.is_part else 200, while_typing=page.is_part,
        typed={**typed, "space": space}, spaces=spaces, previewed=offer is not None,
        choices=choices, wish=wish, offer=offer, problem=problem, key=fresh_key(),
        refused=page.may(UseCase.RESERVE, space) if space else "", all_of=block_place,
    )  # fmt: skip


def _command(wish: Wish) -> str:
    order = {"highest": "--reverse", "smallest": "--smallest"}.get(wish.order, "")
    count = wish.amount if wish.amount > 1 else None
    return command("reservation", "add", wish.space, *wish.blocks, order, "--dry-run", prefix=wish.cidr,
                   length=wish.bits, count=count)  # fmt: skip


def _sent(wish: Wish) -> str:
    """Return what the API is sent to say what it would give."""
    size = {"cidr": wish.cidr} if wish.cidr else {"size": wish.bits, "count": wish.amount}
    order = {"highest": {"reverse": True}, "smallest": {"smallest": True}}.get(wish.order, {})
    return shell.json_of({"blocks": wish.blocks, **size, **order})


def _blocks(tx: Tx, space: str) -> list[tuple[str, str]]:
    if not space:
        return []
    return [(n.facts.name, f"{n.facts.name}  {n.prefix}") for n in blocks(tx, tree.find_space(tx, space).id)]


def read_wish(typed: Mapping[str, str]) -> Wish:
    """Read what somebody typed. Raises BadValue with the field that is wrong."""
    given = {name: value.strip() for name, value in typed.items()}
    named = tuple(name.strip() for name in given.get("block", "").split(",") if name.strip())
    cidr = given.get("cidr", "")
    if cidr:
        cidr = str(parse_cidr(cidr))
    bits, note = (None, "") if cidr else _size(given)
    count = _whole(given, "count", 1, _MOST_COUNT) or 1
    return Wish(given.get("space", ""), named, bits, cidr, count, given.get("order", "lowest"), note)


def _size(given: Mapping[str, str]) -> tuple[int | None, str]:
    """Return the prefix length that somebody wants, however it was said, and how it was worked out."""
    text = given.get("size", "").removeprefix("/")
    if text:
        return _whole({"size": text}, "size", 0, 128), ""
    addresses = _whole(given, "addresses", 1, 1 << 24)
    if addresses:
        bits = 32 - (addresses + AZURE_KEEPS - 1).bit_length()
        return bits, f"a /{bits} has {1 << (32 - bits):,} addresses, of which Azure keeps {AZURE_KEEPS} in each subnet"
    nodes, pods = _whole(given, "nodes", 1, 5000), _whole(given, "pods", 1, 250)
    if nodes and pods:
        bits = nodes_by_pods(nodes, pods)
        return bits, f"{nodes:,} nodes with {pods} pods each, all in one subnet, with room for an upgrade: /{bits}"
    return None, ""


def _whole(given: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = given.get(name, "")
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise BadValue(f"{name}: {text!r} is not a whole number from {least} to {most}", field=name, value=text)
    return int(text)


def nodes_by_pods(nodes: int, pods: int) -> int:
    """Return the prefix length of the subnet that nodes and their pods need when they share it. Raises BadValue."""
    from unipam.sizing.document import read
    from unipam.sizing.fields import InvalidClusterError
    from unipam.sizing.plan import plan

    pool = {"name": "pool", "nodes": nodes, "max_pods": pods}
    try:
        found = plan(read({"variant": "node-subnet", "pools": [pool]})).vnet_bits
    except InvalidClusterError as error:
        raise BadValue("; ".join(error.problems), field="nodes") from None
    if found is None:
        raise BadValue(f"{nodes:,} nodes with {pods} pods fit into no network", field="nodes")
    return found


def _offer(tx: Tx, wish: Wish, visibility: Visibility) -> Offer | None:
    """Return what would be given, or why nothing would be. Raises Missing."""
    root = tree.find_space(tx, wish.space)
    found = [tree.find_block(tx, root.id, name) for name in wish.blocks]
    if wish.cidr:
        within = (block for block in blocks(tx, root.id) if block.prefix.contains(parse_cidr(wish.cidr)))
        if not found:
            return Offer(elsewhere=tuple((block.facts.name, wish.cidr) for block in within))
        return _exactly(tx, found[0], parse_cidr(wish.cidr), visibility)
    if wish.bits is None:
        return None
    for block in found:
        rows = _candidates(tx, block, wish, wish.bits)
        if rows:
            return _drawn(tx, block, [row.prefix for row in rows], rows[0].reason)
    elsewhere = tuple(islice(_elsewhere(tx, root.id, wish, wish.bits), _MOST_ELSEWHERE))
    return _no_room(tx, wish, found, visibility, elsewhere) if found else Offer(elsewhere=elsewhere)


def _candidates(tx: Tx, block: Node[Block], wish: Wish, bits: int) -> list[Candidate]:
    """Return all the prefixes that a block would give; none where it has not so many."""
    order = wish.order
    try:
        rows = reads.candidates(tx, block, bits, wish.amount, reverse=order == "highest", smallest=order == "smallest")
    except Exhausted:
        return []
    return rows if len(rows) == wish.amount else []


def _elsewhere(tx: Tx, space: int, wish: Wish, bits: int) -> Iterator[tuple[str, str]]:
    """Yield the blocks of a space that have room for what is wanted, each with what it would give."""
    for block in blocks(tx, space):
        if not block.prefix.bits <= bits <= (32 if block.prefix.family == 4 else 128):
            continue
        rows = _candidates(tx, block, wish, bits)
        if rows:
            yield block.facts.name, str(rows[0].prefix)


def _exactly(tx: Tx, block: Node[Block], prefix: Prefix, visibility: Visibility) -> Offer:
    if not block.prefix.contains(prefix):
        return Offer(block.facts.name, refusal=f"{prefix} does not lie within {block.facts.name} ({block.prefix})")
    if FreeSpace(tx).is_free(block.claim, prefix):
        return _drawn(tx, block, [prefix], "it is the one you asked for")
    return Offer(
        block.facts.name, refusal=f"{prefix} is not free", whole=_whole_block(tx, block, [prefix]),
        holders=_rows(tx, list(islice(tree.overlaps(tx, block.id, prefix), _HOLDERS)), visibility),
    )  # fmt: skip


def _no_room(
    tx: Tx, wish: Wish, found: Sequence[Node[Block]], visibility: Visibility, elsewhere: tuple[tuple[str, str], ...]
) -> Offer:
    from unipam.plan.room import room_left

    names = ", ".join(block.facts.name for block in found)
    many = f"{wish.amount} times a /{wish.bits}" if wish.amount > 1 else f"a /{wish.bits}"
    small = next((block for block in found if wish.bits is not None and wish.bits < block.prefix.bits), None)
    larger = f"A /{wish.bits} is larger than {small.facts.name} ({small.prefix}). " if small else ""
    left = room_left(tx, FreeSpace(tx), found)
    largest = sorted(tx.select(Selection(parents=(found[0].id,), limit=5000)), key=lambda c: c.first - c.last)
    return Offer(
        found[0].facts.name, refusal=f"{larger}There is no room for {many} in {names}: {left}.",
        whole=_whole_block(tx, found[0], []), holders=_rows(tx, largest[:_HOLDERS], visibility), elsewhere=elsewhere,
    )  # fmt: skip


def _rows(tx: Tx, claims: Sequence[Claim], visibility: Visibility) -> tuple[tuple[str, str, str, str], ...]:
    paths, found = Paths(tx), []
    for claim in claims:
        row = row_of(claim, paths.of(claim.parent), visibility)
        place = "" if row.name == HIDDEN else place_of(row.kind, (*row.path, row.name), row.id)
        found.append((row.kind, row.cidr, row.desc if row.kind == objects.RESERVATION else row.name, place))
    return tuple(found)


def _drawn(tx: Tx, block: Node[Block], prefixes: Sequence[Prefix], reason: str) -> Offer:
    whole, given = _whole_block(tx, block, prefixes), prefixes[0]
    gap = next((g for g in tx.gaps(block.id, block.prefix.first, block.prefix.last) if g.last >= given.first), None)
    assert gap is not None
    first, last = min(p.first for p in prefixes), max(p.last for p in prefixes)  # given from the end, the last is first
    room = 8 * (last - first + 1)  # a window in which what would be given can be seen
    around = Range(max(block.prefix.first, first - room // 4), min(block.prefix.last, last + room))
    return Offer(block.facts.name, tuple(map(str, prefixes)), reason, whole, _stretch(tx, block, around, prefixes),
                 str(gap) if gap.first <= first and last <= gap.last else "", size=given.size)  # fmt: skip


def _whole_block(tx: Tx, block: Node[Block], chosen: Sequence[Prefix]) -> Row:
    """Return the block as a row."""
    return _stretch(tx, block, Range(block.prefix.first, block.prefix.last), chosen)


def _stretch(tx: Tx, block: Node[Block], span: Range, chosen: Sequence[Prefix]) -> Row:
    """Return a part of the block as a row: what is free of it, and what would be taken; the rest is taken."""
    items = [Item(span.first, span.last, "taken", "taken")]
    items += [Item(g.first, g.last, "free", "free") for g in islice(tx.gaps(block.id, *span), 2000)]
    row = pictures.row_of(span, items, str(block.prefix))
    marks = [pictures.row_of(span, [Item(p.first, p.last, "chosen", str(p))], "").marks[0] for p in chosen]
    return row._replace(marks=(*row.marks, *(m._replace(width=max(m.width, pictures.FEWEST)) for m in marks)))


@router.post("/reserve")
async def reserve_it(form: FormDep) -> Response:
    """Reserve what the form describes, and go to the reservation."""
    page, given = form.page, {name: value.strip() for name, value in form.fields.items()}
    try:
        wish = read_wish(given)
        require(page.caller, UseCase.RESERVE, wish.space)
        if not wish.blocks:
            raise BadValue("choose a block", field="block")
        if wish.bits is None and not wish.cidr:
            raise BadValue("say how large it is to be", field="size")
        days = _whole(given, "days", 1, 3650)
        desc = objects.check_remark(given.get("desc") or None)

        def work(tx: Tx, by: Author) -> list[Reserved]:
            wanted = ReservationRequest(
                by, wish.space, wish.blocks, wish.bits or 0, parse_cidr(wish.cidr) if wish.cidr else None, wish.amount,
                desc, wish.order == "highest", wish.order == "smallest", by.now + days * 86_400 if days else None,
            )  # fmt: skip
            return plan_reserve(tx, wanted, by.now)

        return await do(form, work, _after)
    except NotSignedIn:
        raise
    except UnipamError as error:
        return await _show(page, given, Problem.of(error))


def _after(rows: list[Reserved]) -> tuple[str, str]:
    first = rows[0]
    if len(rows) == 1:
        return reservation_place(first.space, first.block, first.facts.id), f"{first.prefix} is reserved."
    place = with_query("/reservations", {"space": first.space, "sort": "-created"})
    return place, f"{len(rows)} prefixes are reserved, from {first.prefix} on."
