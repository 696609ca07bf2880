"""Messages of the Cilium agent, its CNI plugin and its operator (spec cilium-azure-ipam §1.11, §2)."""

from __future__ import annotations

from unipam.diagnose.rules.rule import CILIUM, Rule

RULES = (
    Rule(
        "cilium-exhausted",
        r"no IPs currently available on the node|[Nn]o (?:more )?IPs available|all CIDR ranges are exhausted"
        r"|postIpamFailure\"? \"?range is full|\brange is full\b",
        "currently available on the node",
        "IPs available",
        "CIDR ranges are exhausted",
        "range is full",
        near=CILIUM,
        unless=r"No IPs available in pools|waiting on Azure CNS",
    ),
    Rule(
        "cilium-pool-not-ready",
        r"unable to (?:allocate|reserve IP (?P<address>\S+)) from pool \"?(?P<pool>[\w.-]+)\"? \(family "
        r"(?P<family>ipv[46])\): pool not "
        r"\(yet\) available",
        "from pool",
        "yet",
        subject="{pool}",
    ),
    Rule(
        "cilium-pool-missing",
        r"IP pool [\"'](?P<pool>[\w.-]+)[\"'] not found|(?:cannot allocate|unable to allocate).{0,40}?pool "
        r"\"?(?P<other>[\w.-]+)\"?"
        r".{0,20}?(?:does not exist|not found|unknown)",
        "pool",
        subject="{pool}{other}",
        near=CILIUM,
    ),
    Rule(
        "cilium-cluster-pool-full",
        r"Failed to allocate PodCIDRs? to node"
        r"|allocat\w+.{0,40}?PodCIDRs?.{0,80}?(?:exhausted|is full|no more|not enough)"
        r"|all (?:cluster )?pool CIDRs are (?:exhausted|full)",
        "PodCIDRs",
        "PodCIDR",
        "exhausted",
        near=r"[Cc]ilium|operator|ClusterPool|cluster-pool|subsys=",
        unless=r"no remaining CIDRs|Calico|in-cluster",
    ),
    Rule(
        "cilium-agent-waits",
        r"Waiting for IPs to become available in CRD-backed allocation pool",
        "CRD-backed allocation pool",
    ),
    Rule(
        "cilium-agent-waits",
        r"Waiting for IPs? to become available in pool|Waiting for CiliumNode custom resource to synchronize"
        r"|[Ww]aiting for (?:initial IPs|.{0,20}pod ?CIDR)|Required IPv[46] PodCIDR not available",
        "become available in pool",
        "CiliumNode custom resource",
        "for initial IPs",
        "PodCIDR not available",
        "for podCIDR",
        "for PodCIDR",
        near=CILIUM,
    ),
    Rule("cilium-no-cidr", r"Could not determine VPC CIDRs", "determine VPC CIDRs"),
    Rule(
        "cilium-agent-busy",
        r"\[(?:PUT|POST|PATCH|DELETE) /(?P<call>endpoint|ipam)\S*\]\[429\]|(?:put|patch"
        r"|delete)EndpointIdTooManyRequests",
        "429",
        "putEndpointIdTooManyRequests",
        "patchEndpointIdTooManyRequests",
        "deleteEndpointIdTooManyRequests",
        near=CILIUM,
    ),
    Rule(
        "cilium-agent-down",
        r"unable to connect to Cilium (?:agent|daemon)|dial unix /var/run/cilium/cilium\.sock: (?:connect: "
        r")?(?P<reason>[a-z ]+)",
        "connect to Cilium",
        "cilium.sock",
    ),
    Rule(
        "cilium-empty-pool",
        r"cilium_ipam_capacity\S*:? .{0,80}?(?:first=0\b|(?:=|:|was|is) ?0\b(?!\.))",
        "ipam_capacity",
    ),
    Rule(
        "cilium-at-capacity",
        r"ipam_nodes\{[^}]*category=\"?at-capacity\"?[^}]*\}\s*(?:=|\s)\s*(?P<nodes>[1-9]\d*)",
        "at-capacity",
    ),
    Rule(
        "cilium-sync-failed",
        r"Unable to synchronize Azure [\w/ ]+list|instances API is unstable",
        "synchronize Azure",
        "API is unstable",
    ),
    Rule(
        "cilium-instance-missing", r"Instance not found! Please delete corresponding ciliumnode", "Instance not found"
    ),
    Rule("cilium-assign-failed", r"Unable to assign additional IPs to interface", "assign additional IPs"),
    Rule("cilium-out-of-interfaces", r"Instance is out of interfaces", "out of interfaces"),
    Rule("cilium-ip-state", r"Ignoring potentially available IP due to non-successful state", "non-successful state"),
    Rule("cilium-different-subnets", r"CannotUseDifferentSubnets", "CannotUseDifferentSubnets"),
    Rule(
        "cilium-ip-refused",
        r"IP (?P<address>[0-9a-fA-F.:]+) is (?:blacklisted|excluded), owned by (?P<owner>\S+)"
        r"|IP (?P<taken>[0-9a-fA-F.:]+ )?(?:is )?(?:already in use|not available, marked or ready for release)",
        "owned by",
        "IP already in use",
        "ready for release",
        subject="{address}",
        near=CILIUM,
        unless=r"static IP allocation|host-local",
    ),
    Rule(
        "cilium-operator-start",
        r"[Ff]ailed to (?:init|start|create).{0,40}(?:azure|Azure).{0,40}allocator",
        "allocator",
    ),
)
