"""One row a measurement: what was done, our figure, the peer's, their ratio, and what is to be reached."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """`ratio` is how it is compared (ours/peer for times); `reach` is the limit; `low` says that less is better."""

    work: str
    ours: str
    peer: str
    ratio: float
    reach: float
    low: bool = True

    @property
    def met(self) -> bool:
        """Whether the limit is kept."""
        return self.ratio <= self.reach if self.low else self.ratio >= self.reach


def show(title: str, rows: Iterable[Row]) -> None:
    """Print each row as soon as it is measured: what comes after may fail."""
    print(f"\n{title}")
    print(f"{'work':58} {'ours':>14} {'peer':>14} {'ratio':>9} {'to reach':>9}", flush=True)
    for row in rows:
        sign = "≤" if row.low else "≥"
        verdict = "" if row.met else "  MISSED"
        limit = f"{sign} {row.reach:.4g}"
        print(f"{row.work:58} {row.ours:>14} {row.peer:>14} {row.ratio:9.4g} {limit:>9}{verdict}", flush=True)
