"""What was claimed and freed day by day, of every store; and that no database reads more than is asked for."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.addr.prefix import Prefix
from unipam.model.records import Entry, Owner
from unipam.store import turnover
from unipam.store.api import Store, Tx
from unipam.store.postgres import PostgresStore
from unipam.store.postgres_tx import _DAYS as POSTGRES
from unipam.store.sqlite import SqliteStore
from unipam.store.sqlite_tx import _DAYS as SQLITE
from unipam.store.turnover import DAY, SQLITE_INDEXES, Turnover, Verbs

VERBS = Verbs("create", "change")
HERE = (0xFFFF << 32) + (10 << 24)
SIX = 0xFD << 120


def entry(day: float, verb: str, parent: int, place: Prefix, generation: int = 0) -> Entry:
    return Entry(day * DAY, verb, parent, place.first, place.last, Owner("x"), generation, "me", "", "")


def test_days_are_summed_by_what_was_made_moved_and_freed(store: Store) -> None:
    small, large, six = Prefix(HERE, 120), Prefix(HERE, 112), Prefix(SIX, 64)
    with store.transaction() as tx:
        one = tx.record(entry(10.0, "create", 1, small))
        two = tx.record(entry(10.9, "create", 1, six))
        renamed = tx.record(entry(11.5, "change", 1, small, one))
        grown = tx.record(entry(12.1, "change", 1, large, renamed))
        tx.record(entry(12.2, "settle", 1, six, two))
        tx.record(entry(13.0, "vanish", 1, large, grown))
        tx.record(entry(13.0, "create", 2, small))
        assert tx.turnover([1, 2, 9], 10, VERBS) == [
            Turnover(1, 10, 2, 256 + 2**64, 0),
            Turnover(1, 12, 2, 65536, 256 + 2**64),
            Turnover(1, 13, 1, 0, 65536),
            Turnover(2, 13, 1, 256, 0),
        ]
    with store.reading() as tx:
        assert tx.turnover([1], 13, VERBS) == [Turnover(1, 13, 1, 0, 65536)]
        assert tx.turnover([2], 14, VERBS) == tx.turnover([], 0, VERBS) == []


def changed(dice: random.Random, held: list[Entry], numbers: list[int], day: float) -> Entry:
    """Return an entry that makes something, or moves or frees what there is."""
    place = Prefix(HERE + dice.randrange(1000) * 256, 120 - dice.randrange(3))
    at = dice.randrange(len(held)) if held else 0
    kind = dice.choice(("make", "move", "free")) if held else "make"
    if kind == "make":
        held.append(entry(day, "create", dice.choice((1, 2)), place))
        numbers.append(0)
        return held[-1]
    before, number = held.pop(at), numbers.pop(at)
    if kind == "free":
        return entry(
            day, dice.choice(("remove", "settle")), before.parent, Prefix(before.first, 128 - size(before)), number
        )
    held.append(entry(day, "change", before.parent, place, number))
    numbers.append(0)
    return held[-1]


def size(made: Entry) -> int:
    return (made.last - made.first).bit_length()


@pytest.mark.parametrize("seed", range(3))
def test_the_days_add_up_to_what_is_held(store: Store, seed: int) -> None:
    dice = random.Random(seed)
    held: list[Entry] = []
    numbers: list[int] = []
    with store.transaction() as tx:
        for step in range(120):
            made = changed(dice, held, numbers, step / 7)
            number = tx.record(made)
            numbers[:] = [number if each is made else known for each, known in zip(held, numbers, strict=True)]
        for parent in (1, 2):
            days = tx.turnover([parent], 0, VERBS)
            now = sum(each.last - each.first + 1 for each in held if each.parent == parent)
            assert sum(day.claimed - day.freed for day in days) == now
            assert [day.day for day in days] == sorted({day.day for day in days})


@given(st.data())
def test_the_order_of_lines_does_not_matter(data: st.DataObject) -> None:
    numbers = st.integers(0, 5)
    sums = st.tuples(numbers, numbers, st.sampled_from(["create", "settle", "vanish"]), numbers, st.integers(0, 2**70))
    moves = st.tuples(numbers, numbers, numbers, numbers, numbers, numbers)
    some, others = data.draw(st.lists(sums, max_size=30)), data.draw(st.lists(moves, max_size=10))
    expected = turnover.turnovers(some, others, "create", int)
    mixed = data.draw(st.permutations(some)), data.draw(st.permutations(others))
    assert turnover.turnovers(*mixed, "create", int) == expected
    assert sum(each.entries for each in expected) == sum(row[3] for row in some) + len(others)


def fill(tx: Tx) -> None:
    for parent in range(1, 40):
        for day in range(100):
            tx.record(entry(day, "create", parent, Prefix(HERE + day * 256, 120)))


def test_sqlite_reads_nothing_but_the_days_that_are_asked_for(tmp_path: Path) -> None:
    path = str(tmp_path / "r.db")
    store = SqliteStore(path, indexes=SQLITE_INDEXES)
    with store.transaction() as tx:
        fill(tx)
    store.close()
    with sqlite3.connect(path) as connection:
        for statement in (turnover.made_and_freed(SQLITE), turnover.moved(SQLITE)):
            steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", ("[7]", 90, "change"))]
            read = [step for step in steps if "journal" in step]
            assert read, steps
            assert all(s.startswith("SEARCH journal USING INDEX journal_day") for s in read if "before" not in s), steps
            assert not [step for step in steps if "TEMP B-TREE" in step], steps


def test_postgresql_reads_nothing_but_the_days_that_are_asked_for(store: Store) -> None:
    if not isinstance(store, PostgresStore):
        return
    with store.transaction() as tx:
        fill(tx)
    with store.transaction() as tx:
        connection = tx.connection
        connection.execute("ANALYZE journal")
        for statement in (turnover.made_and_freed(POSTGRES), turnover.moved(POSTGRES)):
            rows = connection.execute(f"EXPLAIN {statement}", ([7], 90, "change")).fetchall()
            steps = [str(row[0]) for row in rows]
            assert any("journal_parent" in step or "journal_verb" in step for step in steps), steps
            assert not [step for step in steps if "Seq Scan on journal" in step], steps
