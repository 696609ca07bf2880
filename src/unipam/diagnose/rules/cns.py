"""Messages of Azure CNS and of the plugins that ask it (spec azure-vnet-ipam §4.1, §4.8)."""

from __future__ import annotations

from unipam.diagnose.rules.rule import Rule

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
    Rule("cns-desired-taken", r"Desired IP is already assigned", "Desired IP is already"),
    Rule(
        "cns-unreachable",
        r"(?:http://)?(?:localhost|127\.0\.0\.1):10090\S*: .{0,60}(?:connection refused|i/o timeout|deadline "
        r"exceeded)|ConnectionError",
        ":10090",
        "ConnectionError",
    ),
)
