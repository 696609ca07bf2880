"""How a person wants the pages to look, kept under the person's subject: colours, rows, time zone, columns of lists."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from unipam.model.errors import BadValue
from unipam.plan.access.callers import keep
from unipam.store.api import Tx

UTC = "UTC"
Theme = Literal["system", "light", "dark"]
Density = Literal["comfortable", "compact"]

LISTS: dict[str, tuple[str, ...]] = {
    "plan": ("name", "kind", "use", "size", "largest", "by", "since", "desc"),
    "reservations": ("purpose", "block", "status", "by", "since", "until", "id"),
    "networks": (
        "prefixes",
        "plan",
        "overlaps",
        "block",
        "subscription",
        "group",
        "size",
        "use",
        "subnets",
        "peerings",
    ),
    "endpoints": ("address", "kind", "network", "subnet", "group", "subscription", "public", "size", "id"),
    "externals": ("name", "in", "desc", "since"),
    "leases": ("pod", "state", "since", "network", "container", "interface", "until"),
}
"""The lists of the pages, and the columns that each can have behind its first one, which is always there."""
USUAL: dict[str, tuple[str, ...]] = {
    "plan": ("name", "kind", "use", "size", "largest", "desc"),
    "reservations": ("purpose", "block", "status", "by", "since", "until"),
    "networks": ("prefixes", "plan", "overlaps", "block", "subscription", "use"),
    "endpoints": ("address", "kind", "network", "subnet", "subscription"),
    "externals": LISTS["externals"],
    "leases": ("pod", "state", "since", "network", "container"),
}
"""The columns that are shown to whoever has chosen none."""


class Preferences(msgspec.Struct, frozen=True):
    """How pages look: colours, the height of rows, the time zone of moments (an IANA name), and the columns of lists.

    `columns` has the lists of which a choice was made.
    """

    theme: Theme = "system"
    density: Density = "comfortable"
    zone: str = UTC
    columns: dict[str, tuple[str, ...]] = {}

    def shown(self, name: str) -> tuple[str, ...]:
        """Return the columns of a list that are shown, in the list's order."""
        chosen = self.columns.get(name, USUAL[name])
        return tuple(each for each in LISTS[name] if each in chosen)


_decoder = msgspec.json.Decoder(Preferences)


def preferences(tx: Tx, subject: str) -> Preferences:
    """Return what a person prefers, or the defaults."""
    note = tx.note(f"preferences/{subject}")
    return _decoder.decode(note) if note else Preferences()


def set_preferences(tx: Tx, subject: str, wanted: Preferences) -> Preferences:
    """Remember what a person prefers.

    Raises BadValue for a time zone that this machine does not know, a list or a column that there is not.
    """
    if wanted.zone not in zones():
        raise BadValue(f"zone: {wanted.zone!r} is no time zone known here", field="zone", value=wanted.zone)
    _require_columns(wanted.columns)
    keep(tx, f"preferences/{subject}", wanted)
    return wanted


def _require_columns(chosen: Mapping[str, Sequence[str]]) -> None:
    for name, columns in chosen.items():
        if name not in LISTS:
            raise BadValue(f"columns: {name!r} is none of {', '.join(LISTS)}", field="columns", value=name)
        for each in columns:
            if each not in LISTS[name]:
                known = ", ".join(LISTS[name])
                raise BadValue(f"columns: {name} has no {each!r}, but {known}", field="columns", value=each)


def zones() -> list[str]:
    """Return the time zones of this machine's database, by name; UTC is among them even where there is none."""
    return sorted(zoneinfo.available_timezones() | {UTC})
