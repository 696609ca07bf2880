"""What every store promises (`store.api`), asked of each of them."""

from __future__ import annotations

import json
import random
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import oracle
from tests.oracle import SPAN, members, runs
from tests.store.backends import BACKENDS, Backend

from unipam.addr.prefix import BITS, LINE_LAST, V4_FIRST, V4_LAST, Prefix, Range
from unipam.model.errors import Overlap, StoreBusy
from unipam.model.records import (
    AGE,
    COOLING,
    HELD,
    LEASE,
    PLACE,
    SPACE,
    UNTIL,
    Claim,
    Entry,
    Extent,
    Owner,
    Selection,
    Standing,
)
from unipam.store.api import Store, Tx
from unipam.store.journal import JournalFilter, Place, matches
from unipam.store.listing import position

ME = Owner("me", "eth0")
HERE = V4_FIRST + (10 << 24)


def lease(parent: int, first: int, last: int | None = None, owner: Owner = ME, **rest: object) -> Claim:
    return Claim(parent, first, first if last is None else last, LEASE, owner, **rest)  # type: ignore[arg-type]


def entry(parent: int = 1, first: int = HERE, *, at: float = 1.0, owner: Owner = ME, verb: str = "allocate") -> Entry:
    return Entry(at, verb, parent, first, first, owner, 0, "actor", "reason", '{"pod":"a/b"}')


def facts(store: Store) -> object:
    """Everything there is to see."""
    with store.reading() as tx:
        spaces = tx.spaces()
        return (
            spaces,
            [(list(tx.claims(n)), list(tx.gaps(n, 0, LINE_LAST)), tx.cursors(n), tx.fence(n, ME)) for n, _ in spaces],
            tx.journal(),
            tx.notes(""),
        )


@pytest.fixture
def space(store: Store) -> int:
    with store.transaction() as tx:
        return tx.create_space("net", 5.0)


# Spaces ------------------------------------------------------------------------------------------------------


