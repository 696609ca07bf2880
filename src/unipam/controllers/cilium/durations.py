"""How long things took, as histograms with the buckets of Cilium's operator (spec cilium §1.10)."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

from prometheus_client.core import HistogramMetricFamily

BOUNDS = (0.25, 0.5, *map(float, range(1, 61)))
"""Of what is done for a node, in seconds."""


class Durations:
    """A histogram by labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float] = BOUNDS) -> None:
        self._name, self._text, self._labels, self._bounds = name, text, labels, bounds
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def took(self, seconds: float, *labels: str) -> None:
        """Count something that took so long."""
        counts = self._counts.setdefault(labels, [0] * (len(self._bounds) + 1))
        counts[bisect.bisect_left(self._bounds, seconds)] += 1
        self._sums[labels] = self._sums.get(labels, 0.0) + seconds

    def family(self) -> HistogramMetricFamily:
        """Return what Prometheus is told."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for labels, counts in self._counts.items():
            so_far, buckets = 0, []
            for bound, count in zip((*map(_text, self._bounds), "+Inf"), counts, strict=True):
                so_far += count
                buckets.append((bound, float(so_far)))
            family.add_metric(labels, buckets, self._sums[labels])
        return family


def _text(bound: float) -> str:
    return f"{bound:g}"
