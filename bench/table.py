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


def row(work: str, ours: float, peer: str, reach: float | None, unit: str = "") -> Row:
    """Return a row of a figure that is compared with what is to be reached."""
    return Row(work, f"{ours:.4g}{unit}", peer, ours, reach)


def show(title: str, rows: Iterable[Row]) -> None:
    """Print each row as soon as it is measured: what comes after may fail."""
    print(f"\n{title}")
    print(f"{'work':58} {'ours':>14} {'peer':>14} {'ratio':>9} {'to reach':>9}", flush=True)
    for each in rows:
        sign = "≤" if each.low else "≥"
        verdict = "" if each.met else "  MISSED"
        limit = "" if each.reach is None else f"{sign} {each.reach:.4g}"
        print(f"{each.work:58} {each.ours:>14} {each.peer:>14} {each.ratio:9.4g} {limit:>9}{verdict}", flush=True)
