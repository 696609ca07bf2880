"""One budget of requests for a subscription: a bucket of our own, and what the service says is left for everybody.

Of what the service has left, a quarter is for others: the Terraform, the autoscaler and the portal of whoever shares
the subscription. Sources: the ARM fixtures' README, "ARM rate limits"; spec cilium §5 (16206: an operator that used
nine tenths of a subscription's calls).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

RATE, BURST = 4.0, 20
"""Requests a second, and how many at once after a rest: Cilium's defaults."""
FOR_OTHERS = 0.25
"""The share of what the service grants that we do not touch."""

_OF_SUBSCRIPTION = re.compile(
    r"x-ms-ratelimit-remaining-subscription(?:-global)?-(reads|writes|deletes)", re.IGNORECASE
)
_OF_RESOURCE = "x-ms-ratelimit-remaining-resource"
_MINUTES = re.compile(r"(\d+)Min$")
_REFILLS = {"reads": 10.0, "writes": 20.0, "deletes": 20.0}
"""Seconds in which a full bucket of the Resource Manager comes back (250 at 25 a second; 200 at 10 a second)."""
_HOURLY = 1000
"""What is left of a grant that is counted by the hour, as it was before there were buckets, is more than this."""


class Budget:
    """What may be asked of one subscription, and when. Moments are seconds of one clock, whichever it is."""

    def __init__(self, rate: float = RATE, burst: int = BURST) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._filled_at = float(burst), 0.0
        self._closed: dict[bool, float] = {False: 0.0, True: 0.0}
        self._refused: dict[bool, bool] = {}
        """Of reads and of writes: that one was refused, and whether another one is on its way since, to try."""
        self._most: dict[str, float] = {}
        self.remaining: dict[str, float] = {}
        """What the service said last of each of its limits."""

    def ready_at(self, now: float, *, writes: bool, free: bool) -> float:
        """Return when the next request may be sent; one that is `free` takes no token.

        It is never where one tries whether the service grants requests again: the next may when that was answered.
        """
        if self._refused.get(writes):
            return math.inf
        self._refill(now)
        short = 0.0 if free or self._tokens >= 1.0 else (1.0 - self._tokens) / self._rate
        return max(now + short, self._closed[writes])

    def take(self, now: float, *, writes: bool, free: bool) -> None:
        """Note that a request is being sent, and take its token unless it is `free`."""
        self._refill(now)
        self._tokens -= 0.0 if free else 1.0
        if writes in self._refused:
            self._refused[writes] = True

    def refuse(self, until: float, *, writes: bool) -> None:
        """Let nobody read, or nobody write, before this moment, and then one alone: the service has refused it."""
        self.close(until, writes=writes)
        self._refused[writes] = False

    def grant(self, *, writes: bool) -> None:
        """Let all read, or write, again: the service has granted it to one."""
        self._refused.pop(writes, None)

    def close(self, until: float, *, writes: bool) -> None:
        """Let nobody read, or nobody write, before this moment."""
        self._closed[writes] = max(self._closed[writes], until)

    def heed(self, headers: Mapping[str, str], now: float) -> None:
        """Learn from an answer what is left, and rest where it is less than the share of others."""
        for limit, writes, left, refill in _limits(headers):
            most = self._most[limit] = max(self._most.get(limit, 0.0), left)
            self.remaining[limit] = left
            kept = FOR_OTHERS * most
            if left < kept:
                self.close(now + (kept - left) / most * (3600.0 if most > _HOURLY else refill), writes=writes)

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._rate)
        self._filled_at = max(self._filled_at, now)


def _limits(headers: Mapping[str, str]) -> Iterator[tuple[str, bool, float, float]]:
    """Yield the name of each limit, whether it is one of writes, what is left, and in how many seconds it refills."""
    for name, value in headers.items():
        found = _OF_SUBSCRIPTION.fullmatch(name)
        if found and value.strip().isdigit():
            yield found[1].lower(), found[1].lower() != "reads", float(value), _REFILLS[found[1].lower()]
        elif name.lower() == _OF_RESOURCE:
            yield from _policies(value)


def _policies(value: str) -> Iterator[tuple[str, bool, float, float]]:
    """Yield the policies of a provider (`Microsoft.Compute/HighCostGet3Min;46`): one header, or many, has them."""
    for each in value.split(","):
        policy, _, left = each.strip().partition(";")
        minutes = _MINUTES.search(policy)
        if left.strip().isdigit():
            yield policy, "get" not in policy.lower(), float(left), 60.0 * float(minutes[1] if minutes else 3)
