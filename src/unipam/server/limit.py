"""Failed sign-ins are counted by where they come from; too many, and that place has to wait."""

from __future__ import annotations

from collections.abc import Callable

from unipam.model.errors import Throttled

MOST_PLACES = 10_000
"""Places that are remembered at once, so that a flood of addresses does not become a flood of memory."""


class FailureLimit:
    """At most `allowed` failures in a window of `seconds`, for each place."""

    def __init__(self, clock: Callable[[], float], allowed: int = 20, seconds: float = 60.0) -> None:
        self._clock = clock
        self._allowed = allowed
        self._seconds = seconds
        self._failures: dict[str, list[float]] = {}

    def require_room(self, place: str) -> None:
        """Raise Throttled when the place has failed too often lately."""
        recent = self._recent(place)
        if len(recent) >= self._allowed:
            wait = max(1, round(recent[0] + self._seconds - self._clock()))
            raise Throttled(f"too many failed sign-ins from {place}: wait {wait} s", seconds=wait)

    def failed(self, place: str) -> None:
        """Count one more failure. Raises Throttled when there were too many before it."""
        self.require_room(place)
        if len(self._failures) >= MOST_PLACES:
            self._failures.pop(next(iter(self._failures)))
        self._failures[place] = [*self._recent(place), self._clock()][-self._allowed :]

    def _recent(self, place: str) -> list[float]:
        since = self._clock() - self._seconds
        return [at for at in self._failures.get(place, ()) if at > since]
