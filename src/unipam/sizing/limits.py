"""Every number that Azure or AKS sets, in one table, with its source.

Here: limits, defaults and fixed sizes as `Limit` objects, and the ranges AKS keeps to itself. Not here: arithmetic on
them (`arithmetic`), and rules without a number (`rules`). A number of Azure anywhere else in this room is a mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

from unipam.addr.prefix import parse_prefix
from unipam.sizing.rules import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit(Rule):
    """A rule with a number: `value` of `unit`."""

    value: int
    unit: str


_PLANNING = "aks:concepts-network-ip-address-planning.md"
_OVERLAY = "aks:concepts-network-azure-cni-overlay.md"
_KUBENET = "aks:configure-kubenet.md"
_POD_SUBNET = "aks:concepts-network-azure-cni-pod-subnet.md"
_DYNAMIC = "aks:configure-azure-cni-dynamic-ip-allocation.md"
_STATIC = "aks:configure-azure-cni-static-block-allocation.md"
_LARGE = "aks:best-practices-performance-scale-large.md"
_ROLLING = "aks:upgrade-aks-node-pools-rolling.md"
_API_SERVER = "aks:api-server-vnet-integration.md"
_GATEWAY = "azd:articles/application-gateway/for-containers (quickstart, managed by ALB controller)"
_VNET_FAQ = "azd:articles/virtual-network/virtual-networks-faq.md"
_SUBNETS = "azd:articles/virtual-network/virtual-network-manage-subnet.md"
_VNET_LIMITS = "azd:includes/azure-virtual-network-limits.md"
_AKS_LIMITS = "azd:includes/container-service-limits.md"


def _limit(rule: tuple[str, str], value: int, unit: str, statement: str, source: str, **more: object) -> Limit:
    """Return a row of the table; `rule` is (id, section)."""
    return Limit(*rule, statement, source, value=value, unit=unit, **more)  # type: ignore[arg-type]


# Subnets (1.1)
RESERVED = _limit(
    ("S1", "1.1"),
    5,
    "addresses",
    "Azure keeps five addresses of a subnet: the first four and the last",
    _VNET_FAQ,
    dated=2019,
)
LONGEST_SUBNET = _limit(("S4", "1.1"), 29, "prefix length", "the smallest subnet is /29", _VNET_FAQ, dated=2019)
SHORTEST_SUBNET = _limit(("S4", "1.1"), 8, "prefix length", "the largest subnet is /8", _VNET_FAQ, dated=2019)
IPV6_SUBNET = _limit(("S4", "1.1"), 64, "prefix length", "an IPv6 subnet is exactly /64", _SUBNETS, dated=2022)

# Networks (1.2)
VNET_ADDRESSES = _limit(
    ("L1", "1.2"),
    65_536,
    "addresses",
    "private addresses in use in one network",
    f"{_VNET_LIMITS}; {_PLANNING}",
    dated=2022,
)
PEERED_ADDRESSES = _limit(
    ("L2", "1.2"),
    128_000,
    "addresses",
    "private addresses in use in a group of peered networks",
    _VNET_LIMITS,
    dated=2022,
)
NIC_ADDRESSES = _limit(("L3", "1.2"), 256, "addresses", "private addresses of one NIC", _VNET_LIMITS, dated=2022)
SUBNETS_PER_VNET = _limit(("L4", "1.2"), 3_000, "subnets", "subnets in one network", _VNET_LIMITS, dated=2022)
PEERINGS_PER_VNET = _limit(("L4", "1.2"), 500, "peerings", "peerings of one network", _VNET_LIMITS, dated=2022)
ROUTES = _limit(("L5", "1.2"), 400, "routes", "user-defined routes in one route table", f"{_VNET_LIMITS}; {_KUBENET}")

# Clusters (1.2)
CLUSTER_NODES = _limit(("L6", "1.2"), 5_000, "nodes", "nodes of one cluster", _AKS_LIMITS)
CLUSTER_NODES_BY_DEFAULT = _limit(
    ("L6", "1.2"),
    1_000,
    "nodes",
    "nodes of one cluster until support raises its quota, to 5,000 at most",
    "terraform-provider-azurerm#9198",
    evidence="I",
)
POOL_NODES = _limit(("L6", "1.2"), 1_000, "nodes", "nodes of one pool", _AKS_LIMITS)
POOLS = _limit(("L6", "1.2"), 100, "pools", "pools of one cluster", _AKS_LIMITS)
LOAD_BALANCED_SERVICES = _limit(
    ("L7", "1.2"), 300, "Services", "load-balanced Services of a cluster with the Standard load balancer", _AKS_LIMITS
)
SYSTEM_POOL_NODES = _limit(("L8", "1.2"), 1, "nodes", "a system pool has at least one node", "aks:create-node-pools.md")
OVERLAY_PODS = _limit(("L9", "1.2"), 200_000, "pods", "scale guidance for Overlay", _LARGE)
DYNAMIC_PODS = _limit(("L9", "1.2"), 50_000, "pods", "scale guidance for dynamic pod subnets", _LARGE)
INTERNAL_LOAD_BALANCER_NODES = _limit(
    ("L9", "1.2"), 750, "nodes", "internal load balancers are made before the cluster grows past this", _LARGE
)
NPM_NODES = _limit(("L10", "1.2"), 250, "nodes", "Azure NPM on Linux", f"aks:use-network-policies.md; {_LARGE}")
NPM_PODS = _limit(("L10", "1.2"), 20_000, "pods", "Azure NPM on Linux", f"aks:use-network-policies.md; {_LARGE}")
FREE_TIER_NODES = _limit(("L11", "1.2"), 10, "nodes", "recommended for the Free tier", _AKS_LIMITS)

# Pods per node (1.3)
MIN_MAX_PODS = _limit(("M3", "1.3"), 10, "pods per node", "the least max pods", _PLANNING, dated=2024)
MAX_MAX_PODS = _limit(("M3", "1.3"), 250, "pods per node", "the most max pods", f"{_PLANNING}; {_OVERLAY}", dated=2024)
POOL_PODS = _limit(
    ("M4", "1.3"), 30, "pods", "a pool offers at least this many: nodes x max pods", f"{_PLANNING}; AKS#931", dated=2024
)
TWO_NODES_REFUSED = _limit(
    ("M4", "1.3"), 20, "pods per node", "two such nodes were reported to be refused", "AKS#931", evidence="I"
)
WINDOWS_MAX_PODS = _limit(("M8", "1.3"), 110, "pods per node", "recommended for Windows nodes", _AKS_LIMITS)
KUBENET_MAX_PODS = _limit(("M1", "1.3"), 110, "pods per node", "default of kubenet", _PLANNING, dated=2024)
NODE_SUBNET_MAX_PODS = _limit(("M1", "1.3"), 30, "pods per node", "default of Node Subnet", _PLANNING, dated=2024)
POD_SUBNET_MAX_PODS = _limit(
    ("M2", "1.3"), 110, "pods per node", "default of Pod Subnet", f"{_PLANNING}; {_DYNAMIC}", dated=2024
)
KUBENET_OLD_MAX_PODS = _limit(
    ("M7", "1.3"),
    110,
    "pods per node",
    "the most for kubenet in older pages; 250 were seen to work",
    "azd:articles/aks/configure-azure-cni.md; azure-docs#108215",
    evidence="I",
    dated=2019,
)
OVERLAY_MAX_PODS = _limit(("M1", "1.3"), 250, "pods per node", "default of Overlay", _PLANNING, dated=2024)

# Upgrades (1.4)
DEFAULT_SURGE = _limit(
    ("U4", "1.4"),
    10,
    "percent",
    "the default surge: at least 1; pages disagree, old pools may keep 1",
    f"CL 2023-03-05; {_ROLLING}; SAD#2101",
    evidence="I",
)
RECOMMENDED_SURGE = _limit(("U5", "1.4"), 33, "percent", "recommended for production", _ROLLING, dated=2026)

# What else takes addresses (1.5)
PRIVATE_LINK_NAT = _limit(
    ("X2", "1.5"), 8, "addresses", "NAT addresses of one Private Link Service, from 1", "aks:internal-lb.md"
)
API_SERVER_ADDRESSES = _limit(("X4", "1.5"), 9, "addresses", "a cluster's share of an API server subnet", _API_SERVER)
API_SERVER_SUBNET = _limit(("X4", "1.5"), 28, "prefix length", "the smallest API server subnet", _API_SERVER)
GATEWAY_ADDRESSES = _limit(("X5", "1.5"), 250, "addresses", "Application Gateway for Containers", _GATEWAY)
GATEWAY_SUBNET = _limit(("X5", "1.5"), 24, "prefix length", "Application Gateway for Containers", _GATEWAY)

# Ranges (1.6)
SHORTEST_SERVICE_RANGE = _limit(
    ("O2", "1.6"),
    13,
    "prefix length",
    "the service range is smaller than /12",
    f"aks:azure-cni-overview.md; {_PLANNING}",
)
LONGEST_SERVICE_RANGE = _limit(
    ("O2", "1.6"), 28, "prefix length", "the smallest service range planned here", "general knowledge", evidence="G"
)
SHORTEST_SERVICE_RANGE_IPV6 = _limit(
    ("O14", "1.6"), 108, "prefix length", "the largest IPv6 service range", "aks:azure-cni-overlay.md"
)
POD_RANGE_IPV6 = _limit(("O14", "1.6"), 64, "prefix length", "the IPv6 pod range", "aks:azure-cni-overlay.md")

# Variants (2)
OVERLAY_OLD_NODES = _limit(
    ("2.8", "2.8"),
    1_000,
    "nodes",
    "the most for Overlay in a text of 2023; 5,000 today",
    "azure-docs#109320",
    evidence="I",
)
OVERLAY_NAME = _limit(("2.8", "2.8"), 63, "characters", "names of subnet, network and group with Overlay", _OVERLAY)
NODE_RANGE = _limit(
    ("2.8", "2.8"), 24, "prefix length", "a node's part of the pod range (kubenet, Overlay)", f"{_OVERLAY}; {_KUBENET}"
)
SHORTEST_POD_RANGE = _limit(
    ("2.8", "2.8"),
    8,
    "prefix length",
    "Kubernetes cuts at most 16 bits of node ranges from a pod range",
    "kube-controller-manager",
    evidence="G",
)
BATCH = _limit(
    ("2.6", "2.6"), 16, "addresses", "a node asks for pod addresses by this many", f"{_POD_SUBNET}; {_DYNAMIC}"
)
BATCH_FLOOR = _limit(
    ("2.6", "2.6"), 8, "addresses", "a node asks again when fewer than this many are free", f"{_POD_SUBNET}; {_DYNAMIC}"
)
CONTAINER_PRIMARY = _limit(
    ("2.6", "2.6"), 1, "addresses", "the network container's own address", "ACN#2462", evidence="I"
)
SHORTEST_DYNAMIC_SUBNET = _limit(("2.6", "2.6"), 16, "prefix length", "the largest dynamic pod subnet", _DYNAMIC)
DYNAMIC_MAPPINGS = _limit(("2.6", "2.6"), 65_000, "pods", "mappings of a cluster, about", f"{_DYNAMIC}; {_LARGE}")
STATIC_BLOCK = _limit(("2.7", "2.7"), 28, "prefix length", "a block of static allocation", f"{_STATIC}; {_POD_SUBNET}")
STATIC_RESERVED = _limit(("2.7", "2.7"), 1, "addresses", "reserved of a node's blocks", f"{_STATIC}; {_POD_SUBNET}")
STATIC_SPOILT = _limit(
    ("2.7", "2.7"), 2, "blocks", "first and last block, spoilt by reserved addresses", "inference", evidence="G"
)
SHORTEST_STATIC_SUBNET = _limit(("2.7", "2.7"), 12, "prefix length", "the largest static-block pod subnet", _STATIC)
STATIC_KUBERNETES = _limit(("2.7", "2.7"), 28, "Kubernetes 1.x", "static blocks", _STATIC)
CALICO_BLOCK = _limit(
    ("2.10", "2.10"), 26, "prefix length", "Calico's block", "projectcalico/calico manifests/custom-resources.yaml"
)
HOST_NETWORK_SAVING = _limit(
    ("2.3", "2.3"), 2, "addresses", "a Linux node likely reserves this many fewer", "CL 2022-01-07", evidence="I"
)
WINDOWS_POOL_NAME = _limit(("2.11", "2.11"), 6, "characters", "name of a Windows pool", "aks:create-node-pools.md")
POOL_NAME = _limit(("2.11", "2.11"), 12, "characters", "name of a Linux pool", "AKS API", evidence="G")
MIGRATION_KUBERNETES = _limit(("E5", "1.8"), 27, "Kubernetes 1.x", "migrating to Overlay", "aks:update-azure-cni.md")
EXTENDABLE_SERVICES_KUBERNETES = _limit(
    ("O3", "1.6"), 33, "Kubernetes 1.x", "ServiceCIDR resources", "aks:use-byo-cni.md"
)
SURGE_FALLBACK_KUBERNETES = _limit(
    ("U6", "1.4"), 35, "Kubernetes 1.x", "upgrade falls back to one surge node", _ROLLING
)

# Ranges with a meaning (1.1 S5, 1.6 O1, O2, O10, O14, O9)
NEVER_IN_VNET = tuple(
    map(parse_prefix, ("224.0.0.0/4", "255.255.255.255/32", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32"))
)
KEPT_BY_AKS = tuple(map(parse_prefix, ("169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24")))
PRIVATE = tuple(map(parse_prefix, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
MANAGED_VNET = parse_prefix("10.224.0.0/12")
DEFAULT_SERVICE_RANGE = parse_prefix("10.0.0.0/16")
DEFAULT_POD_RANGE = parse_prefix("10.244.0.0/16")
DEFAULT_CILIUM_RANGE = parse_prefix("10.0.0.0/8")
DEFAULT_CALICO_RANGE = parse_prefix("192.168.0.0/16")


def table() -> tuple[Limit, ...]:
    """Return every limit, in the order of this module."""
    return tuple(value for value in globals().values() if isinstance(value, Limit))
