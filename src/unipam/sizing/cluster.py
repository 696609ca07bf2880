"""What is planned: a cluster, its pools, its networks, and the space it may be placed in.

Values only; they are made by the door (`document`) or by code that knows what it does. Not here: rules about them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum

from unipam.addr.prefix import Prefix
from unipam.sizing import limits
from unipam.sizing.arithmetic import Percent, Share, share_of, surge
from unipam.sizing.variants import Variant

NODES = "nodes"
PODS = "pods"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePool:
    """One pool. `nodes` is the planned count, growth included: the maximum of an autoscaled pool (P3).

    `pods`: pods a node runs that take a pod address (not hostNetwork); None means `max_pods`.
    `max_surge`: None means the default (U4). `zones`: zone numbers, for information.
    `node_subnet`, `pod_subnet`: names of subnets, shared by pools that say the same.
    """

    name: str
    nodes: int
    max_pods: int
    pods: int | None = None
    max_surge: Share | None = None
    max_unavailable: Share = 0
    autoscaled: bool = False
    system: bool = True
    windows: bool = False
    zones: tuple[int, ...] = ()
    node_subnet: str = NODES
    pod_subnet: str = PODS

    @property
    def running_pods(self) -> int:
        """Return pods a node is expected to run."""
        return self.max_pods if self.pods is None else self.pods

    @property
    def surge(self) -> int:
        """Return nodes that an upgrade adds."""
        return surge(self.nodes, self.max_surge)

    def grown(self, growth: Share) -> NodePool:
        """Return the same pool with `growth` more nodes; a percentage of its nodes rounds up."""
        return replace(self, nodes=self.nodes + share_of(self.nodes, growth))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What else takes addresses (1.5). Counts are addresses unless they say otherwise.

    `load_balancer_subnet`: a subnet for internal front ends; None means the first pool's.
    """

    internal_load_balancers: int = 0
    private_link_addresses: int = 0
    load_balancer_subnet: str | None = None
    load_balanced_services: int = 0
    private_cluster: bool = False
    api_server_clusters: int = 0
    application_gateway: bool = False
    virtual_node_pods: int = 0
    other_addresses: int = 0
    pod_churn: int = 0


@dataclass(frozen=True, slots=True)
class Subnet:
    """A subnet that exists: its `prefix`, and what others (machines, clusters) have `used` of it.

    `used` counts addresses, or /28 blocks where pods are given static blocks.
    """

    prefix: Prefix
    used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """Ranges that exist or are decided. None means not given: AKS's default applies, or the plan finds one.

    `subnets` by name; a name that no pool uses is a neighbour. `pod_cidr_now`: the range that `pod_cidr` is to replace.
    `service_bits`: the length of the
    service range if the plan is to find one. `own_routes`: user routes in the kubenet table.
    `vnet_addresses`, `peered_addresses`: private addresses others use, in the network and in its peered group.
    """

    vnet: tuple[Prefix, ...] = ()
    subnets: dict[str, Subnet] = field(default_factory=dict)
    pod_cidr: Prefix | None = None
    pod_cidr_now: Prefix | None = None
    service_cidr: Prefix | None = None
    service_bits: int = limits.DEFAULT_SERVICE_RANGE.bits
    pod_cidr_ipv6: Prefix | None = None
    service_cidr_ipv6: Prefix | None = None
    dns_service_ip: int | None = None
    docker_bridge: Prefix | None = None
    peered: tuple[Prefix, ...] = ()
    on_premises: tuple[Prefix, ...] = ()
    own_routes: int = 0
    vnet_addresses: int = 0
    peered_addresses: int = 0


class Use(Enum):
    """What a free block may hold: subnets of the network, or ranges outside it (pod and service range)."""

    SUBNETS = "subnets"
    RANGES = "ranges"


@dataclass(frozen=True, slots=True)
class FreeBlock:
    """A block of the address plan with the prefixes already taken from it."""

    prefix: Prefix
    used: tuple[Prefix, ...] = ()
    use: Use = Use.SUBNETS


class Policy(Enum):
    """The network policy engine."""

    NONE = "none"
    AZURE = "azure"
    CALICO = "calico"
    CILIUM = "cilium"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster to plan. `pools` has at least one, the first being the first pool AKS creates.

    `kubernetes`: minor version (33 for 1.33), None if unknown. `what_if`: growths to try on top.
    """

    name: str
    variant: Variant
    pools: tuple[NodePool, ...]
    extras: Extras = Extras()
    networks: Networks = field(default_factory=Networks)
    free: tuple[FreeBlock, ...] = ()
    kubernetes: int | None = None
    policy: Policy = Policy.NONE
    free_tier: bool = False
    auto_provisioning: bool = False
    blue_green: bool = False
    dual_stack: bool = False
    migrate_from: Variant | None = None
    what_if: tuple[Share, ...] = ()

    @property
    def nodes(self) -> int:
        """Return planned nodes, without surge."""
        return sum(pool.nodes for pool in self.pools)

    @property
    def pods(self) -> int:
        """Return the most pods that the planned nodes may run."""
        return sum(pool.nodes * pool.max_pods for pool in self.pools)

    @property
    def finds_ranges(self) -> bool:
        """Return whether the plan is to find pod and service range itself, so that AKS's defaults do not apply."""
        return any(block.use is Use.RANGES for block in self.free)

    @property
    def pod_range(self) -> Prefix | None:
        """Return the IPv4 pod range in force: the one given, or the variant's default; None if there is none yet."""
        if not self.variant.pods.has_pod_range:
            return None
        default = None if self.finds_ranges else self.variant.pod_range
        return self.networks.pod_cidr or default

    @property
    def service_range(self) -> Prefix | None:
        """Return the IPv4 service range in force; None if the plan is to find one."""
        default = None if self.finds_ranges else limits.DEFAULT_SERVICE_RANGE
        return self.networks.service_cidr or default

    def grown(self, growth: Share) -> Cluster:
        """Return the same cluster with `growth` in every pool."""
        return replace(self, pools=tuple(pool.grown(growth) for pool in self.pools))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A moment to have addresses for: `peak` gives the nodes of a pool then."""

    name: str
    peak: Callable[[NodePool], int]

    def nodes(self, cluster: Cluster) -> int:
        """Return nodes of the whole cluster at that moment, all pools at once (U7)."""
        return sum(self.peak(pool) for pool in cluster.pools)


STEADY = Scenario("steady", lambda pool: pool.nodes)
UPGRADE = Scenario("upgrade", lambda pool: pool.nodes + pool.surge)
BLUE_GREEN = Scenario("blue-green", lambda pool: 2 * pool.nodes)


def at_surge(name: str, share: Percent) -> Scenario:
    """Return an upgrade with the same surge in every pool."""
    return Scenario(name, lambda pool: pool.nodes + surge(pool.nodes, share))


def planned(cluster: Cluster) -> Scenario:
    """Return the moment the plan is made for: the upgrade the cluster uses."""
    return BLUE_GREEN if cluster.blue_green else UPGRADE
