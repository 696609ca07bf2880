"""What stood once, in a database of before, which gets a table for that when it is brought up to date."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from tests.real.postgres import shared
from tests.store.test_contract import Story, compare_past, replayed

from unipam.model.records import Entry
from unipam.store.api import Store
from unipam.store.past import SQLITE_TABLE
from unipam.store.postgres import PostgresStore
from unipam.store.sqlite import SqliteStore


def in_sqlite(directory: Path, tell: Callable[[Store], None]) -> Store:
    """A file as it was, in which a story is told, opened anew."""
    path = str(directory / "r.db")
    before = SqliteStore(path)
    tell(before)
    before.close()
    SqliteStore(path, additions=SQLITE_TABLE).close()
    return SqliteStore(path, additions=SQLITE_TABLE)  # the second time there is nothing to be made


def in_postgresql(_: Path, tell: Callable[[Store], None]) -> Store:
    """A schema as it was, in which a story is told, brought up to date."""
    url = shared().schema()
    before = PostgresStore(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP FUNCTION keep_past CASCADE")
        connection.execute("DROP TABLE past")
        connection.execute("DROP INDEX journal_parent")  # of the step that came after it
        connection.execute("DELETE FROM migration WHERE number >= 5")
    tell(before)
    assert before.migrate() == ["0005_past.sql", "0006_journal_days.sql"]
    return before


@pytest.mark.parametrize("database", [in_sqlite, in_postgresql])
def test_the_past_of_a_database_of_before_is_there(
    tmp_path: Path, database: Callable[[Path, Callable[[Store], None]], Store]
) -> None:
    space = 0

    def tell(store: Store) -> None:
        nonlocal space
        with store.transaction() as tx:
            story = Story(tx, 7)
            space = story.space.id
            for _ in range(60):
                story.step()

    store = database(tmp_path, tell)
    with store.reading() as tx:
        entries: list[Entry] = list(tx.entries(float("inf")))
        for moment in (3, 9, 19):
            last = max(((e.at, e.id) for e in entries if e.at <= moment), default=(0, 0))[1]
            expected = replayed([each for each in entries if each.id <= last])
            compare_past(tx, moment, space, [entries[number - 1] for number in expected.values()])
    store.close()
