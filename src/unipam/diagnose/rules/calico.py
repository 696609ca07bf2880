"""Messages of Calico's IPAM and CNI plugin (spec calico-ipam §1) that speak of trouble, or only seem to."""

from __future__ import annotations

from unipam.diagnose.rules.rule import Rule

_CIDRS = r"\[(?P<pool>[0-9a-fA-F.:/ ,]+)\]"

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
        "calico-block-limit", r"per[ -]host block limit|limit of (?P<limit>\d+) blocks reached for this node", "limit"
    ),
    Rule(
        "calico-no-pools",
        r"no configured Calico pools|The provided IP address is not in a configured pool",
        "configured Calico pools",
        "in a configured pool",
    ),
    Rule("unauthorized", r"(?:\": |error=|err=\"?|connection is |: )[Uu]nauthorized\b", "Unauthorized", "unauthorized"),
    Rule("datastore-timeout", r"etcdserver: (?P<reason>request timed out|leader changed|no leader)", "etcdserver: "),
    Rule(
        "datastore-timeout",
        r"(?:Failed to reach apiserver|Failed to verify datastore|Error getting cluster information)"
        r".{0,200}?(?P<reason>context deadline exceeded|i/o timeout|connection refused)",
        "reach apiserver",
        "verify",
        "cluster information",
    ),
    Rule("repeat-release", r"Asked to release address but it doesn't exist\. Ignoring", "exist. Ignoring"),
    Rule(
        "repeat-release",
        r"WorkloadEndpoint does not exist in the datastore, moving forward with the clean up",
        "moving forward",
    ),
    Rule("leak-candidate", r"[Cc]andidate leaked? IP.{0,200}", "Candidate", "candidate"),
    Rule("leak-confirmed", r"[Cc]onfirmed (?:IP address )?leak(?:ed IP address)?.{0,40}", "leak", "leaked"),
)
