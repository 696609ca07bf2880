"""One row a measurement: what was done, our figure, the peer's, their ratio, and what is to be reached."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """A figure of ours and of the peer.

    `ratio` is how they are compared (ours/peer for times); `reach` is the limit, None for a figure that has none; `low`
    says that less is better.
    """

    work: str
    ours: str
    peer: str
    ratio: float
    reach: float | None
    low: bool = True

    @property
    def met(self) -> bool:
        """Whether the limit is kept, if there is one."""
        if self.reach is None:
            return True
        return self.ratio <= self.reach if self.low else self.ratio >= self.reach


def show(title: str, rows: Iterable[Row]) -> None:
    """Print each row as soon as it is measured: what comes after may fail."""
    print(f"\n{title}")
    print(f"{'work':58} {'ours':>14} {'peer':>14} {'ratio':>9} {'to reach':>9}", flush=True)
    for row in rows:
        sign = "≤" if row.low else "≥"
        verdict = "" if row.met else "  MISSED"
        limit = "" if row.reach is None else f"{sign} {row.reach:.4g}"
        print(f"{row.work:58} {row.ours:>14} {row.peer:>14} {row.ratio:9.4g} {limit:>9}{verdict}", flush=True)
