"""How a person wants the pages to look, kept under the person's subject."""

from __future__ import annotations

import zoneinfo
from typing import Literal

import msgspec

from unipam.model.errors import BadValue
from unipam.plan.access.callers import keep
from unipam.store.api import Tx

UTC = "UTC"
Theme = Literal["system", "light", "dark"]
Density = Literal["comfortable", "compact"]


class Preferences(msgspec.Struct, frozen=True):
    """How pages look: colours, the height of rows, and the time zone of moments (an IANA name)."""

    theme: Theme = "system"
    density: Density = "comfortable"
    zone: str = UTC


_decoder = msgspec.json.Decoder(Preferences)


def preferences(tx: Tx, subject: str) -> Preferences:
    """Return what a person prefers, or the defaults."""
    note = tx.note(f"preferences/{subject}")
    return _decoder.decode(note) if note else Preferences()


def set_preferences(tx: Tx, subject: str, wanted: Preferences) -> Preferences:
    """Remember what a person prefers. Raises BadValue for a time zone that this machine does not know."""
    if wanted.zone not in zones():
        raise BadValue(f"zone: {wanted.zone!r} is no time zone known here", field="zone", value=wanted.zone)
    keep(tx, f"preferences/{subject}", wanted)
    return wanted


def zones() -> list[str]:
    """Return the time zones of this machine's database, by name; UTC is among them even where there is none."""
    return sorted(zoneinfo.available_timezones() | {UTC})
