"""Where the ranges that do not exist yet go: the smallest free prefix that holds each, clear of all it must avoid.

Not here: how a free prefix is found (`addr.fit`), and recording the result (that is a reservation).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from unipam.addr.fit import best_fit, prefixes
from unipam.addr.prefix import Prefix, Range, line_length
from unipam.addr.ranges import RangeSet
from unipam.sizing.cluster import Cluster, FreeBlock, Use, planned
from unipam.sizing.needs import Kind, needs
from unipam.sizing.overlap import NamedRange, Role, ranges, to_avoid

SERVICE_RANGE = "service-cidr"


@dataclass(frozen=True, slots=True)
class RangeRequest:
    """A range to place: an IPv4 prefix of length `bits`, in blocks of that `use`, as `role`."""

    name: str
    role: Role
    bits: int

    @property
    def use(self) -> Use:
        """Return the use: subnets go into the network, pod and service ranges stay outside it."""
        return Use.SUBNETS if self.role is Role.SUBNET else Use.RANGES


@dataclass(frozen=True, slots=True)
class Placement:
    """Where `wanted` goes: `prefix` in `block`.

    If nowhere, `prefix` is None, `largest` the largest free prefix there is, if any, and `obstacles` are the known
    ranges, other than used ones, that lie in the blocks.
    """

    wanted: RangeRequest
    prefix: Prefix | None
    block: Prefix | None = None
    largest: Prefix | None = None
    obstacles: tuple[NamedRange, ...] = ()


def wanted(cluster: Cluster) -> tuple[RangeRequest, ...]:
    """Return the ranges to place, largest first, so that small ones do not break up what the large ones need."""
    return tuple(sorted(_wanted(cluster), key=lambda item: item.bits))


def _wanted(cluster: Cluster) -> Iterator[RangeRequest]:
    for need in needs(cluster, planned(cluster)):
        if need.exists is None and need.prefix is not None:
            yield RangeRequest(need.name, Role.POD_RANGE if need.kind is Kind.POD_RANGE else Role.SUBNET, need.prefix)
    if cluster.service_range is None:
        yield RangeRequest(SERVICE_RANGE, Role.SERVICE_RANGE, cluster.networks.service_bits)


def place(cluster: Cluster) -> tuple[Placement, ...]:
    """Return a place for every wanted range for whose use there are free blocks, in the order they were placed."""
    known = list(ranges(cluster))
    placements = []
    for item in wanted(cluster):
        blocks = _blocks(cluster, item.use)
        if blocks:
            placement = _place(item, blocks, known)
            placements.append(placement)
            if placement.prefix:
                known.append(NamedRange(item.role, item.name, placement.prefix))
    return tuple(placements)


def _blocks(cluster: Cluster, use: Use) -> list[FreeBlock]:
    """Return the free blocks for a use; without any, subnets go into the network that is given."""
    blocks = [block for block in cluster.free if block.use is use]
    if blocks or use is not Use.SUBNETS:
        return blocks
    return [FreeBlock(space) for space in cluster.networks.vnet if space.family == 4]


def _place(item: RangeRequest, blocks: list[FreeBlock], known: Iterable[NamedRange]) -> Placement:
    avoided = to_avoid(item.role)
    obstacles = [named for named in known if named.role in avoided and _touches(named, blocks)]
    free = [stretch for block in blocks for stretch in _free(block, (named.prefix for named in obstacles))]
    prefix = best_fit(free, line_length(item.bits, 4))
    if prefix is None:
        return Placement(item, None, largest=_largest(free), obstacles=tuple(obstacles))
    return Placement(item, prefix, next(block.prefix for block in blocks if block.prefix.contains(prefix)))


def _touches(named: NamedRange, blocks: Iterable[FreeBlock]) -> bool:
    return any(named.prefix.overlaps(block.prefix) for block in blocks)


def _free(block: FreeBlock, taken: Iterable[Prefix]) -> Iterator[Range]:
    """Yield the free stretches of one block; adjacent blocks are not joined, since a range lies in one of them."""
    used = RangeSet((prefix.first, prefix.last) for prefix in (*block.used, *taken))
    return used.gaps(block.prefix.first, block.prefix.last)


def _largest(free: Iterable[Range]) -> Prefix | None:
    return min(
        (prefix for stretch in free for prefix in prefixes(*stretch)), key=lambda prefix: prefix.length, default=None
    )


def vnet_bits(cluster: Cluster) -> int | None:
    """Return the longest prefix of one network that holds every needed subnet; None if one of them fits no subnet.

    Subnets are aligned powers of two: laid out largest first they leave no gaps, so their sum decides.
    """
    subnets = [need for need in needs(cluster, planned(cluster)) if need.kind.in_vnet]
    lengths = [need.exists.bits if need.exists else need.prefix for need in subnets]
    if None in lengths:
        return None
    total = sum(1 << 32 - length for length in lengths if length is not None)
    return max(0, 32 - (total - 1).bit_length())
