"""The runs of addresses that claims take up together, for stores that write in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from unipam.model.errors import Overlap
from unipam.model.records import Claim

_place = itemgetter(0, 1)
"""A claim's parent and first address."""


def runs_of(claims: Sequence[Claim]) -> list[tuple[int, int, int]]:
    """Return the claimed addresses under each parent as few ranges. Raises Overlap when two claims share any."""
    found: list[tuple[int, int, int]] = []
    before = (0, 0, 0)
    for claim in sorted((each for each in claims if each.parent), key=_place):
        parent, first, last = claim[:3]
        if parent == before[0] and first <= before[2]:
            raise Overlap(f"{claim.text} overlaps what is claimed", prefix=claim.text)
        if parent == before[0] and first == before[2] + 1:
            first = found.pop()[1]
        before = (parent, first, last)
        found.append(before)
    return found
