"""Claims that come together, as the stretches of addresses that they take up. For stores that write in bulk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from unipam.addr.ranges import RangeSet
from unipam.model.errors import Overlap
from unipam.model.records import Claim


def stretches(claims: Sequence[Claim]) -> Iterator[tuple[int, int, int]]:
    """The addresses of the claims under each parent as few stretches. Raises Overlap when two of them share any."""
    under: dict[int, RangeSet] = {}
    for claim in claims:
        if claim.parent:
            taken = under.setdefault(claim.parent, RangeSet())
            if taken.overlaps(claim.first, claim.last):
                raise Overlap(f"{claim.text} overlaps what is claimed", prefix=claim.text)
            taken.add(claim.first, claim.last)
    return ((parent, *stretch) for parent, taken in under.items() for stretch in taken)
