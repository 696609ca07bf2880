"""Connections of one process and of others on one ledger: nobody takes the file away beneath anybody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from unipam.store.sqlite import SqliteStore

COME_AND_GO = """
import sys
from unipam.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
with store.reading() as tx:
    print(tx.note("said"))
store.close()
"""


def said_to_another_process(path: str) -> str:
    command = [sys.executable, "-c", COME_AND_GO, path]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def test_a_second_connection_keeps_the_firsts_locks(tmp_path: Path) -> None:
    """POSIX locks belong to the process: closing any descriptor of the file lets go of all of them.

    Then another process takes itself for the last one, and removes the write-ahead log that is still written to.
    """
    path = str(tmp_path / "unipam.db")
    first = SqliteStore(path)
    second = SqliteStore(path)
    for word in ("one", "two"):
        with first.transaction() as tx:
            tx.set_note("said", word)
        assert said_to_another_process(path) == word
    with second.reading() as tx:
        assert tx.note("said") == "two"
    first.close()
    second.close()


def test_a_ledger_is_nobody_elses_business(tmp_path: Path) -> None:
    SqliteStore(str(tmp_path / "unipam.db")).close()
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
