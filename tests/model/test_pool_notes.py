"""A description of pools says again what was described."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unipam.addr.prefix import LINE_LAST
from unipam.model.pool_notes import describe, recall
from unipam.model.records import Pool, PoolRange

addresses = st.integers(0, LINE_LAST)
ranges = st.builds(
    lambda a, b, length, gateway: PoolRange(min(a, b), max(a, b), length, gateway),
    addresses, addresses, st.integers(0, 128), st.none() | addresses,
)  # fmt: skip


@given(st.lists(st.lists(ranges, min_size=1, max_size=3), max_size=3))
def test_what_was_described_is_recalled(sets: list[list[PoolRange]]) -> None:
    pools = tuple(Pool(number, tuple(spans)) for number, spans in enumerate(sets))
    assert recall(describe(pools)) == pools


def test_nothing_described_is_nothing() -> None:
    assert recall("") == ()
