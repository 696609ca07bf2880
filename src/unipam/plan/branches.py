"""Part of the plan's tree as rows: what lies directly under something, and what is free there, in address order.

The plan of now is read from the claims, that of a past moment from the journal (`plan.history`), and what lies in a
network from the cloud; to whoever looks they are the same. Functions of one transaction.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple, Protocol

import msgspec

from unipam.addr.fit import prefixes
from unipam.addr.prefix import BITS, Prefix, Range, format_address, is_v4, line_length, parse_address
from unipam.addr.ranges import RangeSet
from unipam.model import objects
from unipam.model.cloud import VHUB, CloudNetwork, CloudSubnet, Snapshot
from unipam.model.errors import BadValue, Missing
from unipam.model.records import SPACE, Claim, Selection
from unipam.plan import tree
from unipam.plan.history import HOLDERS, PastPlan
from unipam.plan.listing import Row, place_in, row_of
from unipam.plan.permissions import HIDDEN, Visibility
from unipam.plan.reads import Use, uses_of
from unipam.plan.tree import Node
from unipam.store.api import Tx

FREE = "free"
SHOWN = ("both", "used", "free")
CLOUD_SUBNET = "cloud subnet"
DEEPEST = 4
"""Levels that one question may ask for."""
_PAGE = 256
_MOST_GAPS = 1000
"""Free stretches that are looked at for the largest one, or for one part of a listing."""


class Filter(NamedTuple):
    """Which rows: `show` is both, used or free; lengths as people write them; `size` cuts what is free into prefixes of
    this length; `start` is the address to begin at. What may be opened is always there, for the sake of what it holds.
    `largest`: the largest free prefix of each is looked for.
    """

    show: str = "both"
    shortest: int = 0
    longest: int = 128
    size: int | None = None
    start: str = ""
    limit: int = 200
    largest: bool = True


class Branch(msgspec.Struct, frozen=True):
    """One row of the tree: an object, or a free prefix (kind `free`). `holds`: it may be opened.

    `used` and `reserved` count addresses; None: not known, or it is not of a kind that holds anything. `largest` is its
    largest free prefix, as far as that is looked for. `within` is the kind of what a free prefix lies in.
    """

    kind: str
    name: str
    cidr: str
    path: tuple[str, ...]
    size: int
    used: int | None
    reserved: int | None
    largest: str
    desc: str
    by: str
    since: float
    status: str
    id: str
    holds: bool
    within: str = ""
    items: tuple[Branch, ...] = ()


class Branches(NamedTuple):
    """Rows, where the next ones begin (None: there are none), and the objects under the parent in all."""

    rows: list[Branch]
    next: str | None
    total: int


class Source(Protocol):
    """Where the tree is read from: now, or as it was."""

    def spaces(self) -> Sequence[Node[objects.Facts]]:
        """Return the spaces, by name."""

    def claims(self, parent: int, first: int) -> Iterator[Claim]:
        """Yield what is directly under a parent from an address on, in address order."""

    def named(self, parent: int, name: str) -> Iterable[Claim]:
        """Return what is directly under a parent by the name of its owner."""

    def gaps(self, claim: Claim, first: int) -> Iterator[Range]:
        """Yield what is free in it from an address on."""

    def uses(self, claims: Sequence[Claim]) -> Mapping[int, Use]:
        """Return how full these are, by number."""

    def count(self, parent: int) -> int:
        """Return how many objects are directly under a parent."""


class Now:
    """The plan as it is."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._uses: dict[int, Use] = {}

    def spaces(self) -> Sequence[Node[objects.Facts]]:
        """See `Source`."""
        return [Node(node.claim, node.facts) for node in tree.spaces(self._tx)]

    def named(self, parent: int, name: str) -> Iterable[Claim]:
        """See `Source`."""
        return self._tx.claims_of(parent, name)

    def claims(self, parent: int, first: int) -> Iterator[Claim]:
        """See `Source`."""
        wanted = Selection(parents=(parent,), after=(parent, first - 1) if first else None, limit=_PAGE)
        while found := self._tx.select(wanted):
            yield from found
            wanted = wanted._replace(after=(parent, found[-1].first))

    def gaps(self, claim: Claim, first: int) -> Iterator[Range]:
        """See `Source`."""
        return self._tx.gaps(claim.id, max(first, claim.first), claim.last)

    def uses(self, claims: Sequence[Claim]) -> Mapping[int, Use]:
        """See `Source`. What lies there is counted once: the rows of a block and of its space both tell it."""
        unknown = [claim for claim in claims if claim.id not in self._uses]
        if unknown:
            self._uses |= uses_of(self._tx, unknown)
        return self._uses

    def count(self, parent: int) -> int:
        """See `Source`."""
        return self._tx.tally(Selection(parents=(parent,)))


