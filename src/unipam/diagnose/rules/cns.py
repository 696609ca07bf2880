"""Messages of Azure CNS and of the plugins that ask it (spec azure-vnet-ipam §4.1, §4.8)."""

from __future__ import annotations

from unipam.diagnose.rules.rule import CNS, Rule

RULES = (
    Rule(
        "cns-shortage",
        r"not enough IPs available(?: of type ipv[46])?(?: for (?P<nc>[\w-]+))?, waiting on Azure CNS to allocate "
        r"more(?: with NC Status: ?(?P<status>\w*))?",
        "waiting on Azure CNS",
        "enough IPs available",
        "on Azure CNS to allocate",
        subject="{nc}",
    ),
    Rule("cns-no-network-container", r"no NCs found in the CNS internal state", "internal state"),
    Rule(
        "cns-duplicate",
        r"duplicate IP (?:(?P<address>[0-9a-fA-F.:]+) )?detected in CNS initialization",
        "detected in CNS initialization",
        subject="{address}",
    ),
    Rule("cns-stale-nc", r"found stale NC ID (?P<nc>[\w-]+)", "stale NC ID", subject="{nc}"),
    Rule("cns-desired-taken", r"Desired IP is already assigned", "Desired IP is already", near=CNS),
    Rule(
        "cns-refused",
        r"AllocateIPConfig failed: (?P<reason>(?!not enough IPs|no NCs found|\[AssignDesired)[^\"]{1,140}?)(?:, IP "
        r"config request|$|\")",
        "AllocateIPConfig failed",
    ),
    Rule(
        "cns-refused",
        r"\b(?P<reason>FailedToAllocateIpConfig|AllocateIPConfigFailed)\b",
        "FailedToAllocateIpConfig",
        "AllocateIPConfigFailed",
        unless=r"AllocateIPConfig failed: ",
    ),
    Rule(
        "cns-nnc-failed",
        r"\b(?P<status>NCUpdateInternalServerError|NCUpdateFailed)\b",
        "NCUpdateInternalServerError",
        "NCUpdateFailed",
        subject="{status}",
    ),
    Rule(
        "cns-not-ready",
        r"[Rr]eadiness probe failed: [^\n]*?:(?:10092|10090)/(?:readyz|healthz)"
        r"|[Bb]ack-off restarting failed container(?: \S+)? in pod (?P<pod>azure-cns-\w+)",
        "Readiness probe failed",
        "readiness probe failed",
        "restarting failed container",
    ),
    Rule(
        "cns-not-ready",
        r"\bazure-cns(?:-\w+)?\b[^\n]{0,60}?\b(?:CrashLoopBackOff|Error|OOMKilled|ImagePullBackOff|shutting down and "
        r"restarting)\b",
        "CrashLoopBackOff",
        "azure-cns",
        "OOMKilled",
        "ImagePullBackOff",
    ),
    Rule(
        "cns-unreachable",
        r"(?:https?://)?(?:localhost|127\.0\.0\.1|\[::1\]):10090\S*:? .{0,60}?(?:connection refused|i/o timeout"
        r"|deadline "
        r"exceeded|Client\.Timeout)|\bCNS\b.{0,80}?ConnectionError",
        ":10090",
        "ConnectionError",
        near=CNS,
    ),
)