def test_spaces_have_names_and_numbers(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.space("b") is None
        b, a = tx.create_space("b", 1.0), tx.create_space("a", 2.0)
        assert (tx.space("a"), tx.space("b")) == (a, b)
        assert tx.spaces() == [(a, "a"), (b, "b")]
        root = tx.claim(a)
    assert root is not None
    assert (root.parent, root.owner.holder, root.since, root.first, root.last) == (0, "a", 2.0, 0, LINE_LAST)


def test_a_space_name_is_given_once(store: Store, space: int) -> None:
    with pytest.raises(Overlap, match="net"), store.transaction() as tx:
        tx.create_space("net", 6.0)


def test_an_owner_s_standing_is_told_at_a_glance(store: Store, space: int) -> None:
    with store.transaction() as tx:
        assert tx.standing("no such", ME) is None
        assert tx.standing("net", ME) == Standing(space, cooling=False, holding=False, fence=0.0)
        tx.insert(lease(tx.create_space("other", 1.0), HERE, state=COOLING, until=9.0))
        tx.set_fence(space, ME, 4.5)
        assert tx.standing("net", ME) == Standing(space, cooling=False, holding=False, fence=4.5)
        tx.insert(lease(space, HERE, owner=Owner("you"), state=COOLING, until=9.0))
        assert tx.standing("net", ME) == Standing(space, cooling=True, holding=False, fence=4.5)
        tx.insert(lease(space, HERE + 1))
        assert tx.standing("net", ME) == Standing(space, cooling=True, holding=True, fence=4.5)
        assert tx.standing("net", Owner("me", "eth1")) == Standing(space, cooling=True, holding=True, fence=0.0)


def test_spaces_do_not_see_each_other(store: Store, space: int) -> None:
    with store.transaction() as tx:
        other = tx.create_space("other", 1.0)
        tx.insert(lease(space, HERE))
        tx.insert(lease(other, HERE))
        tx.set_cursor(space, 0, HERE)
        tx.set_fence(space, ME, 4.0)
        assert tx.claim_at(space, HERE) != tx.claim_at(other, HERE)
        assert tx.cursor(other, 0) is None
        assert tx.fence(other, ME) == 0.0
        assert len(tx.claims_by_holder("me")) == 2
        assert len(tx.claims_of(space, "me")) == 1


def test_a_dropped_space_leaves_its_journal_and_its_number_behind(store: Store, space: int) -> None:
    with store.transaction() as tx:
        tx.insert(lease(space, HERE))
        tx.set_cursor(space, 0, HERE)
        tx.set_fence(space, ME, 4.0)
        tx.record(entry(space))
        tx.drop_space(space)
    with store.transaction() as tx:
        assert tx.space("net") is None
        assert tx.spaces() == []
        assert list(tx.claims(space)) == []
        assert tx.claims_by_holder("") == []
        assert tx.cursors(space) == {}
        assert tx.fence(space, ME) == 0.0
        assert [e.parent for e in tx.journal(parent=space)] == [space]
        again = tx.create_space("net", 9.0)
        assert again != space
        assert tx.gap(again, HERE, HERE) == HERE


# Claims ------------------------------------------------------------------------------------------------------


def test_a_hidden_space_is_found_by_its_number_only(store: Store, space: int) -> None:
    with store.transaction() as tx:
        tx.insert(lease(space, HERE))
        tx.set_cursor(space, 0, HERE)
        tx.hide_space(space)
    with store.reading() as tx:
        assert (tx.space("net"), tx.spaces(), tx.standing("net", ME)) == (None, [], None)
        assert [claim.first for claim in tx.claims(space)] == [HERE]
        assert tx.cursors(space) == {0: HERE}
    with store.transaction() as tx:
        tx.show_space(space)
    with store.reading() as tx:
        assert (tx.space("net"), tx.spaces()) == (space, [(space, "net")])
        assert tx.gap(space, HERE, HERE) is None


@pytest.mark.parametrize("address", [0, V4_FIRST - 1, V4_FIRST, V4_LAST, V4_LAST + 1, LINE_LAST])
def test_a_claim_is_kept_to_the_last_field(store: Store, space: int, address: int) -> None:
    whole = Claim(
        space, address, address, "ä kind", Owner("häftling\n", "\U0010ffff"), COOLING, 1.25, 2e9 + 0.125, 2**62, 7,
        86400, "key", '{"a":"☃"}',
    )  # fmt: skip
    with store.transaction() as tx:
        number = tx.insert(whole)
    with store.reading() as tx:
        assert tx.claim_at(space, address) == tx.claim(number) == whole._replace(id=number)


def test_a_claim_brings_its_number_or_is_given_one(store: Store, space: int) -> None:
    with store.transaction() as tx:
        assert tx.insert(lease(space, HERE, id=77)) == 77
        given_one = tx.insert(lease(space, HERE + 1))
        assert given_one not in (0, 77, space)
        tx.insert_all([lease(space, HERE + 5, id=80), lease(space, HERE + 4, id=90)])
        assert [c.id for c in tx.claims(space)] == [77, given_one, 90, 80]
        assert tx.claim(1234) is None


def test_claims_are_found_by_place_and_by_holder_in_address_order(store: Store, space: int) -> None:
    with store.transaction() as tx:
        for offset, owner in ((9, ME), (3, Owner("me", "eth1")), (5, Owner("mean")), (1, Owner("you"))):
            tx.insert(lease(space, HERE + offset, owner=owner))

        def offsets(claims: object) -> list[int]:
            return [c.first - HERE for c in claims]  # type: ignore[attr-defined]

        assert offsets(tx.claims(space)) == [1, 3, 5, 9]
        assert offsets(tx.claims(space, HERE + 3, HERE + 5)) == [3, 5]
        assert offsets(tx.claims_of(space, "me")) == [3, 9]
        assert offsets(tx.claims_by_holder("me")) == [3, 5, 9]
        assert offsets(tx.claims_by_holder("mea")) == [5]
        assert offsets(tx.claims_by_holder("")) == [1, 3, 5, 9]
        assert tx.claim_at(space, HERE + 2) is None
        assert (tx.count(space, HERE + 2, HERE + 9, HELD), tx.count(space, HERE, HERE + 9, COOLING)) == (3, 0)


def test_an_update_changes_what_may_change(store: Store, space: int) -> None:
    with store.transaction() as tx:
        number = tx.insert(lease(space, HERE))
        changed = Claim(
            space, HERE, HERE, LEASE, Owner("you", "eth9"), COOLING, 3.0, 4.0, 5, 6, 7, "k", "{}", number
        )  # fmt: skip
        tx.update(changed)
        assert list(tx.claims(space)) == [changed]
        assert tx.claims_of(space, "me") == []
        assert tx.claims_of(space, "you") == [changed]


def test_a_removed_claim_s_addresses_are_free(store: Store, space: int) -> None:
    with store.transaction() as tx:
        tx.insert(lease(space, HERE))
        tx.remove(next(iter(tx.claims(space))))
        assert list(tx.claims(space)) == []
        assert tx.gap(space, HERE, HERE) == HERE
        tx.insert(lease(space, HERE))


BLOCK = (HERE + 8, HERE + 15)


@pytest.mark.parametrize(
    ("first", "last", "refused"),
    [
        (8, 8, True), (15, 15, True), (10, 11, True), (8, 15, True), (0, 15, True), (0, 63, True), (12, 19, True),
        (0, 7, False), (16, 16, False), (7, 7, False),
    ],
)  # fmt: skip
def test_what_overlaps_is_refused_whatever_its_length(
    store: Store, space: int, first: int, last: int, refused: bool
) -> None:
    with store.transaction() as tx:
        tx.insert(lease(space, *BLOCK))
    before = facts(store)
    if not refused:
        with store.transaction() as tx:
            tx.insert(lease(space, HERE + first, HERE + last))
            assert len(list(tx.claims(space))) == 2
        return
    with pytest.raises(Overlap) as refusal, store.transaction() as tx:
        tx.insert(lease(space, HERE + first, HERE + last))
    assert str(refusal.value.facts["prefix"]) in str(refusal.value)
    assert facts(store) == before


def test_a_refused_claim_leaves_the_transaction_as_it_was(store: Store, space: int) -> None:
    """It overlaps one claim and touches the next one."""
    with store.transaction() as tx:
        tx.insert(lease(space, HERE + 4))
        tx.insert(lease(space, HERE + 8, HERE + 9))
        free = list(tx.gaps(space, HERE, HERE + 15))
        with pytest.raises(Overlap):
            tx.insert(lease(space, HERE + 4, HERE + 7))
        assert list(tx.gaps(space, HERE, HERE + 15)) == free


@pytest.mark.parametrize(
    "claims",
    [[(0, 3), (4, 7), (8, 8)], [(16, 19), (18, 23)], [(16, 19), (16, 19)], [(18, 23), (16, 19)], [(32, 33), (0, 31)]],
)
def test_claims_that_come_together_overlap_neither_others_nor_one_another(
    store: Store, space: int, claims: list[tuple[int, int]]
) -> None:
    with store.transaction() as tx:
        tx.insert(lease(space, *BLOCK))
    before = facts(store)
    with pytest.raises(Overlap), store.transaction() as tx:
        tx.insert_all([lease(space, HERE + a, HERE + z, id=100 + n) for n, (a, z) in enumerate(claims)])
    assert facts(store) == before


# Free space --------------------------------------------------------------------------------------------------

pieces = st.builds(lambda offset, bits: (offset >> bits << bits, bits), st.integers(0, SPAN - 1), st.integers(0, 4))
looks = st.lists(st.integers(0, SPAN - 1), max_size=3)
Step = tuple[bool, tuple[int, int], list[int]]
"""Whether to remove, which piece, and from where gaps are looked for before."""


@pytest.mark.parametrize("made", BACKENDS.values(), ids=BACKENDS)
@given(base=oracle.bases, steps=st.lists(st.tuples(st.booleans(), pieces, looks), max_size=25), window=st.data())
def test_free_space_is_what_the_claims_leave(
    made: Callable[[Path], Backend], base: int, steps: list[Step], window: st.DataObject
) -> None:
    """After any insertions and removals of prefixes, some refused: gap and gaps tell what a set of addresses tells.

    Nor does it matter where one looked for gaps before.
    """
    with tempfile.TemporaryDirectory() as directory:
        backend = made(Path(directory))
        try:
            with backend.open().transaction() as tx:
                parent = tx.create_space("net", 0.0)
                taken = _carry_out(tx, parent, base, steps)
                assert list(tx.gaps(parent, base, base + SPAN - 1)) == runs(members([(base, base + SPAN - 1)]) - taken)
                first, last = window.draw(oracle.spans(base))
                missing = members([(first, last)]) - taken
                assert tx.gap(parent, first, last) == min(missing, default=None)
                assert list(tx.gaps(parent, first, last)) == runs(missing)
        finally:
            backend.close()


def _carry_out(tx: Tx, parent: int, base: int, steps: list[Step]) -> set[int]:
    claimed: dict[int, set[int]] = {}
    for remove, (offset, bits), looked in steps:
        for place in looked:
            tx.gap(parent, base + place, base + SPAN - 1)
        whole = oracle.block(Prefix(base + offset, BITS - bits))
        if remove and claimed:
            first = min(claimed, key=lambda f: abs(f - base - offset))
            there = tx.claim_at(parent, first)
            assert there is not None
            tx.remove(there)
            del claimed[first]
        elif any(whole & taken for taken in claimed.values()):
            with pytest.raises(Overlap):
                tx.insert(lease(parent, min(whole), max(whole)))
        else:
            tx.insert(lease(parent, min(whole), max(whole)))
            claimed[min(whole)] = whole
    assert [c.first for c in tx.claims(parent)] == sorted(claimed)
    return {address for whole in claimed.values() for address in whole}


def test_a_gap_that_was_filled_is_no_gap_any_more(store: Store, space: int) -> None:
    with store.transaction() as tx:
        tx.insert(lease(space, HERE))
        assert (tx.gap(space, HERE, LINE_LAST), tx.gap(space, HERE + 1, LINE_LAST)) == (HERE + 1, HERE + 1)
        tx.insert(lease(space, HERE + 1))
        with pytest.raises(Overlap):
            tx.insert(lease(space, HERE + 1))
        assert list(tx.gaps(space, HERE, HERE + 5)) == [Range(HERE + 2, HERE + 5)]


def test_a_gap_seen_in_one_transaction_says_nothing_of_the_next(backend: Backend, store: Store, space: int) -> None:
    with store.transaction() as tx:
        tx.insert(lease(space, HERE))
        assert tx.gap(space, HERE, LINE_LAST) == HERE + 1
    with backend.open().transaction() as tx:
        tx.insert(lease(space, HERE + 2))
    with pytest.raises(Overlap), store.transaction() as tx:
        tx.insert(lease(space, HERE + 1, HERE + 2))


def test_a_space_without_claims_is_all_free(store: Store, space: int) -> None:
    with store.reading() as tx:
        assert list(tx.gaps(space, 0, LINE_LAST)) == [Range(0, LINE_LAST)]
        assert tx.gap(space, 0, LINE_LAST) == 0
        assert tx.gap(space, 5, 4) is None
        assert list(tx.gaps(space, 5, 4)) == []


# Cooldowns ---------------------------------------------------------------------------------------------------


@pytest.fixture
def resting(store: Store, space: int) -> int:
    with store.transaction() as tx:
        for offset, since in ((1, 30.0), (2, 10.0), (3, 20.0)):
            tx.insert(lease(space, HERE + offset, state=COOLING, since=since, until=since + 100))
        tx.insert(lease(space, HERE + 4, since=1.0))
    return space


@pytest.mark.parametrize(
    ("now", "limit", "offsets"),
    [
        (109.0, 9, []),
        (110.0, 9, [2]),
        (125.0, 9, [2, 3]),
        (500.0, 9, [2, 3, 1]),
        (500.0, 2, [2, 3]),
        (-30.0, 9, []),  # set back by no more than the slack
        (-31.0, 9, [1]),
        (-100.0, 9, [2, 3, 1]),
    ],
)
def test_ended_cooldowns_are_found_oldest_first(
    store: Store, resting: int, now: float, limit: int, offsets: list[int]
) -> None:
    with store.reading() as tx:
        assert [c.first - HERE for c in tx.expired(resting, now, 60.0, limit)] == offsets


def test_the_longest_cooling_claim_of_a_range_is_found(store: Store, resting: int) -> None:
    with store.reading() as tx:

        def oldest(first: int, last: int) -> int | None:
            found = tx.cooling(resting, HERE + first, HERE + last)
            return None if found is None else found.first - HERE

        assert (oldest(0, 9), oldest(3, 9), oldest(1, 1), oldest(4, 9)) == (2, 3, 1, None)


# Cursors, fences, notes --------------------------------------------------------------------------------------


def test_cursors_are_kept_by_space_and_number(store: Store, space: int) -> None:
    with store.transaction() as tx:
        assert tx.cursor(space, 0) is None
        for number, address in ((1, LINE_LAST), (0, HERE), (0, 0)):
            tx.set_cursor(space, number, address)
    with store.reading() as tx:
        assert (tx.cursor(space, 0), tx.cursor(space, 1), tx.cursors(space)) == (0, LINE_LAST, {0: 0, 1: LINE_LAST})


def test_fences_are_kept_by_owner_and_forgotten_by_age(store: Store, space: int) -> None:
    you = Owner("me", "eth1")
    with store.transaction() as tx:
        tx.set_fence(space, ME, 3.0)
        tx.set_fence(space, ME, 5.5)
        tx.set_fence(space, you, 4.0)
        assert (tx.fence(space, ME), tx.fence(space, you), tx.fence(space, Owner("me"))) == (5.5, 4.0, 0.0)
        tx.drop_fences(5.5)
        assert (tx.fence(space, ME), tx.fence(space, you)) == (5.5, 0.0)


def test_notes_are_kept_by_key(store: Store) -> None:
    with store.transaction() as tx:
        assert tx.note("boot") == ""
        for key, value in (("pools/2", "b"), ("boot", "1 x"), ("pools/10", "a"), ("boot", "2 y"), ("poolz", "")):
            tx.set_note(key, value)
        assert tx.note("boot") == "2 y"
        assert tx.notes("pools/") == [("pools/10", "a"), ("pools/2", "b")]
        tx.drop_note("pools/2")
        tx.drop_note("never there")
        assert [key for key, _ in tx.notes("")] == ["boot", "pools/10", "poolz"]


# The journal -------------------------------------------------------------------------------------------------


def test_journal_numbers_rise_and_entries_are_kept_whole(store: Store) -> None:
    with store.transaction() as tx:
        first = tx.record(entry(verb="allocate", first=LINE_LAST))
        second, third = tx.record_all([entry(verb="release"), entry(verb="thaw")])
        assert 0 < first < second < third
        assert [e.id for e in tx.journal()] == [third, second, first]
        assert tx.journal()[-1] == entry(verb="allocate", first=LINE_LAST)._replace(id=first)


def test_the_journal_is_asked_by_space_address_and_holder(store: Store) -> None:
    block = entry(2, HERE)._replace(last=HERE + 7, owner=Owner("meadow"))
    with store.transaction() as tx:
        one, two, three = tx.record_all([entry(1, HERE), block, entry(1, HERE + 8, owner=Owner("you"))])

        def numbers(**asked: object) -> list[int]:
            return [e.id for e in tx.journal(**asked)]  # type: ignore[arg-type]

        assert numbers(parent=1) == [three, one]
        assert numbers(address=HERE) == [two, one]
        assert numbers(address=HERE + 7) == [two]
        assert numbers(address=HERE, parent=1) == [one]
        assert numbers(holder="me") == [two, one]
        assert numbers(holder="me", parent=2, address=HERE + 3) == [two]
        assert numbers(limit=2) == [three, two]
        assert numbers(address=0) == []


def test_the_journal_is_asked_by_several_holders_at_once(store: Store) -> None:
    with store.transaction() as tx:
        one, two, three = tx.record_all([entry(owner=Owner(name)) for name in ("me", "mean", "you")])

        def numbers(*holders: str, **asked: object) -> list[int]:
            return [e.id for e in tx.journal(holders=holders, **asked)]  # type: ignore[arg-type]

        assert numbers("you", "me") == [three, one]
        assert numbers("you", "mean", holder="me") == [two]
        assert numbers("you", "mean", limit=1) == [three]
        assert numbers("m", '"') == numbers() == []
        assert numbers(*map(str, range(50_000)), "me") == [one]


def test_what_is_kept_of_holders_is_found_by_holder_and_by_text(store: Store, space: int) -> None:
    with store.transaction() as tx:
        tx.insert(lease(space, HERE, owner=Owner("now"), details='{"pod":"a/b"}'))
        tx.insert(lease(space, HERE + 1, owner=Owner("silent")))
        tx.record_all([entry(owner=Owner(name)) for name in ("old", "late")])
        tx.record(entry(owner=Owner("c%"))._replace(details='{"pod":"a/c_%"}'))
        tx.record(entry()._replace(details=""))
    with store.reading() as tx:
        everything = [("now", '{"pod":"a/b"}'), ("c%", '{"pod":"a/c_%"}'), ("late", '{"pod":"a/b"}')]
        assert list(tx.details()) == [*everything, ("old", '{"pod":"a/b"}')]
        assert [holder for holder, _ in tx.details(text='/b"')] == ["now", "late", "old"]
        assert [holder for holder, _ in tx.details(text="_%")] == ["c%"]
        assert [holder for holder, _ in tx.details(holders=["old", "now", "silent"])] == ["now", "old"]
        assert list(tx.details(holders=[])) == list(tx.details(text="A/B")) == []


def test_entries_are_read_from_the_oldest_on(store: Store) -> None:
    with store.transaction() as tx:
        numbers = tx.record_all([entry(at=at) for at in (1.0, 5.0, 3.0, 9.0)])
        assert [e.id for e in tx.entries(5.0)] == numbers[:3]
        assert [e.id for e in tx.entries(9.0, after=numbers[1])] == numbers[2:]


def test_forgetting_keeps_the_last_entry_and_no_number_comes_again(store: Store) -> None:
    with store.transaction() as tx:
        tx.record_all([entry(at=at) for at in (1.0, 2.0, 3.0)])
        last = tx.journal(limit=1)[0].id
        assert tx.forget(2.0) == 1
        assert tx.forget(99.0) == 1
        assert [e.id for e in tx.journal()] == [last]
        assert tx.forget(99.0) == 0
    with store.transaction() as tx:
        assert tx.record(entry()) > last


def test_what_is_left_of_a_journal_has_no_holes_whatever_clocks_did(store: Store) -> None:
    with store.transaction() as tx:
        numbers = tx.record_all([entry(at=at) for at in (1.0, 100.0, 2.0, 3.0)])
        assert tx.forget(50.0) == 1
        assert [e.id for e in tx.journal()] == numbers[:0:-1]


def test_the_last_entry_stays_also_when_the_clock_was_set_back(store: Store) -> None:
    with store.transaction() as tx:
        first, last = tx.record_all([entry(at=2.0), entry(at=1.0)])
        assert tx.forget(50.0) == last - first
        assert tx.journal(limit=1)[0].id == last


# Transactions ------------------------------------------------------------------------------------------------


def _everything(tx: Tx, space: int) -> None:
    """One of each kind of change."""
    there = tx.claim_at(space, HERE)
    assert there is not None
    tx.update(there._replace(owner=Owner("changed")))
    tx.insert(lease(space, HERE + 1))
    tx.remove(next(iter(tx.claims(space, HERE + 2))))
    tx.set_cursor(space, 0, HERE + 1)
    tx.set_fence(space, ME, 9.0)
    tx.set_note("note", "changed")
    tx.record(entry(space))
    tx.drop_fences(1.0)
    tx.forget(2.0)
    tx.drop_space(tx.create_space("ephemeral", 1.0))
    tx.create_space("another", 1.0)


@pytest.fixture
def settled(store: Store, space: int) -> int:
    with store.transaction() as tx:
        tx.insert(lease(space, HERE))
        tx.insert(lease(space, HERE + 2))
        tx.record_all([entry(space, at=at) for at in (1.0, 2.0, 3.0)])
        tx.set_note("note", "first")
    return space


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, Overlap])
def test_what_raises_leaves_no_trace(
    backend: Backend, store: Store, settled: int, error: Callable[[str], BaseException]
) -> None:
    before = facts(store)

    def fail() -> None:
        with store.transaction() as tx:
            _everything(tx, settled)
            raise error("on purpose")

    with pytest.raises(BaseException, match="on purpose"):
        fail()
    assert facts(store) == facts(backend.open()) == before


