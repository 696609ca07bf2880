"""A register's journal on SQLite: which index answers what, and that files of before get them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from unipam.addr.prefix import Prefix, Range
from unipam.model.records import Entry, Owner
from unipam.store.journal import SQLITE_INDEXES, JournalFilter, Place, statements
from unipam.store.sqlite import SqliteStore

HERE = (0xFFFF << 32) + (10 << 24)


def _fill(store: SqliteStore, count: int) -> None:
    with store.transaction() as tx:
        tx.record_all(
            [
                Entry(float(n), "create", 1, HERE + n, HERE + n, Owner(f"h{n}"), 0, f"a{n % 50}", "", "")
                for n in range(count)
            ]
        )


@pytest.mark.parametrize(
    "wanted",
    [
        JournalFilter(), JournalFilter(since=3.0, until=9.0), JournalFilter(actor="a7"), JournalFilter(verb="remove"),
        JournalFilter(holder="h9"), JournalFilter(around=HERE + 7), JournalFilter(within=Range(HERE, HERE + 255)),
    ],
)  # fmt: skip
def test_no_question_reads_the_whole_journal(tmp_path: Path, wanted: JournalFilter) -> None:
    path = str(tmp_path / "r.db")
    store = SqliteStore(path, additions=SQLITE_INDEXES)
    _fill(store, 200)
    store.close()
    with sqlite3.connect(path) as connection:
        for sql, values in statements(wanted, Place(100.0, 100), 10, "?", lambda n: n.to_bytes(16, "big")):
            told = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
            tables = [line for line in told if "journal" in line]
            assert tables, told
            assert all("USING INDEX journal_" in line for line in tables), told


def test_what_is_rare_is_found_beyond_the_latest_entries(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "r.db"), additions=SQLITE_INDEXES)
    _fill(store, 6000)
    place = Prefix(HERE + 3, 128)
    with store.reading() as tx:
        assert [e.owner.holder for e in tx.search_journal(JournalFilter(holder="h3"), None, 2000)][-1] == "h3"
        assert [e.owner.holder for e in tx.search_journal(JournalFilter(around=place.first), None, 10)] == ["h3"]
    store.close()


def test_a_file_of_before_gets_the_indexes_and_a_node_s_ledger_none(tmp_path: Path) -> None:
    path = str(tmp_path / "r.db")
    SqliteStore(path).close()

    def indexes() -> int:
        with sqlite3.connect(path) as connection:
            return int(
                connection.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE 'journal_%'").fetchone()[0]
            )

    assert indexes() == 0
    SqliteStore(path, additions=SQLITE_INDEXES).close()
    assert indexes() == 5
    SqliteStore(path, additions=SQLITE_INDEXES).close()
    SqliteStore(path).close()
    assert indexes() == 5
