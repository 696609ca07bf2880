"""Transactions that are committed together: each still all or nothing, none durable before the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.store.test_sqlite import mounting, within

from unipam.model.errors import StoreBroken, StoreBusy
from unipam.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "unipam.db"


def spaces(store: SqliteStore) -> list[str]:
    with store.reading() as tx:
        return [name for _, name in tx.spaces()]


def make(store: SqliteStore, name: str) -> None:
    with store.transaction() as tx:
        tx.create_space(name, 1.0)


def test_all_become_durable_when_it_is_left_and_none_before(path: Path) -> None:
    store, other = SqliteStore(str(path)), SqliteStore(str(path))
    with store.together():
        make(store, "a")
        make(store, "b")
        assert spaces(store) == ["a", "b"], "they see each other"
        assert spaces(other) == []
    assert spaces(other) == ["a", "b"]
    make(store, "c")
    assert spaces(other) == ["a", "b", "c"], "each for itself again"


def test_one_that_fails_is_undone_alone(path: Path) -> None:
    store = SqliteStore(str(path))

    def fail() -> None:
        with store.transaction() as tx:
            tx.create_space("b", 1.0)
            raise ValueError("no")

    with store.together():
        make(store, "a")
        with pytest.raises(ValueError, match="no"):
            fail()
        make(store, "c")
    assert spaces(store) == ["a", "c"]


def test_nothing_done_together_is_nothing(path: Path) -> None:
    store = SqliteStore(str(path))
    with store.together():
        pass
    with store.together():
        assert spaces(store) == []
    make(store, "a")


def test_a_writer_elsewhere_keeps_each_from_beginning(path: Path) -> None:
    store, other = SqliteStore(str(path), timeout=0), SqliteStore(str(path))
    with store.together():
        with other.transaction() as tx:
            tx.create_space("theirs", 1.0)
            for _ in range(2):
                with pytest.raises(StoreBusy):
                    make(store, "a")
        make(store, "b")
    assert spaces(store) == ["b", "theirs"]


DIE = """
import os, sys
from unipam.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
with store.together():
    with store.transaction() as tx:
        tx.create_space("a", 1.0)
    os._exit(7)
"""


def test_who_dies_within_has_done_nothing(path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", DIE, str(path)], check=False).returncode == 7
    assert spaces(SqliteStore(str(path))) == []


def test_what_the_database_gave_up_is_not_taken_for_done(path: Path) -> None:
    """SQLite rolls everything back by itself when it must; whoever wrote before is to hear of it."""
    store = SqliteStore(str(path))

    def lose() -> None:
        with store.together():
            make(store, "a")
            store._connection.execute("ROLLBACK")
            make(store, "b")

    with pytest.raises(StoreBroken, match="gave up"):
        lose()
    assert spaces(store) == []
    make(store, "c")


@mounting
def test_on_a_full_file_system_all_is_kept_or_nothing(tmp_path: Path) -> None:
    found = within(f"mount -t tmpfs -o size=1M none {tmp_path}", tmp_path / "unipam.db", "together")
    assert found["refused"] in ("StoreFull", "StoreBroken")
    assert found["kept"] == 0
    assert found["after"] == []
