"""Where pages lie: the navigation of every page. An entry is shown once its page is there."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple


class Entry(NamedTuple):
    """A page in the navigation; `key` is what is pressed after `g` to go there."""

    path: str
    name: str
    icon: str
    key: str = ""


class Group(NamedTuple):
    """Entries that belong together."""

    name: str
    entries: tuple[Entry, ...]


GROUPS = (
    Group("", (Entry("/", "Overview", "home", "o"),)),
    Group(
        "Addresses",
        (
            Entry("/plan", "Plan", "tree", "p"),
            Entry("/map", "Map", "map", "m"),
            Entry("/reservations", "Reservations", "bookmark", "r"),
            Entry("/networks", "Networks & drift", "network", "n"),
            Entry("/externals", "Externals", "globe", "e"),
            Entry("/leases", "Leases", "list", "l"),
        ),
    ),
    Group(
        "Tools",
        (
            Entry("/reserve", "Reserve", "plus", "+"),
            Entry("/forecast", "Forecast", "trend", "f"),
            Entry("/sizing", "Sizing", "ruler", "s"),
            Entry("/diagnose", "Diagnose", "pulse", "d"),
        ),
    ),
    Group(
        "Register",
        (
            Entry("/journal", "Journal", "clock", "j"),
            Entry("/access", "Access", "key", "a"),
            Entry("/status", "Status", "gauge", "t"),
        ),
    ),
)


def groups(paths: Collection[str]) -> list[Group]:
    """Return the groups with those entries whose pages are among these paths."""
    found = [group._replace(entries=tuple(e for e in group.entries if e.path in paths)) for group in GROUPS]
    return [group for group in found if group.entries]
