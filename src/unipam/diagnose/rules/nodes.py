"""What the cluster's controllers say of node ranges and their routes (spec kubenet §1 to §4)."""

from __future__ import annotations

from unipam.diagnose.rules.rule import Rule

_ROUTES = r"[Rr]oute|azure|kubenet|node"

RULES = (
    Rule(
        "no-pod-cidr",
        r"[Nn]ode \"?(?P<node>[\w.-]+)\"? pod cidr not assigned",
        "acquire lease",
        "registering network",
        subject="{node}",
    ),
    Rule("no-pod-cidr", r"no podCidr for node (?P<node>[\w.-]+)", "no podCidr", subject="{node}"),
    Rule(
        "no-pod-cidr",
        r"Kubenet does not have netConfig|usePodCidr(?:IPv6)? found but there is no IPv[46] CIDR configured"
        r"|[Nn]ode (?P<node>[\w.-]+) has no (?:assigned )?podCIDR",
        "does not have netConfig",
        "usePodCidr found but",
        "usePodCidrIPv6 found but",
        "podCIDR",
        subject="{node}",
        near=r"[Kk]ubenet|[Cc]alico|sandbox|flannel|cni|CNI|IPAM|kube",
    ),
    Rule(
        "cluster-cidr-full",
        r"(?:for node (?P<node>[\w.-]+): )?CIDR allocation failed; there are no remaining CIDRs"
        r"|Node (?P<other_node>[\w.-]+) status is now: CIDRNotAvailable",
        "no remaining CIDRs",
        "CIDRNotAvailable",
    ),
    Rule(
        "node-range-foreign",
        r"node:? ?(?P<node>[\w.-]+) has an allocated cidr: (?P<cidr>[0-9a-fA-F.:]+/\d+) at index:\d+ that does not "
        r"exist in cluster",
        "has an allocated cidr",
        subject="{node}",
    ),
    Rule(
        "cidr-assignment-failed",
        r"Node (?P<node>[\w.-]+) status is now: CIDRAssignmentFailed",
        "CIDRAssignmentFailed",
        subject="{node}",
    ),
    Rule(
        "route-failed",
        r"Could not create route \S+ (?P<cidr>[0-9a-fA-F.:]+/\d+) for node (?P<node>[\w.-]+)[^:]*: (?P<reason>.{0,160})"
        r"|RouteController failed to create a route",
        "Could not create route",
        "RouteController failed",
        subject="{node}",
        unless=r"RouteConflict|Routes cannot have the same AddressPrefix",
    ),
    Rule(
        "route-conflict",
        r"Route: (?P<one>\S+) conflicts with Route: (?P<other>[\w.-]+?)\. Routes cannot have the same AddressPrefix"
        r"|RouteConflict\b(?!.*conflicts with Route)",
        "conflicts with Route",
        "RouteConflict",
        subject="{one}",
        near=_ROUTES,
    ),
)
