"""RangeSet against Python's own sets, in small universes at every boundary of the line."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests import oracle
from tests.oracle import SPAN, members, runs

from unipam.addr.prefix import Range
from unipam.addr.ranges import RangeSet

Spans = list[Range]


@st.composite
def triples(draw: st.DrawFn) -> tuple[int, Spans, Spans, Spans]:
    base = draw(oracle.bases)
    some = st.lists(oracle.spans(base), max_size=8)
    return base, draw(some), draw(some), draw(some)


def members_of(ranges: RangeSet) -> set[int]:
    return members(ranges)


def universe(base: int) -> RangeSet:
    return RangeSet([(base, base + SPAN - 1)])


def without(base: int, ranges: RangeSet) -> RangeSet:
    """The complement within the universe."""
    return universe(base) - ranges


@given(triples())
def test_a_set_holds_what_was_put_in_as_coalesced_ranges(drawn: tuple[int, Spans, Spans, Spans]) -> None:
    _, spans, _, _ = drawn
    ranges = RangeSet(spans)
    assert list(ranges) == runs(members(spans))
    assert len(ranges) == len(runs(members(spans)))
    assert ranges.size == len(members(spans))


@given(triples())
def test_operators_agree_with_sets_and_leave_their_operands(drawn: tuple[int, Spans, Spans, Spans]) -> None:
    _, one, other, _ = drawn
    a, b = RangeSet(one), RangeSet(other)
    assert members_of(a | b) == members(one) | members(other)
    assert members_of(a & b) == members(one) & members(other)
    assert members_of(a - b) == members(one) - members(other)
    assert (members_of(a), members_of(b)) == (members(one), members(other))


@given(triples())
def test_the_laws_of_set_algebra(drawn: tuple[int, Spans, Spans, Spans]) -> None:
    base, *spans = drawn
    a, b, c = map(RangeSet, spans)
    nothing, everything = RangeSet(), universe(base)
    assert a | nothing == a == a & everything  # identity
    assert a & nothing == nothing == a - a  # annihilation
    assert a | a == a == a & a  # idempotence
    assert a | b == b | a  # commutativity
    assert a & b == b & a
    assert (a | b) | c == a | (b | c)  # associativity
    assert (a & b) & c == a & (b & c)
    assert a & (b | c) == (a & b) | (a & c)  # distribution
    assert a | (a & b) == a == a & (a | b)  # absorption
    assert without(base, a | b) == without(base, a) & without(base, b)  # De Morgan
    assert without(base, a & b) == without(base, a) | without(base, b)
    assert without(base, without(base, a)) == a  # involution


@given(triples())
def test_membership_and_overlap_agree_with_sets(drawn: tuple[int, Spans, Spans, Spans]) -> None:
    base, spans, asked, _ = drawn
    ranges = RangeSet(spans)
    assert {a for a in range(max(base - 1, 0), base + SPAN + 1) if a in ranges} == members(spans)
    for first, last in asked:
        assert ranges.overlaps(first, last) == bool(members(spans) & members([(first, last)]))


@given(triples())
def test_gap_is_the_lowest_address_that_is_missing(drawn: tuple[int, Spans, Spans, Spans]) -> None:
    _, spans, asked, _ = drawn
    for window in asked:
        missing = members([window]) - members(spans)
        assert RangeSet(spans).gap(*window) == min(missing, default=None)


@given(triples())
def test_gaps_are_the_runs_of_what_is_missing(drawn: tuple[int, Spans, Spans, Spans]) -> None:
    _, spans, asked, _ = drawn
    for window in asked:
        assert list(RangeSet(spans).gaps(*window)) == runs(members([window]) - members(spans))


@given(triples())
def test_a_copy_goes_its_own_way(drawn: tuple[int, Spans, Spans, Spans]) -> None:
    _, spans, more, less = drawn
    original = RangeSet(spans)
    twin = original.copy()
    for span in more:
        twin.add(*span)
    for span in less:
        twin.discard(*span)
    assert members_of(original) == members(spans)


def test_an_empty_window_has_no_gap() -> None:
    assert RangeSet().gap(5, 4) is None
    assert list(RangeSet().gaps(5, 4)) == []


def test_sets_are_equal_by_content_and_cannot_be_hashed() -> None:
    assert RangeSet([(1, 2), (3, 4)]) == RangeSet([(1, 4)])
    assert RangeSet([(1, 4)]) != [(1, 4)]
    with pytest.raises(TypeError):
        hash(RangeSet())


def test_its_repr_shows_ranges() -> None:
    assert repr(RangeSet([(0, 1)])) == "RangeSet(['::-::1'])"


class Life(RuleBasedStateMachine):
    """Any sequence of adding and discarding, watched by a set."""

    @initialize(base=oracle.bases)
    def begin(self, base: int) -> None:
        self.base = base
        self.ranges = RangeSet()
        self.model: set[int] = set()

    @rule(data=st.data())
    def add(self, data: st.DataObject) -> None:
        span = data.draw(oracle.spans(self.base))
        self.ranges.add(*span)
        self.model |= members([span])

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        span = data.draw(oracle.spans(self.base))
        self.ranges.discard(*span)
        self.model -= members([span])

    @invariant()
    def agrees(self) -> None:
        found: Iterable[Range] = self.ranges
        assert list(found) == runs(self.model)


TestLife = Life.TestCase
