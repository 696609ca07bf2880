"""The fits against an enumeration of every prefix, and the Azure IPAM application's own answers (its spec §1.5)."""

from __future__ import annotations

import ipaddress
from random import Random

import netaddr  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import oracle
from tests.oracle import SPAN

from unipam.addr.fit import best_fit, first_fit, last_fit, lowest, nth, prefixes
from unipam.addr.prefix import BITS, LINE_LAST, V4_FIRST, V4_OFFSET, Prefix, Range, format_address, parse_prefix
from unipam.addr.ranges import RangeSet


@st.composite
def frees(draw: st.DrawFn) -> tuple[int, set[int]]:
    """A universe, and the addresses in it that are free."""
    base = draw(oracle.bases)
    return base, oracle.members(draw(st.lists(oracle.spans(base), max_size=8)))


@given(frees())
def test_prefixes_are_the_largest_blocks_that_cover_exactly(drawn: tuple[int, set[int]]) -> None:
    base, free = drawn
    assert [p for run in oracle.runs(free) for p in prefixes(*run)] == oracle.cover(free, base)


@given(st.integers(0, LINE_LAST), st.integers(0, LINE_LAST))
def test_prefixes_of_long_stretches_agree_with_ipaddress(one: int, other: int) -> None:
    first, last = sorted((one, other))
    peers = ipaddress.summarize_address_range(ipaddress.IPv6Address(first), ipaddress.IPv6Address(last))
    assert list(prefixes(first, last)) == [Prefix(int(p.network_address), p.prefixlen) for p in peers]


def test_prefixes_at_both_ends_of_the_line() -> None:
    assert list(prefixes(0, LINE_LAST)) == [Prefix(0, 0)]
    assert list(prefixes(LINE_LAST, LINE_LAST)) == [Prefix(LINE_LAST, BITS)]
    assert list(prefixes(5, 4)) == []


@given(frees(), oracle.lengths)
def test_first_and_last_fit_are_the_ends_of_all_fits(drawn: tuple[int, set[int]], length: int) -> None:
    base, free = drawn
    every = oracle.fits(free, base, length)
    assert first_fit(oracle.runs(free), length) == (every[0] if every else None)
    assert last_fit(oracle.runs(free), length) == (every[-1] if every else None)


@given(frees(), oracle.lengths, st.integers(1, SPAN))
def test_lowest_is_room_for_the_first_of_all_fits(drawn: tuple[int, set[int]], length: int, amount: int) -> None:
    base, free = drawn
    size = 1 << (BITS - length)
    found = lowest(oracle.runs(free), length, amount)
    starts = [start for first, last in found for start in range(first, last + 1, size)]
    assert [Prefix(start, length) for start in starts] == oracle.fits(free, base, length)[:amount]
    assert all((last + 1 - first) % size == 0 for first, last in found)


@given(frees(), oracle.lengths, st.randoms())
def test_last_fit_takes_its_stretches_in_any_order(drawn: tuple[int, set[int]], length: int, dice: Random) -> None:
    base, free = drawn
    stretches = oracle.runs(free)
    dice.shuffle(stretches)
    every = oracle.fits(free, base, length)
    assert last_fit(stretches, length) == (every[-1] if every else None)


@given(frees(), oracle.lengths, st.booleans())
def test_best_fit_cuts_the_smallest_block_that_holds_it(
    drawn: tuple[int, set[int]], length: int, reverse: bool
) -> None:
    base, free = drawn
    wanted = oracle.tightest(free, base, length, reverse=reverse)
    assert best_fit(oracle.runs(free), length, reverse=reverse) == wanted


@given(frees(), st.integers(0, SPAN))
def test_nth_counts_free_addresses(drawn: tuple[int, set[int]], index: int) -> None:
    _, free = drawn
    ordered = sorted(free)
    assert nth(oracle.runs(free), index) == (ordered[index] if index < len(ordered) else None)


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize("base", oracle.BASES)
@pytest.mark.parametrize("at", [0, 1, SPAN - 3])
def test_the_smallest_pools(base: int, size: int, at: int) -> None:
    free = set(range(base + at, base + at + size))
    stretches = oracle.runs(free)
    for length in range(BITS - 3, BITS + 1):
        every = oracle.fits(free, base, length)
        assert first_fit(stretches, length) == (every[0] if every else None)
        assert last_fit(stretches, length) == (every[-1] if every else None)
        assert best_fit(stretches, length) == oracle.tightest(free, base, length, reverse=False)
        assert best_fit(stretches, length, reverse=True) == oracle.tightest(free, base, length, reverse=True)
    assert [nth(stretches, index) for index in range(size + 1)] == [*sorted(free), None]