class Tree:
    """The tree as one caller may see it. `at` is a moment in seconds since the epoch; None: now."""

    def __init__(self, tx: Tx, visibility: Visibility, snapshot: Snapshot, at: float | None = None) -> None:
        self._source: Source = Now(tx) if at is None else PastPlan(tx, at)
        self._visibility = visibility
        self._snapshot = snapshot

    def spaces(self, wanted: Filter | None = None, depth: int = 1) -> list[Branch]:
        """Return the spaces, by name, each with `depth` - 1 levels of its own beneath it."""
        rows = [self._row(node.claim, ()) for node in self._source.spaces()]
        return [self._grown(row, wanted or Filter(), depth) for row in rows]

    def under(self, path: tuple[str, ...], wanted: Filter, depth: int = 1) -> Branches:
        """Return what is directly under what this path names, each with `depth` - 1 levels of its own beneath it.

        Raises Missing, or BadValue for a filter that makes no sense.
        """
        claim, names, network = self._find(path)
        if network is not None:
            return _inside_network(network, names, wanted)
        rows = self._rows(claim, names, wanted)
        found = list(islice(rows, wanted.limit + 1))
        part = [self._grown(row, wanted, depth) for row in found[: wanted.limit]]
        return Branches(part, start_of(found[wanted.limit]) if len(found) > wanted.limit else None,
                        self._source.count(claim.id))  # fmt: skip

    def row(self, path: tuple[str, ...]) -> Branch:
        """Return what a path names, as a row. Raises Missing."""
        claim, names, _ = self._find(path)
        return self._row(claim, names[:-1])

    def _grown(self, row: Branch, wanted: Filter, depth: int) -> Branch:
        if depth <= 1 or not row.holds or row.kind == objects.NETWORK:
            return row
        inner = self.under(row.path, wanted._replace(start=""), depth - 1)
        return msgspec.structs.replace(row, items=tuple(inner.rows))

    def _find(self, path: tuple[str, ...]) -> tuple[Claim, tuple[str, ...], CloudNetwork | None]:
        """Return the claim that a path names, the path as it is written, and the network, where it names one."""
        if not path:
            raise Missing("a path begins with a space", kind=SPACE, value="")
        claim = next((n.claim for n in self._source.spaces() if n.claim.owner.holder == objects.fold(path[0])), None)
        names: tuple[str, ...] = (path[0],)
        for name in path[1:]:
            inner = None if claim is None else self._named(claim, name)
            if inner is None:
                break
            claim, names = inner, (*names, name)
        if claim is None or len(names) < len(path):
            raise tree.missing(SPACE if len(names) == 1 and claim is None else "object", path[-1])
        if claim.kind != objects.NETWORK:
            return claim, names, None
        network = self._snapshot.network(claim.owner.holder)
        if network is None:
            raise Missing("what lies in this network is not seen", kind=objects.NETWORK, value=path[-1])
        return claim, names, network

    def _named(self, parent: Claim, name: str) -> Claim | None:
        """Return what is called so under a parent; a network by its prefix."""
        place = place_in(name)
        if place is not None:
            claim = next(self._source.claims(parent.id, place.first), None)
            return claim if claim and claim.kind == objects.NETWORK and claim.text == name else None
        found = self._source.named(parent.id, objects.fold(name))
        return next((c for c in found if c.kind in (objects.BLOCK, objects.EXTERNAL, objects.SUBNET)), None)

    def _rows(self, parent: Claim, path: tuple[str, ...], wanted: Filter) -> Iterator[Branch]:
        first = _start(wanted)
        claims = (claim for claim in self._source.claims(parent.id, first) if _is_wanted(claim, wanted))
        used = ((claim.first, row) for claim, row in self._told(claims, path, wanted))
        gaps = self._source.gaps(parent, first) if parent.kind != SPACE else iter(())
        free = _free_rows(gaps, path, wanted, parent.kind)
        return _in_order(used, *([free] if wanted.show != "used" else []))

    def _told(self, claims: Iterator[Claim], path: tuple[str, ...], wanted: Filter) -> Iterator[tuple[Claim, Branch]]:
        """Yield claims as rows; how full they are is asked for many at once."""
        size = min(_PAGE, wanted.limit + 1)
        while some := list(islice(claims, size)):
            self._source.uses([claim for claim in some if claim.kind in HOLDERS])
            yield from ((claim, self._row(claim, path, largest=wanted.largest)) for claim in some)

    def _row(self, claim: Claim, path: tuple[str, ...], *, largest: bool = True) -> Branch:
        row = row_of(claim, path, self._visibility)
        name = row.name if claim.kind != objects.NETWORK else row.cidr
        if claim.kind == objects.NETWORK:
            return self._network_row(claim, row, (*path, name))
        if claim.kind not in HOLDERS:
            return _leaf(row, claim.last - claim.first + 1, (*path, name))
        if claim.kind == SPACE:
            return _holder(row, self._space_use(claim), "", (*path, name), holds=self._source.count(claim.id) > 0)
        use = self._source.uses([claim])[claim.id]
        free = self._largest(claim, use) if largest else ""
        return _holder(row, use, free, (*path, name), holds=True)

    def _space_use(self, space: Claim) -> Use:
        """Return how full a space's IPv4 blocks are; those of IPv6 where it has no others."""
        claims = list(self._source.claims(space.id, 0))
        some = [c for c in claims if is_v4(c.first)] or claims
        uses = self._source.uses(some)
        return Use(*(sum(uses[claim.id][i] for claim in some) for i in range(4)))

    def _network_row(self, claim: Claim, row: Row, path: tuple[str, ...]) -> Branch:
        network = self._snapshot.network(claim.owner.holder) if row.name != HIDDEN else None
        prefix = tree.prefix_of(claim)
        inner = [s for s in network.subnets if any(prefix.contains(p) for p in s.prefixes)] if network else []
        taken = sum(p.size for s in inner for p in s.prefixes if prefix.contains(p))
        leaf, is_told = _leaf(row, prefix.size, path), network is not None and network.kind != VHUB
        return msgspec.structs.replace(
            leaf,
            used=taken if is_told else None,
            holds=bool(network),
            status=row.state if row.state != "held" else "",
        )

    def _largest(self, claim: Claim, use: Use) -> str:
        return str(tree.prefix_of(claim)) if use.free == use.size else _largest(self._source.gaps(claim, claim.first))


