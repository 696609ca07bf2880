"""Times as logs write them, turned into epoch seconds of the wall clock that wrote them. No clock is read here.

A stamp without a zone is taken at face value; comparing two clocks is the business of `clocks`.
"""

from __future__ import annotations

import datetime as dt
import functools
import re

NO_YEAR = 2000
"""The year of a stamp that names none, and in whose log nothing tells it: a leap year, so that every day exists."""

MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_EPOCH_DAY = dt.date(1970, 1, 1).toordinal()
_GO = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d{4})")
_RFC3339 = re.compile(rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)([.,]\d+)?(Z|[+-]\d\d:?\d\d)?")


@functools.lru_cache(maxsize=256)
def _day(text: bytes) -> float:
    """Return the epoch seconds of the day that `YYYY-MM-DD` (any separators) names.

    Neighbouring lines share their day.
    """
    return (dt.date(int(text[0:4]), int(text[5:7]), int(text[8:10])).toordinal() - _EPOCH_DAY) * 86400.0


def wall(year: int, month: int, day: int, seconds: float) -> float | None:
    """Return the epoch seconds of a calendar day plus seconds into it, or None when there is no such day."""
    try:
        return (dt.date(year, month, day).toordinal() - _EPOCH_DAY) * 86400.0 + seconds
    except ValueError:
        return None


def clock(text: bytes) -> float:
    """Read `HH:MM:SS` with an optional fraction as seconds into the day.

    Raises ValueError when it is something else.
    """
    return int(text[0:2]) * 3600 + int(text[3:5]) * 60 + float(text[6:].replace(b",", b"."))


@functools.lru_cache(maxsize=8)
def plain(text: bytes) -> float | None:
    """Read `YYYY/MM/DD HH:MM:SS` or `YYYY-MM-DD HH:MM:SS.mmm`, without a zone; neighbouring lines often share it."""
    try:
        return _day(text[0:10]) + clock(text[11:])
    except ValueError:
        return None


def syslog(text: bytes, year: int) -> float | None:
    """Read `Mon DD HH:MM:SS`: syslog leaves the year out, so the caller says which."""
    try:
        return wall(year, MONTHS[text[0:3]], int(text[4:6]), clock(text[7:15]))
    except (KeyError, ValueError):
        return None


def klog(text: bytes, year: int) -> float | None:
    """Read `MMDD HH:MM:SS.uuuuuu` as klog writes it after the level letter."""
    try:
        return wall(year, int(text[0:2]), int(text[2:4]), clock(text[5:]))
    except ValueError:
        return None


def rfc3339(text: bytes) -> tuple[float, float | None] | None:
    """Read a stamp with a zone: its wall time, and its offset from UTC in seconds (None when it names no zone)."""
    if text[-1:] == b"Z" and (at := plain(text[:-1])) is not None:  # by far the commonest form
        return at, 0.0
    match = _RFC3339.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction = float(b"0" + match[7].replace(b",", b".")) if match[7] else 0.0
    at = wall(year, month, day, hour * 3600 + minute * 60 + second + fraction)
    return None if at is None else (at, offset_of(match[8]))


def offset_of(zone: bytes | None) -> float | None:
    """Return the seconds east of UTC of `Z`, `+02:00` or `+0200`; None when there is no zone."""
    if zone is None:
        return None
    if zone == b"Z":
        return 0.0
    sign = -1.0 if zone[:1] == b"-" else 1.0
    return sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)


def go_time(text: str) -> tuple[float, float] | None:
    """Read Go's `2025-03-05 16:15:58.801819581 +0000 UTC`: wall time in the zone it names, and that zone's offset."""
    match = _GO.search(text)
    if match is None:
        return None
    at = plain(f"{match[1]} {match[2]}".encode())
    offset = offset_of(match[3].encode())
    return None if at is None or offset is None else (at, offset)


def time_of(at: float) -> dt.datetime:
    """Return a wall time as a calendar has it."""
    return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=int(at))


def show(at: float | None) -> str:
    """Show a wall time to people, to the second, without a year that nothing tells; "" when unknown."""
    if at is None:
        return ""
    time = time_of(at)
    return time.strftime("%b %d %H:%M:%S" if time.year == NO_YEAR else "%Y-%m-%d %H:%M:%S")


def show_minutes(at: float | None) -> str:
    """Show a wall time as `show` does, to the minute."""
    return show(at)[:-3]


def has_year(at: float) -> bool:
    """Return whether a wall time's year is known."""
    return time_of(at).year != NO_YEAR


def show_offset(seconds: float) -> str:
    """Show a difference of clocks to people: `+2 h`, `-30 min`, `+5 h 30 min`, `+90 s`."""
    sign, rest = ("-" if seconds < 0 else "+"), round(abs(seconds))
    hours, minutes = divmod(round(rest / 60), 60)
    if rest < 600 and rest % 60:
        return f"{sign}{rest} s"
    parts = ([f"{hours} h"] if hours else []) + ([f"{minutes} min"] if minutes or not hours else [])
    return sign + " ".join(parts)