def test_what_ends_is_there_for_everybody(backend: Backend, store: Store, settled: int) -> None:
    before = facts(store)
    with store.transaction() as tx:
        _everything(tx, settled)
    assert facts(store) == facts(backend.open()) != before


def test_a_store_that_is_closed_comes_back_as_it_was(backend: Backend, store: Store, settled: int) -> None:
    before = facts(store)
    store.close()
    assert facts(backend.open()) == before or not backend.durable


def test_a_reader_sees_one_state_and_waits_for_no_writer(backend: Backend, store: Store, settled: int) -> None:
    other = backend.open()
    with other.reading() as reader:
        before = list(reader.claims(settled))
        with store.transaction() as tx:
            tx.insert(lease(settled, HERE + 9))
            assert len(list(tx.claims(settled))) == len(before) + 1
            assert list(reader.claims(settled)) == before
        assert list(reader.claims(settled)) == before
    with other.reading() as reader:
        assert len(list(reader.claims(settled))) == len(before) + 1


def test_there_is_one_writer_at_a_time(backend: Backend, store: Store, settled: int) -> None:
    other = backend.open()
    with store.transaction() as tx:
        tx.insert(lease(settled, HERE + 9))
        with pytest.raises(StoreBusy) as refusal, other.transaction():
            pass
        assert refusal.value.temporary
    with pytest.raises(Overlap), other.transaction() as tx:
        tx.insert(lease(settled, HERE + 9, owner=Owner("you")))
    with other.reading() as tx:
        assert [c.owner for c in tx.claims(settled, HERE + 9)] == [ME]


