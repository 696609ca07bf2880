"""How many addresses a node needs, and how many it has too many: the numbers of Cilium's own tables."""

from __future__ import annotations

import pytest

from unipam.dialects.cilium.formulas import Parameters, excess, needed, to_add

NEEDED = [
    ((0, 0, 0, 16, 0), 16), ((0, 0, 8, 16, 0), 16), ((0, 0, 16, 8, 0), 16), ((0, 0, 16, 0, 0), 16),
    ((8, 0, 0, 16, 0), 8), ((8, 4, 8, 0, 0), 4), ((8, 4, 8, 8, 0), 4), ((8, 4, 8, 8, 6), 0), ((8, 4, 8, 0, 8), 0),
    ((4, 4, 8, 0, 8), 4),
]  # fmt: skip
EXCESS = [
    ((0, 0, 0, 16, 0), 0), ((15, 0, 8, 16, 8), 0), ((17, 0, 8, 16, 0), 1), ((20, 0, 8, 16, 4), 0),
    ((21, 0, 8, 0, 4), 9), ((20, 0, 8, 20, 8), 0), ((16, 1, 8, 16, 8), 0), ((20, 4, 8, 17, 8), 0),
    ((20, 4, 8, 0, 0), 8), ((20, 4, 8, 0, 8), 0),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), NEEDED)
def test_a1_needed(given: tuple[int, ...], expected: int) -> None:
    """A1: available, used, pre-allocate, min, max → needed (spec §1.5)."""
    available, used, pre, least, most = given
    assert needed(available, used, Parameters(pre, least, most)) == expected


@pytest.mark.parametrize(("given", "expected"), EXCESS)
def test_a1_excess(given: tuple[int, ...], expected: int) -> None:
    """A1: available, used, pre-allocate, min, watermark → excess; the older formula differs in one row."""
    available, used, pre, least, watermark = given
    wanted = Parameters(pre, least, 0, watermark)
    assert excess(available, used, wanted) == expected
    assert excess(available, used, wanted, first=True) == (9 if given == (17, 0, 8, 16, 0) else expected)


def test_a2_the_scenarios() -> None:
    """A2: 8→15; 10→11; 19→27→18 or 19 (spec §4)."""
    assert 8 + needed(8, 7, Parameters(8)) == 15
    assert 10 + needed(10, 10, Parameters(1, 10)) == 11
    wanted = Parameters(4, 15, 0, 4)
    assert to_add(0, 0, wanted) == 19
    assert 19 + to_add(19, 19, wanted) == 27
    assert (27 - excess(27, 10, wanted), 27 - excess(27, 10, wanted, first=True)) == (19, 18)


def test_a13_max_bounds_the_watermark_only_when_strict() -> None:
    """A13: max 10, watermark 20: 28 are asked for as in Cilium, 10 with strict."""
    wanted = Parameters(8, 0, 10, 20)
    assert (to_add(0, 0, wanted), to_add(0, 0, wanted, strict=True)) == (28, 10)
    assert to_add(0, 0, Parameters(8), surge=20) == 20