FRAGMENTED = ("10.0.0.0/22", ("10.0.2.0/25",))
CRUMBLED = ("10.0.0.0/22", ("10.0.0.0/26", "10.0.1.0/25", "10.0.3.192/26"))

Block = tuple[str, tuple[str, ...]]
FORWARD, SMALLEST, REVERSE, BOTH = range(4)


def free_of(of: Block) -> list[Range]:
    block, used = parse_prefix(of[0]), map(parse_prefix, of[1])
    return list(RangeSet((p.first, p.last) for p in used).gaps(block.first, block.last))


def fit(of: Block, bits: int, mode: int) -> str | None:
    free, length = free_of(of), bits + V4_OFFSET
    found = (
        first_fit(free, length) if mode == FORWARD
        else last_fit(free, length) if mode == REVERSE
        else best_fit(free, length, reverse=mode == BOTH)
    )  # fmt: skip
    return None if found is None else str(found)


@pytest.mark.parametrize(
    ("bits", "wanted"),
    [
        (23, ("10.0.0.0/23", "10.0.0.0/23", "10.0.0.0/23", "10.0.0.0/23")),
        (24, ("10.0.0.0/24", "10.0.3.0/24", "10.0.3.0/24", "10.0.3.0/24")),
        (25, ("10.0.0.0/25", "10.0.2.128/25", "10.0.3.128/25", "10.0.2.128/25")),
        (26, ("10.0.0.0/26", "10.0.2.128/26", "10.0.3.192/26", "10.0.2.192/26")),
        (28, ("10.0.0.0/28", "10.0.2.128/28", "10.0.3.240/28", "10.0.2.240/28")),
    ],
)
@pytest.mark.parametrize("mode", [FORWARD, SMALLEST, REVERSE, BOTH])
def test_the_application_s_answers_in_a_fragmented_block(bits: int, wanted: tuple[str, ...], mode: int) -> None:
    assert fit(FRAGMENTED, bits, mode) == wanted[mode]


@pytest.mark.parametrize(
    ("bits", "mode", "wanted"),
    [
        *((24, mode, "10.0.2.0/24") for mode in range(4)),
        (25, FORWARD, "10.0.0.128/25"), (25, REVERSE, "10.0.3.0/25"),
        (26, FORWARD, "10.0.0.64/26"), (26, REVERSE, "10.0.3.128/26"),
        (27, FORWARD, "10.0.0.64/27"), (27, REVERSE, "10.0.3.160/27"),
        *((bits, mode, None) for bits in (22, 23) for mode in range(4)),
    ],
)  # fmt: skip
def test_the_application_s_answers_in_a_crumbled_block(bits: int, mode: int, wanted: str | None) -> None:
    assert fit(CRUMBLED, bits, mode) == wanted


@given(
    st.lists(st.builds(Prefix, st.integers(0, 63).map(lambda n: V4_FIRST + 4 * n), st.just(126)), max_size=20),
    st.data(),
)
def test_every_mode_agrees_with_netaddr_as_the_application_uses_it(used: list[Prefix], data: st.DataObject) -> None:
    """The application's four modes over netaddr's own free blocks, re-expressed."""
    bits = data.draw(st.integers(24, 32))
    gaps = list(RangeSet((p.first, p.last) for p in used).gaps(V4_FIRST, V4_FIRST + 255))
    free = netaddr.IPSet(["0.0.0.0/24"]) - netaddr.IPSet([str(p) for p in used])
    large_enough = [c for c in free.iter_cidrs() if c.prefixlen <= bits]
    if not large_enough:
        assert first_fit(gaps, bits + V4_OFFSET) is None
        assert best_fit(gaps, bits + V4_OFFSET) is None
        return
    longest = max(c.prefixlen for c in large_enough)
    small = [c for c in large_enough if c.prefixlen == longest]
    first, last, small_first, small_last = large_enough[0], large_enough[-1], small[0], small[-1]
    assert text(first_fit(gaps, bits + V4_OFFSET)) == str(next(iter(first.subnet(bits))))
    assert text(last_fit(gaps, bits + V4_OFFSET)) == str(list(last.subnet(bits))[-1])
    assert text(best_fit(gaps, bits + V4_OFFSET)) == str(next(iter(small_first.subnet(bits))))
    assert text(best_fit(gaps, bits + V4_OFFSET, reverse=True)) == str(list(small_last.subnet(bits))[-1])


def text(prefix: Prefix | None) -> str:
    assert prefix is not None
    return f"{format_address(prefix.first)}/{prefix.bits}"
