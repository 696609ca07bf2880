"""Ledgers are opened when needed, anew when the file was replaced, and not without bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unipam.model.errors import StoreBroken
from unipam.service import ledgers as module
from unipam.service.ledger import Inheritance
from unipam.service.ledgers import FILE, MOST_OPEN, Ledgers


@pytest.fixture
def ledgers() -> Ledgers:
    return Ledgers()


def test_a_ledger_is_opened_once(ledgers: Ledgers, tmp_path: Path) -> None:
    assert ledgers.find(str(tmp_path)) is None
    assert not (tmp_path / FILE).exists()
    first = ledgers.at(str(tmp_path / "new"))
    assert ledgers.at(str(tmp_path / "new")) is ledgers.find(str(tmp_path / "new")) is first
    assert os.stat(tmp_path / "new" / FILE).st_mode & 0o777 == 0o600
    assert os.stat(tmp_path / "new").st_mode & 0o777 == 0o700


def test_a_ledger_that_was_replaced_is_opened_anew(ledgers: Ledgers, tmp_path: Path) -> None:
    first = ledgers.at(str(tmp_path))
    first.adopt("n", Inheritance)
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
        (tmp_path / name).unlink()
    assert ledgers.find(str(tmp_path)) is None
    with ledgers.at(str(tmp_path)).store.reading() as tx:
        assert tx.space("n") is None


def test_no_more_than_so_many_are_open_and_all_stay_known(ledgers: Ledgers, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    directories = [str(tmp_path / str(number)) for number in range(MOST_OPEN + 10)]
    for directory in directories:
        ledgers.at(directory)
    assert len(os.listdir("/proc/self/fd")) - before <= 3 * MOST_OPEN
    assert list(ledgers.directories) == directories
    assert ledgers.find(directories[0]) is not None


def test_a_directory_that_cannot_be_made_is_named(ledgers: Ledgers, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreBroken, match=r"mkdir .*file/x: not a directory"):
        ledgers.at(str(tmp_path / "file" / "x"))


def test_boots_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boots = iter(["one", "one", "two", "two", "two"])
    monkeypatch.setattr(module, "boot_id", lambda: next(boots))
    assert [Ledgers().at(str(tmp_path)).boot for _ in range(5)] == [1, 1, 2, 2, 2]
