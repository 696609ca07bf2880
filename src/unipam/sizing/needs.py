"""What a cluster needs: every subnet and range, counted part by part, and the smallest prefix that holds it.

Here: the formulas of section 2 and the extras of 1.5. Not here: whether that fits what exists (`checks`) or where in
the plan it goes (`placement`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from unipam.addr.prefix import Prefix
from unipam.sizing import arithmetic, limits, rules
from unipam.sizing.arithmetic import CALICO_BLOCKS, DYNAMIC_SUBNET, NODE_RANGES, STATIC_SUBNET, SUBNET, Measure
from unipam.sizing.cluster import Cluster, NodePool, Scenario
from unipam.sizing.rules import Rule
from unipam.sizing.variants import PodSource

POD_RANGE = "pod-cidr"
API_SERVER = "api-server"
GATEWAY = "application-gateway"
VIRTUAL_NODES = "virtual-nodes"
RESERVED_NAMES = frozenset({POD_RANGE, API_SERVER, GATEWAY, VIRTUAL_NODES})


class Kind(Enum):
    """What a needed range is for."""

    NODE_SUBNET = "node subnet"
    POD_SUBNET = "pod subnet"
    POD_RANGE = "pod range"
    OTHER_SUBNET = "subnet"

    @property
    def in_vnet(self) -> bool:
        """Return whether it is a subnet of the cluster's network."""
        return self is not Kind.POD_RANGE


@dataclass(frozen=True, slots=True)
class Part:
    """`count` of `what`, each taking `each` units, by `rule`."""

    what: str
    count: int
    each: int
    rule: Rule

    @property
    def units(self) -> int:
        """Return units in all."""
        return self.count * self.each


@dataclass(frozen=True, slots=True)
class Need:
    """One range that is needed: its `parts`, in units of `measure`, and the range that `exists` for it, if any.

    `longest`: the prefix may not be longer than this, however few the units.
    """

    name: str
    kind: Kind
    measure: Measure
    parts: tuple[Part, ...]
    exists: Prefix | None = None
    longest: int = 32

    @property
    def units(self) -> int:
        """Return units in all, before those that Azure keeps."""
        return sum(part.units for part in self.parts)

    @property
    def addresses(self) -> int:
        """Return addresses in those units."""
        return self.measure.addresses(self.units)

    @property
    def prefix(self) -> int | None:
        """Return the longest prefix that holds it; None if it fits no permitted range."""
        prefix = self.measure.prefix_for(self.units)
        return None if prefix is None else min(prefix, self.longest)

    @property
    def capacity(self) -> int | None:
        """Return the units that the existing range holds, or else a range of the needed prefix."""
        bits = self.prefix if self.exists is None else self.exists.bits
        return None if bits is None else self.measure.capacity(bits)

    @property
    def fits(self) -> bool:
        """Return whether the existing range, or any range, holds it."""
        return self.capacity is not None and self.units <= self.capacity


def needs(cluster: Cluster, scenario: Scenario) -> tuple[Need, ...]:
    """Return everything the cluster needs at that moment: node subnets, pod subnets or pod range, other subnets."""
    return (*_node_subnets(cluster, scenario), *_for_pods(cluster, scenario), *_other_subnets(cluster))


def _node_subnets(cluster: Cluster, scenario: Scenario) -> Iterator[Need]:
    parts: dict[str, list[Part]] = defaultdict(list)
    for pool in cluster.pools:
        parts[pool.node_subnet].append(_node_part(cluster, pool, scenario.peak(pool)))
    for name, extra in _extras(cluster):
        parts[name].append(extra)
    for name, own in parts.items():
        yield _subnet(cluster, name, Kind.NODE_SUBNET, SUBNET, own)


def _node_part(cluster: Cluster, pool: NodePool, count: int) -> Part:
    if cluster.variant.pods is PodSource.NODE_SUBNET:
        return Part(
            f"nodes of {pool.name}, with their pods", count, arithmetic.flat_hold(pool.max_pods), rules.V_NODE_SUBNET
        )
    return Part(f"nodes of {pool.name}", count, 1, rules.U1)


