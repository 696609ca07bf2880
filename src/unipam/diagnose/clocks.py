"""Clocks that disagree: stamps of one line (or of one act) compared, and the difference that most of them share.

A single odd line proves nothing, and a stored stamp may simply be old. So differences are counted by value; one is
reported when it is the common one. Which stamps should agree is decided by the readers that know both.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from unipam.diagnose.report import Evidence

SKEW_SECONDS = 60.0
"""Below a minute, two clocks of one node count as the same: log lines are written after the fact."""

QUARTER_HOUR = 900.0
ENOUGH = 2_000
_MAX_VALUES = 200


class Skew(msgspec.Struct):
    """Two clocks (named), and by how many seconds the first is ahead of the second."""

    ahead: str
    behind: str
    seconds: float
    count: int
    compared: int
    evidence: list[Evidence]


class Clocks:
    """Counts differences between pairs of clocks."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Counter[int]] = {}
        self._enough: set[str] = set()
        self._where: dict[tuple[str, str, int], list[Evidence]] = {}

    def enough(self, one: str) -> bool:
        """Return whether a clock was compared so often that more would not change the verdict."""
        if one not in self._enough and any(
            counts.total() >= ENOUGH for (first, _), counts in self._seen.items() if first == one
        ):
            self._enough.add(one)
        return one in self._enough

    def compare(self, one: str, other: str, seconds: float, where: Evidence) -> None:
        """Count that `one` read `seconds` more than `other` for the same moment."""
        pair = (one, other)
        counts = self._seen.setdefault(pair, Counter())
        minutes = round(seconds / SKEW_SECONDS)
        if minutes in counts or len(counts) < _MAX_VALUES:
            counts[minutes] += 1
            lines = self._where.setdefault((*pair, minutes), [])
            if len(lines) < 3:
                lines.append(where)

    def compare_stored(self, one: str, other: str, seconds: float, where: Evidence) -> None:
        """Count as `compare` does, for a stored stamp that may be older than the line.

        Only a whole number of quarter hours (a zone, not an age) or a stamp from the future says anything.
        """
        off_zone = abs(seconds - round(seconds / QUARTER_HOUR) * QUARTER_HOUR)
        if seconds < -SKEW_SECONDS or off_zone <= 5.0:
            self.compare(one, other, seconds, where)
        else:
            self.compare(one, other, 0.0, where)

    def skews(self) -> list[Skew]:
        """Return every pair whose commonest difference is not zero."""
        found = []
        for (one, other), counts in self._seen.items():
            minutes, count = counts.most_common(1)[0]
            if minutes == 0 or 2 * count < counts.total():
                continue
            lines = self._where[(one, other, minutes)]
            first, second, ahead = (one, other, minutes) if minutes > 0 else (other, one, -minutes)
            found.append(Skew(first, second, ahead * SKEW_SECONDS, count, counts.total(), lines))
        return found
