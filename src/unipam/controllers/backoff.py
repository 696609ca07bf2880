"""How long to leave something alone that failed: longer each time, and long at once where trying again cannot help."""

from __future__ import annotations

PASSING, LONGEST_PASSING = 1.0, 300.0
PERMANENT, LONGEST_PERMANENT = 60.0, 3600.0
"""Seconds after the first failure, and at the most. What is refused for good is tried six times within an hour."""


class Backoff:
    """Failures in a row of one thing."""

    def __init__(self) -> None:
        self.failures = 0
        self.until = 0.0

    def failed(self, now: float, *, permanent: bool, least: float = 0.0) -> None:
        """Note a failure; `least` is what was asked for."""
        first, longest = (PERMANENT, LONGEST_PERMANENT) if permanent else (PASSING, LONGEST_PASSING)
        self.until = now + max(least, min(longest, first * 2 ** min(self.failures, 20)))
        self.failures += 1

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures, self.until = 0, 0.0
