"""Messages of Calico's IPAM and CNI plugin (spec calico-ipam §1, §3.5) that speak of trouble, or only seem to."""

from __future__ import annotations

from unipam.diagnose.rules.rule import CALICO, Rule

_CIDRS = r"\[(?P<pool>[0-9a-fA-F.:/ ,]+)\]"
_BLOCK = r"'?\"?(?P<block>[0-9a-fA-F.:]+/\d+)"

RULES = (
    Rule(
        "calico-exhausted",
        rf"No IPs available in pools: {_CIDRS}",
        "IPs available in pools",
        "No IPs available",
        subject="{pool}",
    ),
    Rule("calico-exhausted", r"IPAM allocated only (?P<given>\d+)", "IPAM allocated only"),
    Rule(
        "calico-exhausted",
        r"Assigned (?P<given>\d+) out of (?P<wanted>\d+) requested IPv(?P<family>[46]) addresses",
        "requested IPv4 addresses",
        "requested IPv6 addresses",
        unless=r"No IPs available in pools|strict affinity enabled|block limit|limit of \d+ blocks",
    ),
    Rule(
        "calico-tunnel-address",
        r"Unable to autoassign an address - pools are likely exhausted\.?(?: type=\"?(?P<type>\w+)\"?)?",
        "autoassign an address",
        subject="{type}",
    ),
    Rule("calico-strict", r"No more free affine blocks and strict affinity enabled", "strict"),
    Rule(
        "calico-block-limit",
        r"per[ -]host block limit|limit of (?P<limit>\d+) blocks reached for this node"
        r"|Unable to allocate a new IPAM block; host already has (?P<blocks>\d+) blocks",
        "limit",
        "host already has",
        near=CALICO,
    ),
    Rule(
        "calico-no-pools",
        r"no configured Calico pools(?: for node (?P<node>[\w.-]+))?|The provided IP address is not in a configured "
        r"pool"
        r"|cannot find a qualified ippool|the given pool \((?P<pool>[^)]+)\) does not exist, or is not enabled",
        "configured Calico pools",
        "in a configured pool",
        "qualified ippool",
        "given pool",
    ),
    Rule(
        "calico-address-taken",
        r"IP from IPAM: resource already exists: (?P<address>[0-9a-fA-F.:]*[0-9a-fA-F])|(?:already assigned in block"
        r"|IP already assigned"
        r"|[Aa]ddress already assigned)",
        "resource already exists",
        "already assigned in block",
        "address already assigned",
        "Address already assigned",
        subject="{address}",
        near=CALICO,
    ),
    Rule(
        "calico-route-exists",
        r"route \(Ifindex: \d+, Dst: (?P<address>[0-9a-fA-F.:]+)(?:/\d+)?, Scope: \w+\) already exists for an "
        r"interface other than"
        r" '?(?P<interface>cali\w+)?",
        "interface other than",
        subject="{address}",
    ),
    Rule(
        "calico-claim-conflict",
        rf"[Pp]roblem claiming block affinity|Error claiming (?:pending affinity|block)|Someone else claimed block "
        rf"{_BLOCK}",
        "claiming block affinity",
        "claiming pending affinity",
        "Error claiming block",
        "Someone else claimed",
    ),
    Rule(
        "calico-affinity-kept",
        rf"Block must be empty but is not empty, refusing to remove affinity|block {_BLOCK}'? is not empty"
        r"|Failed to release block affinit(?:y|ies)",
        "refusing to remove affinity",
        "is not empty",
        "release block affinities",
        "Failed to release",
        near=CALICO,
    ),
    Rule(
        "calico-borrowing",
        r"Attempting to assign \d+ more addresses from non-affine blocks",
        "non-affine blocks",
        near=CALICO,
    ),
    Rule(
        "calico-retries",
        r"Max retries hit - excessive concurrent IPAM requests",
        "excessive concurrent",
    ),
    Rule(
        "unauthorized",
        r"(?:\": |error=|err=\"?|connection is |: )[Uu]nauthorized\b",
        "Unauthorized",
        "unauthorized",
        near=CALICO,
    ),
    Rule(
        "datastore-timeout",
        r"etcdserver: (?P<reason>request timed out|leader changed|no leader)",
        "etcdserver: ",
        near=CALICO,
    ),
    Rule(
        "datastore-timeout",
        r"(?:Failed to reach apiserver|Failed to verify datastore|Error getting cluster information)"
        r".{0,200}?(?P<reason>context deadline exceeded|i/o timeout|connection refused)",
        "reach apiserver",
        "verify",
        "cluster information",
        near=CALICO,
    ),
    Rule("repeat-release", r"Asked to release address but it doesn't exist\. Ignoring", "exist. Ignoring"),
    Rule(
        "repeat-release",
        r"WorkloadEndpoint does not exist in the datastore, moving forward with the clean up",
        "moving forward",
    ),
    Rule("leak-candidate", r"Candidate IP leak.{0,200}", "Candidate IP leak"),
    Rule("leak-confirmed", r"Confirmed IP leak.{0,200}", "Confirmed IP leak"),
    Rule("leak-resurrected", r"Leaked IP has been resurrected", "resurrected"),
    Rule(
        "leak-not-collected",
        r"Leaked IP address was not successfully garbage collected|Failed to garbage collect",
        "garbage collected",
        "garbage collect",
    ),
)  # fmt: skip
