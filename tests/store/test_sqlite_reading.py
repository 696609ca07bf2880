"""Reading a ledger without a trace: what is read is all that was committed, and no file changes, appears or goes."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unipam.addr.prefix import V4_FIRST
from unipam.model.errors import StoreBroken, StoreBusy
from unipam.model.records import LEASE, Claim, Owner
from unipam.store.sqlite import SqliteStore, translate
from unipam.store.sqlite_reading import reading

HERE = V4_FIRST + (10 << 24)
LEASES = 300

WRITER = """
import sys
from tests.store.test_sqlite_reading import write
store = write(sys.argv[1])
print("written", flush=True)
sys.stdin.readline()
"""
"""Another process that has the ledger open with all it wrote in the write-ahead log; it ends as if it were killed."""

READER = """
import os, sys
from pathlib import Path
from tests.store.test_sqlite_reading import everything, look
before = everything(Path(sys.argv[1]).parent)
count = look(sys.argv[1])
assert everything(Path(sys.argv[1]).parent) == before
print(count)
"""


def write(path: str) -> SqliteStore:
    store = SqliteStore(path)
    with store.transaction() as tx:
        parent = tx.create_space("net", 1.0)
        for number in range(LEASES):
            tx.insert(Claim(parent, HERE + number, HERE + number, LEASE, Owner(f"container-{number}", "eth0")))
    return store


def look(path: str | Path) -> int:
    """The number of leases that a reader sees."""
    with reading(str(path)) as tx:
        return sum(1 for number, _ in tx.spaces() for _ in tx.claims(number))


def everything(directory: Path) -> dict[str, tuple[bytes, int]]:
    """What each file holds, and when it was last written."""
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in directory.iterdir()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger in a directory of its own."""
    (tmp_path / "state").mkdir()
    return tmp_path / "state" / "unipam.db"


@contextlib.contextmanager
def written_by_another(path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        try:
            yield process
        finally:
            process.kill()


def looked_by_another(path: Path, *before: str) -> int:
    """The same seen by a process of its own, which also sees that nothing changed."""
    done = subprocess.run(
        [*before, sys.executable, "-c", READER, str(path)], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


# Whoever has it open -----------------------------------------------------------------------------------------


def test_a_ledger_at_rest_is_read_and_nothing_is_made_beside_it(path: Path) -> None:
    write(str(path)).close()
    before = everything(path.parent)
    assert look(path) == LEASES
    assert everything(path.parent) == before
    assert not path.with_name("unipam.db-wal").exists()


def test_what_a_live_agent_has_only_in_its_log_is_read(path: Path) -> None:
    with written_by_another(path):
        assert path.with_name("unipam.db-wal").stat().st_size > path.stat().st_size
        before = everything(path.parent)
        assert looked_by_another(path) == LEASES
        assert everything(path.parent) == before


def test_a_live_agent_goes_on_writing_while_it_is_read(path: Path) -> None:
    store = write(str(path))
    with reading(str(path)) as tx:
        seen = tx.spaces()
        with store.transaction() as writing:
            writing.create_space("another", 2.0)
        assert tx.spaces() == seen
    assert look(path) == LEASES
    store.close()


def test_what_a_killed_agent_left_in_its_log_is_read(path: Path) -> None:
    with written_by_another(path):
        pass
    assert path.with_name("unipam.db-shm").exists()
    assert looked_by_another(path) == LEASES


def test_a_copy_without_the_index_of_its_log_is_read(path: Path) -> None:
    with written_by_another(path):
        pass
    path.with_name("unipam.db-shm").unlink()
    assert looked_by_another(path) == LEASES


@pytest.mark.parametrize("beside", ["", "-wal", "-wal -shm"])
def test_a_file_system_that_nobody_may_write_to_is_read(path: Path, beside: str) -> None:
    if os.getuid() or not shutil.which("unshare"):
        pytest.skip("needs root, and unshare of the Debian package util-linux")
    with written_by_another(path):
        pass
    if not beside:
        SqliteStore(str(path)).close()
    for suffix in {"-wal", "-shm"} - set(beside.split()):
        path.with_name(f"unipam.db{suffix}").unlink(missing_ok=True)
    script = (
        'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && ! touch "$1/x" 2>/dev/null && shift && exec "$@"'
    )
    assert looked_by_another(path, "unshare", "-m", "sh", "-c", script, "sh", str(path.parent)) == LEASES


# Files that are no ledger of ours ----------------------------------------------------------------------------


def refused(path: Path, words: str) -> dict[str, object]:
    """The facts of the refusal, after which every file is as it was."""
    before = everything(path.parent)
    with pytest.raises(StoreBroken, match=words) as refusal:
        look(path)
    assert str(path) in str(refusal.value)
    assert everything(path.parent) == before
    return refusal.value.facts


def test_garbage_is_named_as_damage(path: Path) -> None:
    path.write_bytes(bytes(range(1, 256)) * 40)
    assert refused(path, "damaged") == {"path": str(path), "damage": "file is not a database"}


def test_damage_that_is_met_while_reading_is_named(path: Path) -> None:
    write(str(path)).close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    assert refused(path, "damaged")["damage"] == "database disk image is malformed"


def test_a_log_without_its_ledger_is_not_thrown_away(path: Path) -> None:
    with written_by_another(path):
        pass
    path.write_bytes(b"")
    assert refused(path, "write-ahead log")["damage"]


def test_a_ledger_of_another_version_is_named_and_left_as_it_is(path: Path) -> None:
    write(str(path)).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    assert refused(path, "schema version 7")["version"] == 7


@pytest.mark.parametrize("application", [0, 42])
def test_another_program_s_file_is_named(path: Path, application: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE recipe (cake TEXT)")
        connection.execute(f"PRAGMA application_id = {application}")
    assert refused(path, "not a unipam ledger")["application"] == application


def test_an_empty_database_is_nobody_s(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert refused(path, "not a unipam ledger")["application"] == 0


def test_a_file_that_is_not_there_is_not_made(path: Path) -> None:
    assert refused(path, "No such file or directory")["errno"] == 2


def test_an_index_that_another_process_is_about_to_make_is_waited_for() -> None:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorname = "SQLITE_READONLY_CANTINIT"
    assert isinstance(translate(error, "/x"), StoreBusy)
