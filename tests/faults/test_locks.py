"""Connections of one process and of others on one ledger: nobody takes the file away beneath anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.real.node import Node

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


def test_a_ledger_that_is_emptied_under_an_agent_is_damaged_not_busy(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.install()
    conf = {"cniVersion": "1.0.0", "name": "net", "ipam": node.ipam("10.1.0.0/24")}
    with node.agent():
        assert node.call("ADD", conf, "first").code == 0
        os.truncate(node.data_dir / "unipam.db", 0)
        said = [node.call(verb, conf, "second") for verb in ("ADD", "ADD", "DEL")]
    for each in said:
        assert each.document["code"] == 5, each
        assert "is damaged (the file is empty" in each.document["msg"]
        assert "move the file away" in each.document["msg"]
