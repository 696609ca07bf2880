"""The room that is kept for a full disk: how much of it, who gets it, and what a ledger makes of it."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.model.errors import StoreFull
from unipam.store.reserve import SUFFIX, Reserve, allocate, where_full
from unipam.store.sqlite import PAGE, RESERVE, SqliteStore

SIZE = 1 << 20


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "unipam.db"


def kept(ledger: Path) -> int:
    path = Path(f"{ledger}{SUFFIX}")
    return path.stat().st_size if path.exists() else 0


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte."""
    path = tmp_path / "small"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs root, to mount a small file system")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def test_a_ledger_keeps_it_for_its_owner_alone(ledger: Path) -> None:
    SqliteStore(str(ledger)).close()
    reserve = Path(f"{ledger}{SUFFIX}").stat()
    assert (reserve.st_size, reserve.st_mode & 0o777) == (RESERVE * PAGE, 0o600)
    assert reserve.st_blocks * 512 >= RESERVE * PAGE, "it takes room, and is not a hole"


def test_it_is_given_back_piece_by_piece_and_made_whole_again(ledger: Path) -> None:
    reserve = Reserve(str(ledger), SIZE)
    reserve.keep()
    assert kept(ledger) == SIZE
    sizes = [(piece, kept(ledger)) for piece in reserve.pieces()]
    assert sum(piece for piece, _ in sizes) == SIZE
    assert [left for _, left in sizes] == sorted({left for _, left in sizes}, reverse=True)
    assert kept(ledger) == 0
    assert list(reserve.pieces()) == []
    reserve.keep()
    assert kept(ledger) == SIZE


def test_a_small_file_system_keeps_a_part_of_what_is_free(small: Path) -> None:
    Reserve(str(small / "unipam.db"), SIZE).keep()
    assert SIZE // 8 <= kept(small / "unipam.db") <= SIZE // 4


def test_a_full_one_keeps_what_it_has(small: Path) -> None:
    reserve = Reserve(str(small / "unipam.db"), SIZE)
    reserve.keep()
    before = kept(small / "unipam.db")
    fill(small)
    reserve.keep()
    assert kept(small / "unipam.db") == before > 0


def fill(directory: Path) -> None:
    with (directory / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)


def test_a_planted_link_is_not_followed(ledger: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    Path(f"{ledger}{SUFFIX}").symlink_to(victim)
    SqliteStore(str(ledger)).close()
    assert victim.read_text() == "precious"


def test_a_directory_that_takes_no_files_has_none(tmp_path: Path) -> None:
    Reserve(str(tmp_path / "nowhere" / "unipam.db"), SIZE).keep()
    assert list(Reserve(str(tmp_path / "nowhere" / "unipam.db"), SIZE).pieces()) == []


@given(st.integers(0, 8), st.integers(0, 8))
def test_work_is_tried_again_as_long_as_room_is_made(fails: int, steps: int) -> None:
    tries = 0

    def work() -> str:
        nonlocal tries
        tries += 1
        if tries <= fails:
            raise StoreFull("full", path="x")
        return "done"

    with contextlib.suppress(StoreFull):
        assert where_full(work, lambda: range(steps)) == "done"
        assert fails <= steps
    assert tries == min(fails, steps) + 1


CRASH = """
import os, sys
from unipam.store.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
before = os.path.getsize(sys.argv[1] + "-wal")
for number in range(3):
    with store.transaction() as tx:
        tx.set_note(f"n{number}", "written")
    for _ in zip(range(2), store.make_room()):
        pass
assert os.path.getsize(sys.argv[1] + "-wal") >= before + 3 * 16_384, "a log that grew three times"
os._exit(0)
"""


def test_a_log_that_was_lengthened_is_recovered_after_a_crash(ledger: Path) -> None:
    subprocess.run([sys.executable, "-c", CRASH, str(ledger)], check=True, timeout=60)
    os.unlink(f"{ledger}-shm")  # as after a power cut: what the log holds must be read from it
    store = SqliteStore(str(ledger))
    with store.reading() as tx:
        assert [value for _, value in tx.notes("n")] == ["written"] * 3
    assert store.check() == []
    store.close()


def test_allocating_does_not_change_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    allocate(str(path), 3, 4096)
    assert path.read_bytes() == b"abc" + bytes(4096)
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        allocate(str(path), 0, 0)
