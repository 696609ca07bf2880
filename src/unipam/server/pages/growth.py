"""The picture of how something grew and will grow, as plain figures. A template draws it as SVG.

To the right is time, downwards what is left free. Its sides are about those that a desk shows, so that hatching is not
stretched there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from unipam.model.forecast import strays
from unipam.plan.forecast import Forecast, Period
from unipam.store.turnover import DAY

WIDTH, HEIGHT = 1000, 180
_STEPS = 16
"""Stretches of the curves: what is ahead is drawn so fine."""
_POINTS = 45
"""Points of the past at most."""


class Growth(NamedTuple):
    """A picture: the path of the past and the area under it, that of what is likely, the area of what may be.

    `now` and `likely` are how far to the right those moments are; `until` is the moment (epoch seconds) at its end.
    Empty paths: there is nothing to draw. Whatever would be above the line of no address left, or below that of all, is
    cut there.
    """

    past: str
    under: str
    ahead: str
    range: str
    now: float
    likely: float | None
    until: float


def drawn(row: Forecast, period: Period) -> Growth:
    """Return the picture of a forecast."""
    until = period.now + _days_ahead(row, period) * DAY
    scale = _Scale(row.since, until, row.size or 1)
    step = max(1, -(-row.days // _POINTS))
    kept = [(row.since + at * DAY, level) for at, level in enumerate(row.past) if (row.days - at) % step == 0]
    past = scale.path([*kept, (period.now, row.taken)])
    now, likely = scale.x(period.now), None if row.likely is None else scale.x(row.likely)
    ahead, around = _ahead(row, period, until, scale) if row.rate is not None else ("", "")
    under = f"{past}V{HEIGHT}H{scale.x(kept[0][0]):g}Z" if kept else ""
    return Growth(past, under, ahead, around, now, likely, until)


def _days_ahead(row: Forecast, period: Period) -> float:
    """Return how many days ahead are drawn: beyond the last moment that is told of, and as many as lie behind."""
    last = max(each or period.now for each in (row.likely, row.earliest, row.latest))
    return min(period.ahead, max(row.days, 30, 1.15 * (last - period.now) / DAY))


class _Scale(NamedTuple):
    since: float
    until: float
    size: int

    def x(self, at: float) -> float:
        """Return where a moment is."""
        return round(WIDTH * (at - self.since) / max(1.0, self.until - self.since), 1)

    def y(self, taken: float) -> float:
        """Return where so many addresses are."""
        return round(HEIGHT * (1 - min(1.0, max(0.0, taken / self.size))), 1)

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        """Return a line through points."""
        return "M" + "L".join(f"{self.x(at):g} {self.y(taken):g}" for at, taken in points)


def _ahead(row: Forecast, period: Period, until: float, scale: _Scale) -> tuple[str, str]:
    rate, spread = row.rate or 0.0, row.spread or 0.0
    days = [(until - period.now) / DAY * n / _STEPS for n in range(_STEPS + 1)]

    def curve(sign: int) -> list[tuple[float, float]]:
        return [(period.now + d * DAY, row.taken + rate * d + sign * strays(spread, d, row.days)) for d in days]

    around = f"{scale.path([*curve(1), *reversed(curve(-1))])}Z" if spread else ""
    end = row.likely or until
    return scale.path([(period.now, row.taken), (end, row.taken + rate * (end - period.now) / DAY)]), around
