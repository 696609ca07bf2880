"""Which limit is hit first, and at how many nodes and pods.

A gauge is one limit with a way to read how much of it a cluster uses; growing the cluster until a gauge is full gives
its ceiling. Not here: the wording of a full gauge (`checks`), the numbers (`limits`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache

from unipam.sizing import arithmetic, limits, rules
from unipam.sizing.arithmetic import Share
from unipam.sizing.cluster import Cluster, NodePool, Policy, planned
from unipam.sizing.findings import Severity
from unipam.sizing.needs import Kind, Need, needs
from unipam.sizing.rules import Rule
from unipam.sizing.variants import PodSource

_SEARCHED = 1 << 17
"""Nodes beyond which no ceiling is looked for: far above the 5,000 of a cluster, and above any subnet of nodes."""


@dataclass(frozen=True, slots=True)
class Load:
    """A cluster and what it needs at its planned peak, computed once for all gauges."""

    cluster: Cluster
    needs: dict[tuple[Kind, str], Need]

    @property
    def vnet_units(self) -> int:
        """Return addresses in the network as L1 counts them: a static block is one (L12)."""
        return sum(need.units for (kind, _), need in self.needs.items() if kind.in_vnet)


def load(cluster: Cluster) -> Load:
    """Return the load of a cluster at its planned peak."""
    return Load(cluster, {(need.kind, need.name): need for need in needs(cluster, planned(cluster))})


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit: `read` gives how much of `capacity` a load uses. `severity` says how grave it is to exceed it."""

    name: str
    rule: Rule
    capacity: int
    unit: str
    read: Callable[[Load], int]
    severity: Severity = Severity.ERROR
    way_out: str = "plan fewer, or split the cluster"

    def full(self, at: Load) -> bool:
        """Return whether the load exceeds the limit."""
        return self.read(at) > self.capacity


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most the cluster can be before `gauge` is exceeded: planned nodes, nodes at the peak, pods."""

    gauge: Gauge
    nodes: int
    peak: int
    pods: int


def cluster_gauges(cluster: Cluster) -> Iterator[Gauge]:
    """Yield the limits on nodes and pods."""
    yield _gauge("nodes of the largest pool", limits.POOL_NODES, lambda at: max(p.nodes for p in at.cluster.pools))
    if planned(cluster).nodes(cluster) <= limits.CLUSTER_NODES.value:
        yield _QUOTA
    yield _gauge("nodes of the cluster", limits.CLUSTER_NODES, _nodes)
    if cluster.variant.kubenet:
        yield Gauge(
            "routes left in the route table",
            limits.ROUTES,
            limits.ROUTES.value - cluster.networks.own_routes,
            "routes",
            _peak,
        )
    if cluster.policy is Policy.AZURE:
        yield _gauge("nodes with Azure NPM", limits.NPM_NODES, _nodes)
        yield _gauge("pods with Azure NPM", limits.NPM_PODS, _pods)
    if cluster.free_tier:
        yield _gauge("nodes in the Free tier", limits.FREE_TIER_NODES, _nodes, Severity.WARNING)
    if cluster.extras.internal_load_balancers:
        yield _gauge(
            "nodes with internal load balancers", limits.INTERNAL_LOAD_BALANCER_NODES, _nodes, Severity.WARNING
        )
    if cluster.variant.overlay:
        yield _gauge("pods of the cluster", limits.OVERLAY_PODS, _pods, Severity.WARNING)
    if cluster.variant.pods is PodSource.DYNAMIC_SUBNET:
        yield _gauge("pods of the cluster", limits.DYNAMIC_PODS, _pods, Severity.WARNING)
        yield _gauge("pods mapped by the network", limits.DYNAMIC_MAPPINGS, _pods)


def network_gauges(cluster: Cluster) -> Iterator[Gauge]:
    """Yield the limits on addresses in the network and its peered group (L1, L2)."""
    own, group = cluster.networks.vnet_addresses + _neighbours(cluster), cluster.networks.peered_addresses
    yield _gauge("addresses of the network", limits.VNET_ADDRESSES, lambda at: at.vnet_units + own)
    if cluster.networks.peered:
        yield _gauge("addresses of the peered group", limits.PEERED_ADDRESSES, lambda at: at.vnet_units + own + group)


def _neighbours(cluster: Cluster) -> int:
    """Return addresses used in subnets that the cluster has no part in."""
    needed = {need.name for need in needs(cluster, planned(cluster))}
    return sum(subnet.used for name, subnet in cluster.networks.subnets.items() if name not in needed)


def range_gauges(cluster: Cluster) -> Iterator[Gauge]:
    """Yield the subnets and ranges: those that exist, else those of the needed prefix."""
    for key, need in load(cluster).needs.items():
        if need.capacity is not None:
            bits = need.prefix if need.exists is None else need.exists
            name = (
                f"{need.kind.value} {need.name} ({bits})"
                if need.exists
                else f"{need.kind.value} {need.name} (a /{bits})"
            )
            yield Gauge(name, _rule(need), need.capacity, need.measure.unit, _reader(key))


def gauges(cluster: Cluster) -> tuple[Gauge, ...]:
    """Return every limit that applies to the cluster."""
    return (*cluster_gauges(cluster), *network_gauges(cluster), *range_gauges(cluster))


def ceilings(cluster: Cluster) -> tuple[Ceiling, ...]:
    """Return where each limit is, if every pool grows in proportion: the first to be hit comes first.

    A limit that nodes do not fill is left out.
    """
    at = cache(lambda nodes: load(_with_nodes(cluster, nodes)))
    found = (_ceiling(gauge, at) for gauge in gauges(cluster))
    return tuple(sorted((each for each in found if each), key=lambda each: each.nodes))


def pool_ceiling(cluster: Cluster, pool: NodePool) -> Ceiling | None:
    """Return the first limit hit if only this pool grows."""
    at = cache(lambda nodes: load(_with_pool(cluster, replace(pool, nodes=nodes))))
    every = gauges(cluster)
    last = _last_below(lambda nodes: any(gauge.full(at(nodes)) for gauge in every))
    if last is None:
        return None
    first = next(gauge for gauge in every if gauge.full(at(last + 1)))
    return _at(first, at(max(0, last)).cluster)


def exceeded(cluster: Cluster, growth: Share) -> tuple[Gauge, ...]:
    """Return the limits of the plan as it is that `growth` in every pool would exceed."""
    grown = load(cluster.grown(growth))
    return tuple(gauge for gauge in gauges(cluster) if gauge.full(grown))


def _ceiling(gauge: Gauge, at: Callable[[int], Load]) -> Ceiling | None:
    last = _last_below(lambda nodes: gauge.full(at(nodes)))
    return None if last is None else _at(gauge, at(max(0, last)).cluster)


def _at(gauge: Gauge, cluster: Cluster) -> Ceiling:
    return Ceiling(gauge, cluster.nodes, planned(cluster).nodes(cluster), cluster.pods)


def _last_below(full: Callable[[int], bool]) -> int | None:
    """Return the largest number of nodes at which it is not yet full; -1 if it is full without any, None if never.

    Every gauge grows with the nodes, so halving finds it.
    """
    first_full = bisect_right(range(_SEARCHED), False, key=full)
    return None if first_full == _SEARCHED else first_full - 1


def _with_nodes(cluster: Cluster, nodes: int) -> Cluster:
    """Return the cluster with about that many nodes in the proportions it has; rounding down keeps every pool
    monotonous.
    """
    total = cluster.nodes
    return replace(cluster, pools=tuple(replace(pool, nodes=pool.nodes * nodes // total) for pool in cluster.pools))


def _with_pool(cluster: Cluster, changed: NodePool) -> Cluster:
    return replace(cluster, pools=tuple(changed if pool.name == changed.name else pool for pool in cluster.pools))


def _gauge(name: str, limit: limits.Limit, read: Callable[[Load], int], severity: Severity = Severity.ERROR) -> Gauge:
    return Gauge(name, limit, limit.value, limit.unit, read, severity)


def _reader(key: tuple[Kind, str]) -> Callable[[Load], int]:
    return lambda at: at.needs[key].units


def _rule(need: Need) -> Rule:
    if need.kind is Kind.POD_RANGE:
        return rules.V_BYO_CALICO if need.measure is arithmetic.CALICO_BLOCKS else limits.NODE_RANGE
    return rules.V_STATIC_EDGE if need.measure is arithmetic.STATIC_SUBNET else limits.RESERVED


def _nodes(at: Load) -> int:
    return at.cluster.nodes


def _peak(at: Load) -> int:
    return planned(at.cluster).nodes(at.cluster)


def _pods(at: Load) -> int:
    return at.cluster.pods


_QUOTA = Gauge(
    "nodes of the cluster before its quota is raised",
    limits.CLUSTER_NODES_BY_DEFAULT,
    limits.CLUSTER_NODES_BY_DEFAULT.value,
    limits.CLUSTER_NODES_BY_DEFAULT.unit,
    _peak,
    Severity.WARNING,
    f"ask Azure's support for more beforehand, up to {limits.CLUSTER_NODES.value:,}",
)
