"""When will something be full? From how full it was at the end of each of the past days. Pure.

Growth is taken for a walk with a drift: each day adds what has nothing to do with the days before. The drift is the
slope that half of all pairs of points exceed (Theil and Sen), so that a wave of migrations does not tell the whole
story; how far the walk strays is measured by what the stretches between the points differ from the drift. So much
uncertainty about h days to come, when the past is n days long, is spread * sqrt(h + h*h/n): the walk's own, and that of
the drift, which is known from n days only. The interval holds the day in four of five such walks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, pairwise
from statistics import median
from typing import NamedTuple

WINDOW = 90
"""Days that are looked back at."""
LEAST = 14
"""Days of past without which nothing is foretold."""
STRETCHES = 14
"""Into how many stretches the past is cut. More would see weekends, and not more of the growth."""
_QUANTILE = 1.350
"""Student's t of 13 degrees of freedom that one in ten exceeds: nine of ten at either end are four of five between."""


class Outlook(NamedTuple):
    """How something grows, in addresses a day, and in how many days from now it is full.

    Of five times it is full between `earliest` and `latest` in four. None: never, if it goes on like that. `spread` is
    by how many addresses it may stray after a day, as `strays` tells for more of them.
    """

    rate: float
    likely: float | None
    earliest: float | None
    latest: float | None
    spread: float


def foresee(past: Sequence[int], free: int) -> Outlook:
    """Return the outlook of what `free` addresses are left in; `past` are those taken at the end of each day.

    Raises ValueError for a past that is too short.
    """
    days = len(past) - 1
    if days < LEAST:
        raise ValueError(days)
    unit = max(1, max(past) - min(past), free)  # addresses of IPv6 are more than floats tell apart
    points = [(at, (past[at] - past[0]) / unit) for at in (round(n * days / STRETCHES) for n in range(STRETCHES + 1))]
    rate = median((b - a) / (then - at) for (at, a), (then, b) in combinations(points, 2))
    strayed = (((b - a) - rate * (then - at)) ** 2 / (then - at) for (at, a), (then, b) in pairwise(points))
    spread = _QUANTILE * math.sqrt(sum(strayed) / (STRETCHES - 1))
    left = free / unit
    likely, earliest, latest = (_reached(left, rate, sign * spread, days) for sign in (0, 1, -1))
    return Outlook(rate * unit, likely, earliest, latest, spread * unit)


def strays(spread: float, days: float, past: int) -> float:
    """Return by how many addresses growth may differ from the rate's in so many days, by a past of so many."""
    return spread * math.sqrt(days + days * days / past)


def _reached(left: float, rate: float, spread: float, days: int) -> float | None:
    """Return the first day h, not before now, on which rate * h + spread * sqrt(h + h*h/days) is what is left.

    Squared, that is a quadratic equation in h, whose roots are of either sign of the spread.
    """
    if left <= 0:
        return 0.0
    if not spread:
        return left / rate if rate > 0 else None
    square, linear = rate * rate - spread * spread / days, -(2 * left * rate + spread * spread)
    inner = spread * spread + 4 * left * (rate + left / days)
    if inner < 0:
        return None
    # One root by addition, the other by their product: to subtract what is nearly alike would leave little of it.
    half = -(linear + math.copysign(abs(spread) * math.sqrt(inner), linear)) / 2
    roots = [half / square if square else math.inf, left * left / half if half else math.inf]
    # What the drift leaves over is for this spread to make up, so it has its sign.
    sign = math.copysign(1, spread)
    fitting = (h for h in roots if 0 < h < math.inf and sign * (left - rate * h) >= -1e-9 * left)
    return min(fitting, default=None)