def _largest(gaps: Iterator[Range]) -> str:
    found = (prefix for gap in islice(gaps, _MOST_GAPS) for prefix in prefixes(gap.first, gap.last))
    largest = min(found, key=lambda prefix: (prefix.length, prefix.first), default=None)
    return str(largest) if largest else ""


Placed = tuple[int, Branch]
"""A row, and the address at which it begins."""


def _in_order(*rows: Iterator[Placed]) -> Iterator[Branch]:
    return (row for _, row in heapq.merge(*rows, key=itemgetter(0)))


def _start(wanted: Filter) -> int:
    try:
        return parse_address(wanted.start) if wanted.start else 0
    except ValueError as error:
        raise BadValue(f"after: {error}", field="after", value=wanted.start) from None


def start_of(row: Branch) -> str:
    """Return the address at which a part of a listing begins that begins with this row."""
    return format_address(objects.parse_place(row.cidr).first)


def _fits(prefix: Prefix, wanted: Filter) -> bool:
    return wanted.shortest <= prefix.bits <= wanted.longest


def _is_wanted(claim: Claim, wanted: Filter) -> bool:
    return claim.kind in HOLDERS or (wanted.show != "free" and _fits(tree.prefix_of(claim), wanted))


def _free_rows(gaps: Iterator[Range], path: tuple[str, ...], wanted: Filter, within: str) -> Iterator[Placed]:
    for gap in gaps:
        for prefix in _pieces(gap, wanted.size):
            if _fits(prefix, wanted):
                text, size = str(prefix), prefix.size
                row = Branch(
                    FREE, "", text, path, size, None, None, "", "", "", 0.0, "", "", holds=False, within=within
                )
                yield prefix.first, row


