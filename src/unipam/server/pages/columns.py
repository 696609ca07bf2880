"""The columns of lists on pages: what stands above them, and which of them a person sees."""

from __future__ import annotations

from unipam.plan.access.preferences import LISTS, Preferences

HEADINGS = {
    "name": ("Name", ""), "kind": ("Kind", ""), "use": ("Used", ""), "size": ("Addresses", "num"),
    "largest": ("Largest free", "code"), "by": ("By", ""), "since": ("Since", ""), "desc": ("Description", ""),
    "purpose": ("For", ""), "block": ("Block", ""), "status": ("Status", ""), "until": ("Expires", ""),
    "id": ("Id", "code"), "prefixes": ("Prefixes", "code"), "plan": ("In the plan?", ""),
    "overlaps": ("Overlapping?", ""), "subscription": ("Subscription", ""), "group": ("Resource group", ""),
    "subnets": ("Subnets", "num"), "peerings": ("Peerings", "num"), "address": ("Address", "code"),
    "network": ("Network", ""), "subnet": ("Subnet", ""), "public": ("Public address", "code"), "in": ("In", ""),
    "pod": ("Pod", ""), "state": ("State", ""), "container": ("Container", "code"), "interface": ("Interface", ""),
}  # fmt: skip
"""What stands above a column, and of which kind its cells are (see `parts.html`)."""
OF_A_LIST = {("endpoints", "size"): ("Size", ""), ("leases", "until"): ("Cools until", "")}
"""Headings that mean something else in one list."""


def heading(name: str, column: str) -> tuple[str, str]:
    """Return what stands above a column of a list, and the kind of its cells."""
    return OF_A_LIST.get((name, column), HEADINGS[column])


def headings(preferred: Preferences, name: str) -> list[tuple[str, str]]:
    """Return the headings of those columns of a list that a person sees."""
    return [heading(name, column) for column in preferred.shown(name)]


def choices(preferred: Preferences, name: str) -> list[tuple[str, str, bool]]:
    """Return every column of a list: its key, its heading, and whether it is shown."""
    shown = preferred.shown(name)
    return [(column, heading(name, column)[0], column in shown) for column in LISTS[name]]