def _extras(cluster: Cluster) -> Iterator[tuple[str, Part]]:
    """Yield the name of the subnet, and what takes addresses in it beside nodes and pods (1.5)."""
    extras, first = cluster.extras, cluster.pools[0].node_subnet
    front_ends = extras.load_balancer_subnet or first
    for name, part in (
        (front_ends, Part("internal load balancers", extras.internal_load_balancers, 1, rules.X1)),
        (front_ends, Part("Private Link Service addresses", extras.private_link_addresses, 1, limits.PRIVATE_LINK_NAT)),
        (first, Part("private endpoint of the API server", int(extras.private_cluster), 1, rules.X3)),
        (first, Part("other machines and endpoints", extras.other_addresses, 1, rules.X6)),
    ):
        if part.count:
            yield name, part


def _for_pods(cluster: Cluster, scenario: Scenario) -> Iterator[Need]:
    source = cluster.variant.pods
    if source.has_pod_subnet:
        yield from _pod_subnets(cluster, scenario)
    elif source is PodSource.NODE_RANGES:
        rule = rules.V_KUBENET if cluster.variant.kubenet else rules.V_OVERLAY
        parts = [Part(f"nodes of {pool.name}", scenario.peak(pool), 1, rule) for pool in cluster.pools]
        yield Need(POD_RANGE, Kind.POD_RANGE, NODE_RANGES, tuple(parts), cluster.pod_range)
    elif source is PodSource.CALICO_BLOCKS:
        parts = [_calico_part(pool, scenario.peak(pool)) for pool in cluster.pools]
        yield Need(POD_RANGE, Kind.POD_RANGE, CALICO_BLOCKS, tuple(parts), cluster.pod_range)


def _calico_part(pool: NodePool, count: int) -> Part:
    return Part(f"nodes of {pool.name}", count, arithmetic.calico_blocks(pool.running_pods), rules.V_BYO_CALICO)


def _pod_subnets(cluster: Cluster, scenario: Scenario) -> Iterator[Need]:
    static = cluster.variant.pods is PodSource.STATIC_SUBNET
    parts: dict[str, list[Part]] = defaultdict(list)
    for pool in cluster.pools:
        parts[pool.pod_subnet].append(_pod_part(pool, scenario.peak(pool), static=static))
    if cluster.extras.pod_churn and not static:
        churn = Part("margin for late release", cluster.extras.pod_churn, 1, rules.V_CHURN)
        parts[cluster.pools[0].pod_subnet].append(churn)
    for name, own in parts.items():
        yield _subnet(cluster, name, Kind.POD_SUBNET, STATIC_SUBNET if static else DYNAMIC_SUBNET, own)


def _pod_part(pool: NodePool, count: int, *, static: bool) -> Part:
    if static:
        return Part(f"nodes of {pool.name}", count, arithmetic.static_blocks(pool.max_pods), rules.V_STATIC)
    return Part(f"nodes of {pool.name}", count, arithmetic.dynamic_hold(pool.running_pods), rules.V_DYNAMIC)


def _other_subnets(cluster: Cluster) -> Iterator[Need]:
    """Yield delegated subnets of their own: API server, Application Gateway for Containers, virtual nodes (1.5)."""
    extras = cluster.extras
    if count := extras.api_server_clusters:
        part = Part("clusters", count, limits.API_SERVER_ADDRESSES.value, limits.API_SERVER_ADDRESSES)
        yield _subnet(cluster, API_SERVER, Kind.OTHER_SUBNET, SUBNET, [part], limits.API_SERVER_SUBNET.value)
    if extras.application_gateway:
        part = Part("gateway", 1, limits.GATEWAY_ADDRESSES.value, limits.GATEWAY_ADDRESSES)
        yield _subnet(cluster, GATEWAY, Kind.OTHER_SUBNET, SUBNET, [part], limits.GATEWAY_SUBNET.value)
    if count := extras.virtual_node_pods:
        part = Part("pods on virtual nodes", count, 1, rules.X7)
        yield _subnet(cluster, VIRTUAL_NODES, Kind.OTHER_SUBNET, SUBNET, [part])


def _subnet(
    cluster: Cluster, name: str, kind: Kind, measure: Measure, parts: Iterable[Part], longest: int = 32
) -> Need:
    existing = cluster.networks.subnets.get(name)
    others = existing.used if existing else 0
    taken = (Part("already used by others", others, 1, rules.X6),) if others else ()
    return Need(name, kind, measure, (*parts, *taken), existing.prefix if existing else None, longest)
