"""The page of rules, docs/sizing-rules.md: every rule that a finding may cite, with its number and its source.

Here: writing the page from the tables. Not here: any rule (`rules`, `limits`).
"""

from __future__ import annotations

from collections.abc import Iterator

from unipam.sizing import rules
from unipam.sizing.limits import Limit, table
from unipam.sizing.rules import Rule

_SECTIONS = {
    "1.1": "Subnets",
    "1.2": "Limits of networks and clusters",
    "1.3": "Pods per node",
    "1.4": "Surge and upgrade",
    "1.5": "What else takes addresses",
    "1.6": "Ranges and overlaps",
    "1.7": "Pools",
    "1.8": "Growing later",
    "1.9": "Retirement",
    "2.1": "kubenet",
    "2.2": "kubenet with Calico",
    "2.3": "Node Subnet",
    "2.4": "Node Subnet with Calico",
    "2.5": "Node Subnet with Cilium",
    "2.6": "Pod Subnet, dynamic",
    "2.7": "Pod Subnet, static blocks",
    "2.8": "Overlay",
    "2.9": "Powered by Cilium",
    "2.10": "Bring your own CNI",
    "2.11": "Windows and names",
    "5": "Known surprises",
}
_INTRODUCTION = """# The rules of `unipam sizing`

Every finding cites one of these by number and section. `unipam sizing --rules` prints this page; a test keeps it true.

Sources: `aks:` is MicrosoftDocs/azure-aks-docs, `articles/aks/`; `azd:` is MicrosoftDocs/azure-docs; `CL` a release in
the changelog of Azure/AKS; `AKS#n`, `ACN#n`, `AKSC#n`, `SAD#n` issues of Azure/AKS, Azure/azure-container-networking,
Azure/AKS-Construction and MicrosoftDocs/SupportArticles-docs. Ground: D documentation, I an issue or a pull request,
C arithmetic from others, G general knowledge, N field notes. "verify" marks what should be read again before money is
spent on it: pages of 2022 and older, general knowledge and field notes.
"""


def every_rule() -> list[Rule]:
    """Return every rule and every limit, by section, then in the order of their tables."""
    plain = [value for value in vars(rules).values() if isinstance(value, Rule)]
    order = list(_SECTIONS)
    return sorted([*plain, *table()], key=lambda rule: order.index(rule.section))


def lines() -> Iterator[str]:
    """Yield the lines of the page."""
    yield from _INTRODUCTION.rstrip().splitlines()
    section = ""
    for rule in every_rule():
        if rule.section != section:
            section = rule.section
            yield from (
                "",
                f"## {section} {_SECTIONS[section]}",
                "",
                "| rule | says | source | ground |",
                "|---|---|---|---|",
            )
        value = f"{rule.value:,} {rule.unit}: " if isinstance(rule, Limit) else ""
        ground = f"{rule.evidence}{f' {rule.dated}' if rule.dated else ''}{', verify' if rule.verify else ''}"
        yield f"| {rule.id} | {value}{rule.statement} | {rule.source} | {ground} |"