def test_of_two_writers_of_one_address_one_wins(backend: Backend, store: Store, settled: int) -> None:
    winners, ready = [], threading.Barrier(4)

    def write(name: str, handle: Store) -> None:
        ready.wait()
        for offset in range(10, 40):
            try:
                with handle.transaction() as tx:
                    tx.insert(lease(settled, HERE + offset, owner=Owner(name)))
                winners.append((offset, name))
            except (Overlap, StoreBusy):
                continue

    threads = [threading.Thread(target=write, args=(f"w{n}", backend.open(timeout=5.0))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as tx:
        assert sorted((c.first - HERE, c.owner.holder) for c in tx.claims(settled, HERE + 10)) == sorted(winners)
    assert len({offset for offset, _ in winners}) == len(winners) > 0


def test_a_used_store_is_sound(store: Store, settled: int) -> None:
    store.settle()
    assert store.check() == []


# Listings ----------------------------------------------------------------------------------------------------


def thing(parent: int, place: int, *, kind: str = "net", **members: object) -> Claim:
    details = json.dumps({"name": f"n{place}", **members})
    first = HERE + place * 256
    until = members.get("until")
    return Claim(parent, first, first + 255, kind, Owner(f"n{place}"), details=details, until=until)  # type: ignore[arg-type]


@pytest.fixture
def things(store: Store) -> tuple[int, int]:
    """Two spaces with some claims, not in the order of their addresses."""
    with store.transaction() as tx:
        a, b = tx.create_space("a", 1.0), tx.create_space("b", 1.0)
        for place, desc in ((5, "Five"), (1, "one 100%"), (3, "three_\\x")):
            tx.insert(thing(a, place, desc=desc, until=float(9 - place) if place < 5 else None))
        tx.insert(thing(b, 2, desc="two", status="late"))
        tx.insert(thing(b, 4, kind="other"))
    return a, b


def listed(store: Store, **wanted: object) -> list[int]:
    with store.reading() as tx:
        selection = Selection(**wanted)  # type: ignore[arg-type]
        found = tx.select(selection)
        if selection.after is None and selection.limit >= 100:
            assert tx.tally(selection) == len(found)
        return [(claim.first - HERE) // 256 for claim in found]


def test_a_listing_is_sorted_and_filtered(store: Store, things: tuple[int, int]) -> None:
    a, b = things
    assert listed(store, kind="net") == [1, 3, 5, 2]
    assert listed(store, kind="net", order=AGE) == [5, 1, 3, 2]
    assert listed(store, kind="net", order=UNTIL) == [3, 1, 5, 2]
    assert listed(store, kind="net", order="desc", descending=True) == [2, 3, 1, 5]
    assert listed(store, kind="net", order="status") == [2, 5, 1, 3]
    assert listed(store, parents=(b,)) == [2, 4]
    assert listed(store, kind="net", parents=()) == []
    assert listed(store, kind="net", text="100%") == [1]
    assert listed(store, kind="net", text="E_") == listed(store, kind="net", text="ree_") == [3]
    assert listed(store, kind="net", text="\\x") == [3]
    assert listed(store, kind="net", text="E%") == listed(store, kind="net", text="o_e") == []
    assert listed(store, kind="net", status="late") == [2]
    assert listed(store, kind="net", status="wait") == [1, 3, 5]
    assert listed(store, overlaps=Range(HERE + 3 * 256 + 7, HERE + 4 * 256)) == [3, 4]
    assert listed(store, parents=(a,), kind="other") == []


def test_a_text_is_looked_for_in_what_people_read(store: Store) -> None:
    """Not in how the details are written; and a reservation's id is looked for from its beginning."""
    with store.transaction() as tx:
        space = tx.create_space("a", 1.0)
        tx.insert(thing(space, 1, id="/subscriptions/S/resourceGroups/Prod/x", name="Web"))
        tx.insert(thing(space, 2, kind="reservation", id="n2abCD", created_by="ann@corp", status="wait"))
        tx.insert(thing(space, 3, name=None, desc='says "Ä" and more'))
        tx.insert(Claim(space, HERE, HERE, "net", Owner("n0")))
    for text, places in {
        "GROUPS/prod": [1], "web": [1], "ANN@": [2], "n2": [2], "abcd": [], 'ays "': [3], "n0": [0],
        "resourcegroups": [1], "created_by": [], '"name"': [], "null": [], "wait": [], "Ä": [3],
    }.items():  # fmt: skip
        assert listed(store, text=text) == places, text


@pytest.mark.parametrize("order", [PLACE, AGE, UNTIL, "name", "desc", "status", "created_on"])
@pytest.mark.parametrize("descending", [False, True])
def test_parts_of_a_listing_make_the_whole(store: Store, things: tuple[int, int], order: str, descending: bool) -> None:
    whole = listed(store, kind="net", order=order, descending=descending)
    parts, after = [], None
    for _ in range(9):
        wanted = Selection("net", order=order, descending=descending, after=after, limit=1)
        with store.reading() as tx:
            found = tx.select(wanted)
        if not found:
            break
        parts.append((found[0].first - HERE) // 256)
        after = position(found[0], order, json.loads(found[0].details))
    assert parts == whole


def test_the_claim_at_or_before_an_address_is_found(store: Store, space: int) -> None:
    with store.transaction() as tx:
        assert tx.claim_before(space, HERE) is None
        for first, last in ((HERE, HERE + 3), (HERE + 8, HERE + 8), (HERE + 16, HERE + 31)):
            tx.insert(lease(space, first, last))
        tx.insert(lease(tx.create_space("other", 1.0), HERE + 5))
        found = {
            n: claim and claim.first - HERE
            for n in (-1, 0, 5, 8, 17, 99)
            for claim in [tx.claim_before(space, HERE + n)]
        }
    assert found == {-1: None, 0: 0, 5: 0, 8: 8, 17: 16, 99: 16}


def test_claims_of_several_names_are_found_at_once(store: Store, space: int) -> None:
    with store.transaction() as tx:
        other = tx.create_space("other", 1.0)
        for parent, first, holder in (
            (space, HERE, "a"),
            (other, HERE + 9, "a"),
            (space, HERE + 1, "b"),
            (space, HERE + 2, "ab"),
        ):
            tx.insert(lease(parent, first, owner=Owner(holder)))
        assert [c.first - HERE for c in tx.claims_named(["a", "b", "none"])] == [0, 1, 9]
        assert tx.claims_named([]) == []


def replayed(entries: list[Entry]) -> dict[int, int]:
    """What stands after these entries, by where it began: the number of the entry that says what it is now."""
    standing: dict[int, int] = {}
    for each in entries:
        before = standing.pop(each.generation, None)
        if each.verb == "create":
            standing[each.id] = each.id
        elif each.verb == "change" and before is not None:
            standing[each.id] = before
    return {begun: number for number, begun in standing.items()}


class Story:
    """What happens to a space by chance: claims of two kinds are made, changed, moved and removed, an entry for each.

    Clocks may be set back.
    """

    PLACES = 40

    def __init__(self, tx: Tx, seed: int) -> None:
        self._tx = tx
        self.dice = random.Random(seed)
        self.claims: dict[int, Claim] = {}
        self.space = self._make(0, Range(0, LINE_LAST), SPACE)

    def step(self) -> None:
        verb = self.dice.choice(("create", "create", "change", "move", "remove"))
        known = self.dice.choice([*self.claims.values()])
        if verb == "create":
            self._make(self.space.id, self._free(), self.dice.choice(("network", "reservation")))
        elif verb == "change" or (verb == "move" and known.kind == SPACE):
            self._replace(known, known._replace(owner=Owner(f"h{self.dice.random()}")))
        elif known.kind != SPACE:
            place = self._free()
            self._replace(known, known._replace(first=place.first, last=place.last) if verb == "move" else None)

    def _free(self) -> Range:
        taken = {claim.first for claim in self.claims.values()}
        first = self.dice.choice([HERE + 4 * n for n in range(self.PLACES) if HERE + 4 * n not in taken])
        return Range(first, first + self.dice.randrange(4))

    def _make(self, parent: int, place: Range, kind: str) -> Claim:
        claim = Claim(parent, *place, kind, Owner(f"h{self.dice.random()}"))
        number = self._record(claim, "create")
        made = claim._replace(id=number, generation=number)
        self._tx.insert(made)
        self.claims[number] = made
        return made

    def _replace(self, before: Claim, after: Claim | None) -> None:
        number = self._record(after or before, "change" if after else "remove")
        self._tx.remove(before)
        del self.claims[before.id]
        if after:
            self.claims[before.id] = after._replace(generation=number)
            self._tx.insert(self.claims[before.id])

    def _record(self, claim: Claim, verb: str) -> int:
        details = json.dumps({"type": claim.kind}, separators=(",", ":"))
        at = self.dice.randrange(20)
        return self._tx.record(
            Entry(at, verb, claim.parent, claim.first, claim.last, claim.owner, claim.generation, details=details)
        )


@pytest.mark.parametrize("seed", range(5))
def test_the_past_is_what_a_replay_says(store: Store, seed: int) -> None:
    with store.transaction() as tx:
        story = Story(tx, seed)
        for _ in range(80):
            story.step()
    with store.reading() as tx:
        entries = list(tx.entries(float("inf")))
        for moment in range(-1, 21):
            last = max(((e.at, e.id) for e in entries if e.at <= moment), default=(0, 0))[1]
            expected = replayed([each for each in entries if each.id <= last])
            compare_past(tx, moment, story.space.id, [entries[number - 1] for number in expected.values()])
            changed = [number for begun, number in expected.items() if number != begun]
            assert tx.beginnings(changed) == {n: begun for begun, n in expected.items() if n in changed}
        assert tx.beginnings([]) == {}


def compare_past(tx: Tx, moment: float, space: int, expected: list[Entry]) -> None:
    past = tx.past(moment)
    inner = sorted((e for e in expected if e.parent == space), key=lambda e: e.first)
    kinds = {e.id: json.loads(e.details)["type"] for e in inner}
    assert past.spaces() == [e.id for e in expected if not e.parent]
    assert past.stood((space, 12345)) == [e.id for e in inner]
    assert past.stood((space,), HERE + 50, 3) == [e.id for e in inner if e.first >= HERE + 50][:3]
    assert past.stood((space,), kinds=["network"]) == [e.id for e in inner if kinds[e.id] == "network"]
    for kind in ("network", "reservation"):
        sizes = [e.last - e.first + 1 for e in inner if kinds[e.id] == kind]
        assert past.extents((space, 12345)).get((space, kind), Extent(0, 0)) == Extent(len(sizes), sum(sizes))
    taken = {address for e in inner for address in range(e.first, e.last + 1)}
    for first, last in ((HERE - 1, HERE + 170), (HERE + 41, HERE + 46), (HERE + 60, HERE + 60)):
        free = [address for gap in past.gaps(space, first, last) for address in range(gap.first, gap.last + 1)]
        assert free == [address for address in range(first, last + 1) if address not in taken]


def test_the_past_has_gaps_by_the_thousand(store: Store) -> None:
    with store.transaction() as tx:
        made = [entry(7, HERE + 2 * n, verb="create") for n in range(1100)]
        claims = [lease(7, e.first, id=n, generation=n) for n, e in zip(tx.record_all(made), made, strict=True)]
        tx.insert_all(claims)
    with store.reading() as tx:
        gaps = list(tx.past(1.0).gaps(7, HERE, HERE + 2199))
    assert gaps == [Range(HERE + 2 * n + 1, HERE + 2 * n + 1) for n in range(1100)]


def test_what_claims_take_up_is_summed(store: Store, things: tuple[int, int]) -> None:
    a, b = things
    with store.transaction() as tx:
        assert tx.extents([a], "net") == {a: Extent(3, 768)}
        assert tx.extents([b, 99], "other") == {b: Extent(1, 256)}
        assert tx.extents([a, b], "none") == tx.extents([], "net") == {}
        assert tx.claimed([a, b, 99]) == {a: 768, b: 512}
        before = tx.last_entry()
        assert tx.record(entry()) == tx.last_entry() > before


# The journal of a register, part by part -----------------------------------------------------------------------


def _mixed(number: int) -> Entry:
    """An entry that differs from its neighbours in everything one can ask for."""
    holder = ("alpha", "alpine", "beta")[number % 3]
    place = Prefix(HERE + number % 7 * 256, 120)
    verb, actor = ("create", "change")[number % 2], f"actor-{number % 5}"
    return Entry(1000.0 + number // 2, verb, 1, place.first, place.last, Owner(holder), 0, actor, "", "")


QUESTIONS = {
    "all": JournalFilter(),
    "time": JournalFilter(since=1010.0, until=1030.0),
    "actor": JournalFilter(actor="actor-3"),
    "verb and holder": JournalFilter(verb="change", holder="alp"),
    "around": JournalFilter(around=HERE + 256 * 3 + 17),
    "within": JournalFilter(within=Range(HERE, HERE + 511)),
    "nothing": JournalFilter(actor="nobody"),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_journal_is_read_part_by_part_from_the_latest_on(store: Store, name: str) -> None:
    wanted = QUESTIONS[name]
    with store.transaction() as tx:
        numbers = tx.record_all([_mixed(number) for number in range(100)])
    everything = [_mixed(number)._replace(id=numbers[number]) for number in range(100)]
    expected = sorted((e for e in everything if matches(wanted, None, e)), key=lambda e: (-e.at, -e.id))
    assert bool(expected) == (name != "nothing")
    found: list[Entry] = []
    with store.reading() as tx:
        while part := tx.search_journal(wanted, Place(found[-1].at, found[-1].id) if found else None, 7):
            found += part
    assert found == expected


def test_entries_are_found_by_their_numbers(store: Store) -> None:
    with store.transaction() as tx:
        numbers = tx.record_all([_mixed(number) for number in range(5)])
        assert sorted(e.id for e in tx.entries_numbered([numbers[1], numbers[3], 999])) == [numbers[1], numbers[3]]
        assert tx.entries_numbered([]) == []
