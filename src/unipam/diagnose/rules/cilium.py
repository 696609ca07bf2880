"""Messages of the Cilium agent, its CNI plugin and its operator (spec cilium-azure-ipam §1.11)."""

from __future__ import annotations

from unipam.diagnose.rules.rule import Rule

RULES = (
    Rule(
        "cilium-exhausted",
        r"no IPs currently available on the node|[Nn]o (?:more )?IPs available|all CIDR ranges are exhausted"
        r"|postIpamFailure\"? \"?range is full|\brange is full\b",
        "currently available on the node",
        "IPs available",
        "CIDR ranges are exhausted",
        "range is full",
        unless=r"No IPs available in pools",
    ),
    Rule(
        "cilium-empty-pool",
        r"cilium_ipam_capacity\S*:? .{0,80}?(?:first=0\b|(?:=|:|was|is) ?0\b(?!\.))",
        "ipam_capacity",
    ),
    Rule(
        "cilium-agent-waits",
        r"Waiting for IPs to become available in CRD-backed allocation pool",
        "CRD-backed allocation pool",
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
        r"IP (?P<address>[0-9a-fA-F.:]+) is (?:blacklisted|excluded), owned by (?P<owner>\S+)",
        "owned by",
        subject="{address}",
    ),
    Rule(
        "cilium-operator-start",
        r"[Ff]ailed to (?:init|start|create).{0,40}(?:azure|Azure).{0,40}allocator",
        "allocator",
    ),
)
