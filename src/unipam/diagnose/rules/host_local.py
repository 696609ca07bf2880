"""Messages of host-local (spec cni-and-host-local §2.7) and of the plugins and nodes around it."""

from __future__ import annotations

from unipam.diagnose.rules.rule import Rule

RULES = (
    Rule(
        "range-exhausted",
        r"no IP addresses available in range set: "
        r"(?P<pool>[0-9a-fA-F.:]+-[0-9a-fA-F.:]*[0-9a-fA-F](?:,[0-9a-fA-F.:]+-[0-9a-fA-F.:]*[0-9a-fA-F])*)",
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
    Rule(
        "duplicate-allocation",
        r"(?P<address>[0-9a-fA-F.:]+) has been allocated to (?P<container>[\w.-]+), duplicate allocation is not "
        r"allowed",
        "duplicate allocation",
        subject="{address}",
    ),
    Rule(
        "requested-taken",
        r"requested IP address (?P<address>[0-9a-fA-F.:]+) is not available in range set (?P<pool>[0-9a-fA-F.:,-]+)",
        "requested IP address",
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
        r"(?P<reason>(?:open|mkdir|write) (?P<file>/\S*/networks/\S+): [a-z ]+?(?:directory|device|permitted"
        r"|denied|system))",
        "/networks/",
        subject="{file}",
    ),
    Rule(
        "bridge-address",
        r"\"?(?P<bridge>[\w.-]+)\"? already has an IP address different from (?P<gateway>[0-9a-fA-F.:]+/\d+)",
        "already has an IP address",
        subject="{bridge}",
    ),
    Rule(
        "no-pod-cidr",
        r"[Nn]ode \"?(?P<node>[\w.-]+)\"? pod cidr not assigned",
        "acquire lease",
        "registering network",
        subject="{node}",
    ),
    Rule("no-pod-cidr", r"no podCidr for node (?P<node>[\w.-]+)", "no podCidr", subject="{node}"),
    Rule(
        "cluster-cidr-full",
        r"(?:for node (?P<node>[\w.-]+): )?CIDR allocation failed; there are no remaining CIDRs"
        r"|Node (?P<other>[\w.-]+) status is now: CIDRNotAvailable",
        "no remaining CIDRs",
        "CIDRNotAvailable",
    ),
)
