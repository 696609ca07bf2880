"""How values are written on pages: numbers, shares, moments. Filters of the templates."""

from __future__ import annotations

import math
import zoneinfo
from datetime import UTC, datetime
from typing import Any, NamedTuple

from unipam.plan.access import preferences

_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (5_184_000, 86_400, "d"), (63_072_000, 2_629_746, "mo"))
_LARGE = 1 << 63
_LAST = 253_402_300_800.0
"""The end of the year 9999, behind which no calendar goes."""
_UNSEEN = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160)), "\ufffd")
_UNSEEN |= dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C), "\ufffd")
_UNSEEN |= dict.fromkeys((*range(0xFDD0, 0xFDF0), *range(0xFFFE, 0x110000, 0x10000)), "\ufffd")
_UNSEEN |= dict.fromkeys(range(0xFFFF, 0x110000, 0x10000), "\ufffd")
"""Characters that HTML forbids, and those that turn the direction of text: a name must not look like another."""


def visible(value: Any) -> Any:
    """Return a value as templates put it into a page: a text without what cannot be seen but does something."""
    return value.translate(_UNSEEN) if type(value) is str else value


def place(cidr: str) -> str:
    """Write a prefix as people do: one of a single address as that address."""
    return cidr.removesuffix("/128") if ":" in cidr else cidr.removesuffix("/32")


def number(value: float) -> str:
    """Write a number with its thousands apart; one that nobody reads as digits as a power of two."""
    if isinstance(value, int) and value >= _LARGE:
        return f"2^{value.bit_length() - 1}" if value & (value - 1) == 0 else f"≈2^{math.log2(value):.1f}"
    return f"{value:,}"


def percent(part: int, whole: int) -> str:
    """Write a share: whole per cents, but neither nothing nor everything for what is almost that."""
    if not whole or not part:
        return "0 %"
    if part == whole:
        return "100 %"
    return f"{min(99, max(1, round(100 * part / whole)))} %" if part * 200 >= whole else "<1 %"


def duration(seconds: float) -> str:
    """Write a stretch of time in its largest unit: whole ones that are over, months rounded."""
    for below, unit, name in _STEPS:
        if seconds < below:
            return f"{round(seconds / unit) if name == 'mo' else int(seconds / unit)} {name}"
    return f"{int(seconds / 86_400 / 365.25)} y"


class Moments(NamedTuple):
    """Writes moments for a person: relative to `now`, and absolute in the person's zone."""

    now: float
    zone: str = preferences.UTC

    def relative(self, at: float) -> str:
        """Write how long ago a moment is, or how far ahead."""
        distance = self.now - at
        if abs(distance) < 1:
            return "now"
        return f"{duration(distance)} ago" if distance > 0 else f"in {duration(-distance)}"

    def absolute(self, at: float) -> str:
        """Write a moment in the person's zone, to the second."""
        zone = UTC if self.zone == preferences.UTC else zoneinfo.ZoneInfo(self.zone)
        return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S %Z")

    def machine(self, at: float) -> str:
        """Write a moment as `datetime` of HTML's <time>."""
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def field(self, at: float) -> str:
        """Write a moment as the value of <input type="datetime-local">."""
        zone = UTC if self.zone == preferences.UTC else zoneinfo.ZoneInfo(self.zone)
        return datetime.fromtimestamp(at, zone).strftime("%Y-%m-%dT%H:%M")

    def parse(self, text: str) -> float:
        """Read a moment: seconds since the epoch, or ISO 8601, in the person's zone unless it names one.

        Raises ValueError.
        """
        try:
            at = float(text)
        except ValueError:
            read = datetime.fromisoformat(text)
        else:
            if not 0 <= at < _LAST:
                raise ValueError(text)
            return at
        zone = UTC if self.zone == preferences.UTC else zoneinfo.ZoneInfo(self.zone)
        return (read if read.tzinfo else read.replace(tzinfo=zone)).timestamp()