def _pieces(gap: Range, size: int | None) -> Iterator[Prefix]:
    """Yield a free stretch as the fewest prefixes, or as those of one length that lie in it."""
    for whole in prefixes(gap.first, gap.last):
        if size is None:
            yield whole
            continue
        length = line_length(size, whole.family)
        if whole.length <= length <= BITS:
            step = 1 << (BITS - length)
            yield from (Prefix(first, length) for first in range(whole.first, whole.last + 1, step))


def _leaf(row: Row, size: int, path: tuple[str, ...]) -> Branch:
    return Branch(
        row.kind, row.name, row.cidr, path, size, None, None, "", row.desc, row.by, row.since, row.status, row.id,
        holds=False,
    )  # fmt: skip


def _holder(row: Row, use: Use, largest: str, path: tuple[str, ...], *, holds: bool) -> Branch:
    return Branch(
        row.kind, row.name, row.cidr, path, use.size, use.used, use.reserved, largest, row.desc, row.by, row.since,
        row.status, row.id, holds=holds,
    )  # fmt: skip


def _inside_network(network: CloudNetwork, path: tuple[str, ...], wanted: Filter) -> Branches:
    """Return a network's subnets, and what is free between them, within the prefix that ends the path."""
    around, first = objects.parse_cidr(path[-1]), _start(wanted)
    inner = [(prefix, subnet) for subnet in network.subnets for prefix in subnet.prefixes if around.contains(prefix)]
    taken = RangeSet()
    for prefix, _ in inner:
        taken.add(prefix.first, prefix.last)
    used = ((p.first, _subnet(p, s, path)) for p, s in sorted(inner) if _fits(p, wanted) and p.first >= first)
    free = _free_rows(taken.gaps(max(first, around.first), around.last), path, wanted, objects.NETWORK)
    chosen = [used] * (wanted.show != "free") + [free] * (wanted.show != "used")
    rows = list(islice(_in_order(*chosen), wanted.limit + 1))
    following = start_of(rows[wanted.limit]) if len(rows) > wanted.limit else None
    return Branches(rows[: wanted.limit], following, len(inner))


def _subnet(prefix: Prefix, subnet: CloudSubnet, path: tuple[str, ...]) -> Branch:
    return Branch(
        CLOUD_SUBNET, subnet.name, str(prefix), (*path, subnet.name), prefix.size, subnet.used, None, "",
        subnet.kind or "", "", 0.0, "", subnet.id, holds=False,
    )  # fmt: skip


def split(text: str) -> tuple[str, ...]:
    """Return the names in a path; after a name that holds a dot or colon, a number is its prefix length."""
    names: list[str] = []
    for part in text.split("/"):
        if part.isdigit() and names and any(sign in names[-1] for sign in ".:"):
            names[-1] += f"/{part}"
        elif part:
            names.append(part)
    return tuple(names)
