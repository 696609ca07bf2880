"""Addresses that nobody is given unasked, as one set (spec §1.11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unipam.addr.ranges import RangeSet
from unipam.dialects.calico.documents import reservation


def reserved(documents: Iterable[dict[str, Any]]) -> RangeSet:
    """Return all that a cluster's reservations cover. Entries that are no CIDR do not count, as in the original."""
    covered = RangeSet()
    for document in documents:
        for prefix in reservation.read(document)[0]:
            covered.add(prefix.first, prefix.last)
    return covered
