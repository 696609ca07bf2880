"""What Prometheus is told of Calico's addresses, by the names that Calico's kube-controllers have (spec §3.6)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from unipam.addr.prefix import parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.controllers.calico.observing import Observed
from unipam.controllers.calico.removing import Done
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.rules import pools as choosing
from unipam.dialects.calico.rules.garbage import Leak, host_of
from unipam.dialects.calico.rules.leases import SeenBlock

if TYPE_CHECKING:
    from prometheus_client.core import Metric

NO_POOL, NO_AFFINITY, UNKNOWN_NODE = "no_ippool", "no_affinity", "unknown_node"

_HELP = {
    "ipam_allocations_in_use": "IPs currently allocated in IPAM to a workload or tunnel endpoint.",
    "ipam_allocations_borrowed": "IPs currently allocated in IPAM to a workload or tunnel endpoint, where the"
    " allocation was borrowed from a block affine to another node.",
    "ipam_blocks": "IPAM blocks currently allocated for the IP pool.",
    "ipam_allocations_gc_candidates": "Allocations that are currently marked by the garbage collector as potential"
    " candidates to reclaim.",
    "ipam_allocations_gc_reclamations": "The total allocations that have been reclaimed by the garbage collector over"
    " time.",
    "ipam_ippool_size": "Total number of addresses in the IP Pool",
    "ipam_ippool_reserved": "Number of addresses in the IP Pool that an IPReservation covers, and so cannot be"
    " assigned.",
    "ipam_allocations_per_node": "Number of IPs allocated",
    "ipam_allocations_borrowed_per_node": "Number of allocated IPs that are from non-affine blocks.",
    "ipam_blocks_per_node": "Number of blocks in IPAM",
    "unipam_calico_round_seconds": "How long the last round took, in seconds.",
    "unipam_calico_handles": "Handles that there are.",
    "unipam_calico_broken_blocks": "Blocks that cannot be worked with.",
    "unipam_calico_removed": "Garbage that was removed, by its kind.",
}

Series = dict[tuple[str, ...], float]
"""A number for each set of label values."""


class Counts(NamedTuple):
    """What there is, for each pool and node."""

    used: Counter[tuple[str, ...]]
    borrowed: Counter[tuple[str, ...]]
    blocks: Counter[tuple[str, ...]]


class Measures:
    """What was last seen, and all that was ever done. One thread gives, any thread may read."""

    def __init__(self) -> None:
        self._observed: Observed | None = None
        self._done = Done()
        self._seconds = 0.0
        self._reclaimed: Counter[tuple[str, ...]] = Counter()
        self._removed: Counter[tuple[str, ...]] = Counter()

    def take(self, observed: Observed, done: Done, seconds: float) -> None:
        """Take what was observed in a round of so many seconds, and what was done."""
        names = _pool_names(observed)
        self._reclaimed.update(_label(leak, names) for leak in done.released)
        self._removed.update({(kind,): number for kind, number in done.counts().items()})
        self._observed, self._done, self._seconds = observed, done, seconds

    def metrics(self) -> Iterator[Metric]:
        """Yield what Prometheus is told; nothing before the first round."""
        if (observed := self._observed) is None:
            return
        names = _pool_names(observed)
        counts = _count(observed, names)
        zero: Series = dict.fromkeys(
            ((pool.name, node) for pool in observed.pools for node in observed.seen.living.nodes), 0.0
        )
        candidates = Counter(_label(leak, names) for leak in self._done.candidates)
        both = ("ippool", "node")
        yield _gauge("ipam_allocations_in_use", both, zero | counts.used)
        yield _gauge("ipam_allocations_borrowed", both, zero | counts.borrowed)
        yield _gauge("ipam_blocks", both, counts.blocks)
        yield _gauge("ipam_allocations_gc_candidates", both, zero | candidates)
        yield _gauge("ipam_allocations_gc_reclamations", both, self._reclaimed, kind="unknown")
        yield _gauge(
            "ipam_ippool_size", ("ippool",), {(pool.name,): float(pool.prefix.size) for pool in observed.pools}
        )
        yield _gauge("ipam_ippool_reserved", ("ippool",), _reserved(observed))
        yield _gauge("ipam_allocations_per_node", ("node",), _per_node(counts.used))
        yield _gauge("ipam_allocations_borrowed_per_node", ("node",), _per_node(counts.borrowed))
        yield _gauge("ipam_blocks_per_node", ("node",), _per_node(counts.blocks))
        yield from self._own(observed)

    def _own(self, observed: Observed) -> Iterator[Metric]:
        broken = sum(block is None for block in observed.seen.blocks.values())
        yield _gauge("unipam_calico_round_seconds", (), {(): self._seconds})
        yield _gauge("unipam_calico_handles", (), {(): float(len(observed.seen.handles))})
        yield _gauge("unipam_calico_broken_blocks", (), {(): float(broken)})
        yield _gauge("unipam_calico_removed", ("kind",), self._removed, kind="unknown")


def _pool_names(observed: Observed) -> Mapping[str, str]:
    """Return the pool of each block."""
    found = {}
    for cidr, block in observed.seen.blocks.items():
        if block is not None:
            pool = choosing.find(observed.pools, parse_prefix(cidr).first)
            found[cidr] = pool.name if pool else NO_POOL
    return found


def _label(leak: Leak, names: Mapping[str, str]) -> tuple[str, ...]:
    return names.get(leak.cidr, NO_POOL), leak.lease.node or UNKNOWN_NODE


def _count(observed: Observed, names: Mapping[str, str]) -> Counts:
    counts = Counts(Counter(), Counter(), Counter())
    for cidr, block in observed.seen.blocks.items():
        if block is not None:
            _count_block(block, names[cidr], counts)
    return counts


def _count_block(block: SeenBlock, pool: str, counts: Counts) -> None:
    owner = host_of(block.affinity)
    counts.blocks[pool, owner or NO_AFFINITY] += 1
    for lease in block.leases:
        label = pool, lease.node or UNKNOWN_NODE
        counts.used[label] += 1
        if owner and lease.node and lease.node != owner:
            counts.borrowed[label] += 1


def _reserved(observed: Observed) -> Series:
    taken = RangeSet((prefix.first, prefix.last) for prefix in observed.reserved)
    return {(pool.name,): float(_covered(pool, taken)) for pool in observed.pools}


def _covered(pool: Pool, taken: RangeSet) -> int:
    return (taken & RangeSet([(pool.prefix.first, pool.prefix.last)])).size


def _per_node(counts: Mapping[tuple[str, ...], float]) -> Series:
    summed: Series = defaultdict(float)
    for (_, node), number in counts.items():
        summed[node,] += number
    return summed


def _gauge(
    name: str, labels: tuple[str, ...], series: Mapping[tuple[str, ...], float], *, kind: str = "gauge"
) -> Metric:
    """Make a metric. The library gives counters another name, so one that is counted up is of no known kind."""
    from prometheus_client.core import Metric

    made = Metric(name, _HELP[name], kind)
    for values, number in sorted(series.items()):
        made.add_sample(name, dict(zip(labels, values, strict=True)), float(number))
    return made
