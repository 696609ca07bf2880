"""Messages of host-local (spec cni-and-host-local §2.7) and of the plugins around it."""

from __future__ import annotations

from unipam.diagnose.rules.rule import SANDBOX, Rule

_RANGES = r"[0-9a-fA-F.:]+-[0-9a-fA-F.:]*[0-9a-fA-F](?:,[0-9a-fA-F.:]+-[0-9a-fA-F.:]*[0-9a-fA-F])*|[0-9a-fA-F.:]+/\d+"

RULES = (
    Rule(
        "range-exhausted",
        rf"no IP addresses available in range set: (?P<pool>{_RANGES})",
        "available in range set",
        subject="{pool}",
        unless=r"\d+ of \d+ held[^:]*: unipam explain",
    ),
    Rule(  # the same words, by unipam
        "unipam-full",
        r"(?P<held>\d+) of (?P<capacity>\d+) held(?:, (?P<doubt>\d+) in doubt)?: "
        r"(?P<question>unipam explain (?P<pool>[\w.-]+)(?: --data-dir /[^\s\"',;]+)?)",
        "unipam explain",
        subject="{pool}",
    ),
    Rule(
        "range-exhausted",
        r"no IP addresses available in network: (?P<pool>[\w.-]+)",
        "available in network",
        subject="{pool}",
    ),
    Rule("no-ranges", r"no IP ranges specified", "IP ranges specified"),
    Rule(
        "range-invalid",
        r"(?P<reason>invalid range set \d+: [^\"]{1,140}|IPAM config missing 'ipam' key|failed to parse host-local "
        r"IPAM [^\"]{1,120}"
        r"|ClusterCIDR contains two ranges of the same type|CNI version \S+ does not support more than 1 address per "
        r"family)",
        "invalid range set",
        "IPAM config missing",
        "host-local IPAM",
        "two ranges of the same type",
        "address per family",
    ),
    Rule(
        "range-invalid",
        r"(?P<reason>invalid (?:CIDR|IP) address:? [^\s\"]{0,60})",
        "invalid CIDR address",
        "invalid IP address",
        near=r"host-local|failed \(add\)|sandbox|IPAM",
        unless=r"invalid range set",
    ),
    Rule(
        "duplicate-allocation",
        r"(?P<address>[0-9a-fA-F.:]+) has been allocated to (?P<container>[\w.-]+), duplicate allocation is not "
        r"allowed",
        "duplicate allocation",
        subject="{address}",
    ),
    Rule(
        "requested-taken",
        r"requested IP address:? ?(?P<address>[0-9a-fA-F.:]+) (?:is not available in range set "
        r"(?P<pool>[0-9a-fA-F.:,-]+))",
        "requested IP address",
        subject="{address}",
    ),
    Rule(
        "static-taken",
        r"static IP allocation failed, requested IP address:? ?(?P<address>[0-9a-fA-F.:]+) is already in use",
        "static IP allocation",
        subject="{address}",
    ),
    Rule(
        "requested-gateway",
        r"requested ip (?P<address>[0-9a-fA-F.:]+) is subnet's gateway",
        "subnet's gateway",
        subject="{address}",
    ),
    Rule(
        "ranges-overlap",
        r"range set \d+ overlaps with \d+|subnets [0-9a-fA-F.:-]+ and [0-9a-fA-F.:-]+ overlap",
        "overlap",
        "overlaps",
    ),
    Rule(
        "lease-io",
        r"(?P<reason>(?:open|mkdir|write|rename|stat) (?P<file>/\S*/networks/\S+): [a-z -]+?(?:directory|device"
        r"|permitted"
        r"|denied|system|exceeded|error|space))",
        "/networks/",
        subject="{file}",
        near=SANDBOX,
    ),
    Rule(
        "bridge-address",
        r"\"?(?P<bridge>[\w.-]+)\"? already has an IP address different from (?P<gateway>[0-9a-fA-F.:]+/\d+)",
        "already has an IP address",
        subject="{bridge}",
    ),
    Rule(
        "flannel-not-ready",
        r"open /run/flannel/subnet\.env: no such file|failed to load flannel '?subnet\.env'? file",
        "subnet.env",
    ),
    Rule(
        "whereabouts-exhausted",
        r"[Cc]ould not allocate IP in range: ip: (?P<first>\S+) ?/ ?-? ?(?P<last>[0-9a-fA-F.:]+)?(?:.{0,40}?range: "
        r"(?P<pool>\S+))?",
        "allocate IP in range",
        subject="{pool}",
    ),
    Rule(
        "whereabouts-busy",
        r"time limit exceeded while waiting to become leader",
        "become leader",
        near=SANDBOX + "|whereabouts",
    ),
)
