"""How many addresses a node needs and how many it has too many: Cilium's formulas, to the number (spec cilium §1.5)."""

from __future__ import annotations

from typing import NamedTuple

PRE_ALLOCATE = 8
"""Free addresses that a node keeps, where nobody says otherwise."""
MOST = 256
"""Configurations of a machine, and of each of its interfaces: one has an address, or a block of them."""
BLOCK = 16
"""Addresses of a block, a /28 that one configuration has."""


class Parameters(NamedTuple):
    """What a CiliumNode asks for. `most` of 0 means: nobody has said it."""

    pre: int = PRE_ALLOCATE
    least: int = 0
    most: int = 0
    watermark: int = 0
    interface: str = ""


def needed(available: int, used: int, wanted: Parameters, highest: int = MOST) -> int:
    """Return how many addresses are to be added, 0 for none; `highest` bounds who has no max-allocate."""
    most = wanted.most or highest
    found = wanted.pre - (available - used)
    if wanted.least > 0:
        found = max(found, wanted.least - available)
    if available + found > most:
        found = most - available
    return max(found, 0)


def excess(available: int, used: int, wanted: Parameters, *, first: bool = False) -> int:
    """Return how many addresses may go. `first` is the formula of Cilium up to 1.17, which lacks the middle rule."""
    kept = wanted.least + wanted.watermark
    if used <= kept and available <= kept:
        return 0
    if not first and used <= kept and used + wanted.pre <= kept:
        return available - kept
    return max(available - used - wanted.pre - wanted.watermark, 0)


def to_add(
    available: int, used: int, wanted: Parameters, surge: int = 0, *, strict: bool = False, highest: int = MOST
) -> int:
    """Return how many addresses to ask for: what is needed, the watermark, and for pods that wait already.

    As in Cilium `most` bounds only the first of the three; with `strict` it bounds all.
    """
    need = needed(available, used, wanted, highest)
    if need == 0:
        return 0
    asked = need + wanted.watermark + max(0, surge - need)
    return max(0, min(asked, wanted.most - available)) if strict and wanted.most else asked
