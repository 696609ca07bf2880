"""The address rules of AKS that are not numbers, each with the place it was read.

Here: what a rule is, and the rules that findings cite by name. Not here: limits, which are numbers (`limits`),
and the code that applies either (`overlap`, `checks`). Sources are written `aks:` for MicrosoftDocs/azure-aks-docs,
`articles/aks`; `azd:` for MicrosoftDocs/azure-docs; `AKS#n` for an issue of Azure/AKS; `CL` for the AKS changelog.
"""

from __future__ import annotations

from dataclasses import dataclass

_OLD = 2022  # a page last dated in this year or earlier is worth reading again before money is spent on it


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `id` and `section` of docs/sizing-rules.md, the page it was read on, and how firmly.

    `evidence`: D documentation, I an issue or pull request, C arithmetic, G general knowledge, N field notes.
    `dated`: year of the copy that was read, if known.
    """

    id: str
    section: str
    statement: str
    source: str
    evidence: str = "D"
    dated: int | None = None

    @property
    def verify(self) -> bool:
        """Return whether page or ground is such that the rule should be checked before it is relied on."""
        return self.evidence in "GN" or (self.dated is not None and self.dated <= _OLD)


_PLANNING = "aks:concepts-network-ip-address-planning.md"
_CNI_OVERVIEW = "aks:concepts-network-cni-overview.md"
_OVERLAY = "aks:concepts-network-azure-cni-overlay.md"
_KUBENET = "aks:configure-kubenet.md"
_ROLLING = "aks:upgrade-aks-node-pools-rolling.md"
_POD_SUBNET = "aks:concepts-network-azure-cni-pod-subnet.md"
_NAP = "aks:node-auto-provisioning-networking.md"
_MIGRATE = "aks:update-azure-cni.md"
_VNET_FAQ = "azd:articles/virtual-network/virtual-networks-faq.md"
_SUBNETS = "azd:articles/virtual-network/virtual-network-manage-subnet.md"

# 1.1 subnets
S5 = Rule("S5", "1.1", "some ranges cannot be in a virtual network", _VNET_FAQ, dated=2019)
S6 = Rule("S6", "1.1", "subnets lie in the address space of their network and do not overlap", _SUBNETS, dated=2022)
S7 = Rule("S7", "1.1", "a subnet spans all availability zones", _VNET_FAQ, dated=2019)

# 1.3 pods per node
M6 = Rule("M6", "1.3", "max pods of a pool never changes: a new pool beside the old one", "aks:create-node-pools.md")
M9 = Rule("M9", "1.3", "with BYO CNI max pods limits the kubelet, not the addresses", "aks:use-byo-cni.md")

# 1.4 upgrades
U1 = Rule("U1", "1.4", "a rolling upgrade first adds the surge nodes: the peak is nodes + surge", _ROLLING, dated=2026)
U2 = Rule("U2", "1.4", "a surge in percent rounds up, and is never more than the pool", _ROLLING, dated=2026)
U3 = Rule("U3", "1.4", "max surge 0 needs max unavailable above 0, and a user pool", _ROLLING, dated=2026)
U6 = Rule(
    "U6",
    "1.4",
    "from Kubernetes 1.35 an upgrade short of capacity retries with one surge node; whether a full subnet counts "
    "is not stated",
    _ROLLING,
    dated=2026,
)
U7 = Rule("U7", "1.4", "surge is per pool, and pools may upgrade together", "aks:upgrade-aks-cluster.md")
U9 = Rule("U9", "1.4", "a blue-green upgrade adds a whole second pool", "learn: aks/blue-green-node-pool-upgrade")
U11 = Rule("U11", "1.4", "an upgrade that finds no address fails", "aks:quotas-skus-regions.md")

# 1.5 what else takes addresses
X1 = Rule("X1", "1.5", "one address for each internal load balancer front end", "aks:internal-lb.md")
X3 = Rule(
    "X3",
    "1.5",
    "one private endpoint, in the first pool's subnet; it moves if the first pool changes",
    "aks:private-clusters.md",
    dated=2026,
)
X6 = Rule("X6", "1.5", "other machines and private endpoints: one address each", "aks:azure-cni-overview.md")
X7 = Rule("X7", "1.5", "virtual nodes have a delegated subnet of their own", "general knowledge", "G")
X8 = Rule("X8", "1.5", "the subnet of a node pool is not delegated", _CNI_OVERVIEW)

# 1.6 ranges and overlaps
O1 = Rule("O1", "1.6", "AKS keeps some ranges to itself", f"{_CNI_OVERVIEW}; {_KUBENET}; aks:use-byo-cni.md")
O2 = Rule(
    "O2",
    "1.6",
    "the service range is outside the network, its peers and on-premises; it never changes",
    f"aks:azure-cni-overview.md; {_PLANNING}",
    dated=2024,
)
O3 = Rule("O3", "1.6", "from Kubernetes 1.33 a ServiceCIDR resource extends the service range", "aks:use-byo-cni.md")
O4 = Rule(
    "O4",
    "1.6",
    "a service range inside the network but in no subnet works, until a later subnet takes it",
    "aks:azure-cni-overview.md",
)
O5 = Rule("O5", "1.6", "the DNS service address is in the service range and is not its first", _PLANNING, dated=2024)
O6 = Rule(
    "O6",
    "1.6",
    "the Docker bridge range is ignored since containerd, and gone from API 2023-04-01",
    "azd:articles/aks/configure-azure-cni.md; CL 2023-03-05",
)
O7 = Rule(
    "O7",
    "1.6",
    "the pod range overlaps no subnet, service range, peer or on-premises network",
    f"{_OVERLAY}; {_KUBENET}",
    dated=2024,
)
O8 = Rule(
    "O8", "1.6", "the pod range overlaps no part of the network: migration and API refuse it", f"{_MIGRATE}; AKSC#403"
)
O9 = Rule("O9", "1.6", "pod ranges are RFC 1918 or RFC 6598; public ones are not supported", _OVERLAY, dated=2024)
O10 = Rule("O10", "1.6", "service and pod range stay clear of the network that AKS makes itself", "CL 2022-02-24", "C")
O13 = Rule("O13", "1.6", "with node auto-provisioning no one else checks subnets for overlap", _NAP, dated=2026)
O14 = Rule("O14", "1.6", "dual stack: pod range /64, service range /108 or longer", "aks:azure-cni-overlay.md")

G_PEERS = Rule("peering", "1.6", "networks that route to one another do not overlap", "general knowledge", "G")

# 1.7 pools
P2 = Rule(
    "P2",
    "1.7",
    "after extending the network, update the cluster without change before adding a pool there",
    "aks:node-pool-unique-subnet.md",
)
P3 = Rule("P3", "1.7", "an autoscaled pool counts with its maximum", "InsufficientSubnetSize article; AKS#3686", "I")
P5 = Rule("P5", "1.7", "a scale-up that does not fit is refused whole: asked 30, 24 free, gets 0", "AKS#2531", "I")
P7 = Rule(
    "P7", "1.7", "best practice is one pool a zone, each with its own surge", "aks:cluster-autoscaler-overview.md"
)
P10 = Rule("P10", "1.7", "a kubenet cluster shares its subnet with no other cluster", f"{_CNI_OVERVIEW}; {_KUBENET}")
P11 = Rule("P11", "1.7", "node auto-provisioning: Overlay and Node Subnet only, no Calico policy", _NAP, dated=2026)

# 1.8 growing later
E1 = Rule("E1", "1.8", "a subnet in use cannot be resized", f"{_SUBNETS}; {_VNET_FAQ}", dated=2022)
E3 = Rule(
    "E3",
    "1.8",
    "an Overlay pod range can grow to a superset; Linux only, IPv4 only",
    "aks:azure-cni-overlay-pod-expand.md",
)
E4 = Rule("E4", "1.8", "a kubenet pod range cannot change, except by migrating to Overlay", f"{_KUBENET}; {_MIGRATE}")
E5 = Rule("E5", "1.8", "migration goes to Overlay only, from kubenet or Node Subnet, all pools at once", _MIGRATE)

E7 = Rule("E7", "1.8", "the pod range of BYO CNI can be updated (preview)", "CL 2023-07-02", dated=2023)

# 1.9 and 2: retirement, and the variants
R_KUBENET = Rule(
    "1.9", "1.9", "kubenet on AKS is retired on 31 March 2028", "AKS#4859; aks:concepts-network-legacy-cni.md"
)
R_NPM = Rule(
    "1.9",
    "1.9",
    "Azure Network Policy Manager ends on 30 September 2026 (Windows) and 30 September 2028 (Linux)",
    "aks:configure-azure-cni-dynamic-ip-allocation.md",
    dated=2026,
)
R_NODE_SUBNET = Rule(
    "1.9", "1.9", "Node Subnet is labelled legacy, without a date", "aks:concepts-network-legacy-cni.md"
)
R_STATIC = Rule(
    "1.9", "1.9", "static blocks: preview in the pages of 2024, general since December 2025", "AKS#3944", "I"
)
V_NODE_SUBNET = Rule("2.3", "2.3", "a node reserves itself and its max pods in its subnet", _PLANNING, dated=2024)
V_LIKELY = Rule("2.3", "2.3", "Linux nodes of 2022-01-07 and later likely reserve two fewer", "CL 2022-01-07", "I")
V_DYNAMIC = Rule("2.6", "2.6", "a node holds batches of 16 and one more", f"{_POD_SUBNET}; ACN#2462", "I")
V_CHURN = Rule("2.6", "2.6", "leave a margin for addresses that are released late", _POD_SUBNET, dated=2024)
V_STATIC = Rule("2.7", "2.7", "a node holds whole /28 blocks, one address of them reserved", _POD_SUBNET, dated=2024)
V_STATIC_EDGE = Rule("2.7", "2.7", "the reserved addresses spoil the first and the last block", "inference", "G")
V_OVERLAY = Rule("2.8", "2.8", "a node takes a /24 of the pod range, whatever its max pods", _OVERLAY, dated=2024)
V_KUBENET = Rule("2.1", "2.1", "a node takes a /24 of the pod range and a route in the table", _KUBENET)
V_BYO = Rule(
    "2.10", "2.10", "a pod range must be named, and must be what the plugin uses", "aks:use-byo-cni.md", dated=2026
)
V_BYO_CALICO = Rule(
    "2.10", "2.10", "Calico hands out /26 blocks; VXLAN works on Azure, IPIP does not", "docs.tigera.io", "G"
)
V_BYO_CILIUM = Rule(
    "2.10", "2.10", "Cilium's default pool 10.0.0.0/8 overlaps the default service range", "cilium/cilium#31504", "I"
)
V_SHRINK = Rule(
    "5", "5", "AKS sums the maxima of all pools: past the pod range no pool can be added or raised", "AKS#4467", "I"
)
W_WINDOWS = Rule(
    "2.11",
    "2.11",
    "Windows nodes: first pool Linux, name of 6 characters or fewer, Azure CNI without Cilium",
    "aks:create-node-pools.md; aks:windows-vs-linux-containers.md",
)
W_PATCH = Rule(
    "2.11", "2.11", "Windows is patched by image upgrade, so the surge is needed every month", "derived", "C"
)
