"""What is foretold of growth: laws that hold for any past, and how often its interval is right."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.model.forecast import LEAST, Outlook, foresee, strays

PASTS = st.lists(st.integers(-500, 1000), min_size=LEAST, max_size=100).map(
    lambda added: list(accumulate(added, initial=60_000))
)
FREE = st.integers(1, 100_000)


def no_later(one: float | None, other: float | None) -> bool:
    """Return whether a day comes no later than another, but for what floats cannot tell."""
    return other is None or (one is not None and one <= other * (1 + 1e-6) + 1e-9)


def days(outlook: Outlook) -> tuple[float | None, ...]:
    return outlook.earliest, outlook.likely, outlook.latest


def test_steady_growth_is_continued_to_the_day() -> None:
    outlook = foresee([100 + 10 * day for day in range(91)], 1000)
    assert outlook.rate == pytest.approx(10)
    assert days(outlook) == pytest.approx((100, 100, 100))


def test_the_interval_is_where_growth_and_what_it_strays_by_use_up_the_rest() -> None:
    past = [day * day * 10 % 170 + 20 * day for day in range(91)]
    outlook = foresee(past, 4000)
    for day, sign in ((outlook.earliest, 1), (outlook.latest, -1)):
        assert day is not None
        assert outlook.rate * day + sign * strays(outlook.spread, day, 90) == pytest.approx(4000)


def test_what_stands_or_shrinks_is_never_full() -> None:
    assert foresee([7] * 91, 1000) == Outlook(0, None, None, None, 0)
    assert days(foresee([1000 - 3 * day for day in range(91)], 1000)) == (None, None, None)


def test_what_is_full_is_full_now() -> None:
    assert days(foresee(list(range(91)), 0)) == (0, 0, 0)


@pytest.mark.parametrize("long", [2, LEAST])
def test_a_past_that_is_too_short_is_refused(long: int) -> None:
    with pytest.raises(ValueError, match=str(long - 1)):
        foresee([0] * long, 10)


def test_one_large_import_is_no_growth() -> None:
    imported = [0] * 5 + [50_000] * 86
    assert foresee(imported, 10_000).rate == 0
    assert foresee(imported, 10_000).likely is None
    assert foresee(imported, 10_000).earliest is not None  # but it may come again


def test_growth_by_lumps_is_told_by_its_average() -> None:
    lumps = [day // 30 * 256 for day in range(91)]
    assert foresee(lumps, 2560).rate == pytest.approx(256 / 30, rel=0.1)


@given(PASTS, FREE)
def test_the_interval_is_around_the_day(past: list[int], free: int) -> None:
    outlook = foresee(past, free)
    assert no_later(outlook.earliest, outlook.likely)
    assert no_later(outlook.likely, outlook.latest)
    assert outlook.likely is None or outlook.likely > 0


@given(PASTS, FREE, st.integers(0, 100_000))
def test_more_room_lasts_no_shorter(past: list[int], free: int, more: int) -> None:
    for sooner, later in zip(days(foresee(past, free)), days(foresee(past, free + more)), strict=True):
        assert no_later(sooner, later)


@given(PASTS, FREE, st.integers(1, 1000))
def test_faster_growth_lasts_no_longer(past: list[int], free: int, more: int) -> None:
    faster = [level + day * more for day, level in enumerate(past)]
    assert foresee(faster, free).rate == pytest.approx(foresee(past, free).rate + more, abs=1e-6 * (more + 1000))
    for sooner, later in zip(days(foresee(faster, free)), days(foresee(past, free)), strict=True):
        assert no_later(sooner, later)


@given(PASTS, FREE, st.sampled_from([2, 256, 2**64, 2**120]))
def test_a_day_depends_on_shares_and_not_on_sizes(past: list[int], free: int, unit: int) -> None:
    one, other = foresee(past, free), foresee([level * unit for level in past], free * unit)
    assert other.rate == pytest.approx(one.rate * unit, rel=1e-9, abs=1e-6 * unit)
    assert days(other) == days(one)


@given(PASTS, FREE, st.integers(0, 10**9))
def test_what_was_there_before_does_not_matter(past: list[int], free: int, before: int) -> None:
    assert foresee([level + before for level in past], free) == foresee(past, free)


@pytest.mark.parametrize(("each_day", "sizes", "past", "room"), [
    (1.0, (256,), 90, 60), (0.2, (256,), 90, 60), (0.2, (256, 256, 512, 1024, 4096), 90, 90), (3.0, (16,), 30, 30),
    (0.3, (256, 8192), 90, 200),
])  # fmt: skip
def test_the_interval_holds_about_four_times_in_five(
    each_day: float, sizes: tuple[int, ...], past: int, room: int
) -> None:
    dice = random.Random(1)

    def added() -> int:
        total = 0
        while dice.random() < each_day / (1 + each_day):
            total += dice.choice(sizes)
        return total

    free = int(each_day * sum(sizes) / len(sizes) * room)
    held = 0
    for _ in range(200):
        outlook = foresee(list(accumulate((added() for _ in range(past)), initial=0)), free)
        day = level = 0
        while level < free:
            day, level = day + 1, level + added()
        held += no_later(outlook.earliest, day) and no_later(day - 1, outlook.latest)
    assert 140 <= held <= 190, held
