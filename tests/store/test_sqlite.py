"""The ledger file in a hostile world: each trouble has the right error, words that help, and changes nothing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unipam.addr.prefix import V4_FIRST
from unipam.model.errors import Overlap, StoreBroken, StoreBusy, StoreFull, UnipamError
from unipam.model.records import LEASE, Claim, Owner
from unipam.store.sqlite import FLUSHED_CHECKPOINT, PAGE, SqliteStore, translate
from unipam.store.sqlite_tx import APPLICATION, VERSION

HERE = V4_FIRST + (10 << 24)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "unipam.db"


def fill(path: Path, count: int = 300) -> SqliteStore:
    store = SqliteStore(str(path))
    with store.transaction() as tx:
        parent = tx.create_space("net", 1.0)
        for offset in range(count):
            tx.insert(Claim(parent, HERE + 2 * offset, HERE + 2 * offset, LEASE, Owner(f"container-{offset}", "eth0")))
    return store


def content(directory: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in directory.iterdir()}


def refused(path: Path, error: type[UnipamError], words: str) -> None:
    """Opening fails like this, says the path, and every file is as it was."""
    before = content(path.parent)
    with pytest.raises(error, match=words) as refusal:
        SqliteStore(str(path), timeout=0.0)
    assert str(path) in str(refusal.value)
    assert refusal.value.facts["path"] == str(path)
    assert content(path.parent) == before


# Files that are no ledger ------------------------------------------------------------------------------------


def test_a_new_ledger_is_its_owner_s_business_alone(path: Path) -> None:
    was = os.umask(0)
    try:
        SqliteStore(str(path)).close()
    finally:
        os.umask(was)
    assert path.stat().st_mode & 0o777 == 0o600


def test_garbage_is_named_as_damage(path: Path) -> None:
    path.write_bytes(bytes(range(1, 256)) * 40)
    refused(path, StoreBroken, r"damaged .*move the file away")


def test_text_is_named_as_damage(path: Path) -> None:
    path.write_text("10.1.2.2 container-1\n")
    refused(path, StoreBroken, r"damaged .*move the file away")


@pytest.mark.parametrize("user_version", [0, VERSION, VERSION + 1])
@pytest.mark.parametrize("application", [0, 42])
def test_another_program_s_database_is_left_as_it_is(path: Path, user_version: int, application: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE recipe (cake TEXT)")
        foreign.execute(f"PRAGMA user_version = {user_version}")
        foreign.execute(f"PRAGMA application_id = {application}")
    refused(path, StoreBroken, "not a unipam ledger: move it away")


def test_a_later_schema_is_left_as_it_is(path: Path) -> None:
    fill(path).close()
    with contextlib.closing(sqlite3.connect(path)) as later:
        later.execute("PRAGMA journal_mode = DELETE")
        later.execute(f"PRAGMA user_version = {VERSION + 1}")
    refused(
        path, StoreBroken, f"schema version {VERSION + 1}; this unipam knows {VERSION}: use the unipam that wrote it"
    )


def test_an_empty_file_becomes_a_ledger(path: Path) -> None:
    path.touch()
    SqliteStore(str(path)).close()
    with contextlib.closing(sqlite3.connect(path)) as made:
        assert made.execute("PRAGMA application_id").fetchone() == (APPLICATION,)


def test_a_directory_in_its_place_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreBroken, match=f"cannot use the ledger {path}: .*: it must be a file, in a directory"):
        SqliteStore(str(path))


def test_no_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreBroken, match="No such file or directory"):
        SqliteStore(str(tmp_path / "missing" / "unipam.db"))


# Damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [2, 100, 2048, 4096, 5 * 4096])
def test_a_truncated_ledger_is_named_as_damage(path: Path, kept: int) -> None:
    fill(path).close()
    assert path.stat().st_size > 5 * 4096
    os.truncate(path, kept)
    refused(path, StoreBroken, r"damaged .*move the file away")


def test_a_torn_page_is_found_by_whoever_meets_it(path: Path) -> None:
    fill(path, 2000).close()
    with path.open("r+b") as file:
        file.seek(24 * PAGE)  # behind the schema, which is read on opening
        file.write(b"\xff" * (path.stat().st_size - 24 * PAGE))
    store = SqliteStore(str(path))
    before = path.read_bytes()
    with pytest.raises(StoreBroken, match=r"damaged .*move the file away"), store.transaction() as tx:
        list(tx.claims(1))
    with pytest.raises(StoreBroken, match="damaged"), store.reading() as tx:
        tx.insert(Claim(1, HERE + 1, HERE + 1, LEASE, Owner("new")))
    assert store.check()
    store.close()
    assert path.read_bytes() == before


def test_a_sound_ledger_checks_as_sound(path: Path) -> None:
    assert fill(path).check() == []


# Rights and room ---------------------------------------------------------------------------------------------

PROBE = """
import json, sys
from unipam.model.errors import UnipamError
from unipam.model.records import LEASE, Claim, Owner
from unipam.store.sqlite import SqliteStore
from unipam.addr.prefix import V4_FIRST
path, mode = sys.argv[1:3]
def attempt(work):
    try:
        return work()
    except UnipamError as error:
        return {"error": error.name, "message": error.message, "path": error.facts.get("path")}
def grow(store):
    for n in range(100000):
        with store.transaction() as tx:
            parent = tx.space("net") or tx.create_space("net", 1.0)
            at = V4_FIRST + (11 << 24) + n
            tx.insert(Claim(parent, at, at, LEASE, Owner(f"late-{n}"), details="x" * 200))
        done.append(n)
def held(store):
    with store.reading() as tx:
        return [c.owner.holder for c in tx.claims(tx.space("net")) if c.owner.holder.startswith("late-")]
def room():
    import os
    with open(path + ".ballast", "wb", buffering=0) as ballast:
        try:
            while True: ballast.write(bytes(4096))
        except OSError: pass
done = []
if mode == "open":
    result = attempt(lambda: SqliteStore(path, timeout=0.0) and "opened")
elif mode == "open-full":
    room()
    result = attempt(lambda: SqliteStore(path, timeout=0.0) and "opened")
elif mode == "grow":
    store = SqliteStore(path)
    room()
    result = attempt(lambda: grow(store))
    result["kept"] = held(store) == [f"late-{n}" for n in done]
    result["again"] = attempt(lambda: grow(store))["error"]
    import os
    os.unlink(path + ".ballast")
    with store.transaction() as tx:
        parent = tx.space("net") or tx.create_space("net", 1.0)
        tx.insert(Claim(parent, 5, 5, LEASE, Owner("with room")))
    result["after"] = store.check()
elif mode == "together":
    store = SqliteStore(path)
    def write():
        with store.together():
            for n in range(80):  # more than the cache holds
                attempt(lambda: add(store, n))
    def add(store, n):
        with store.transaction() as tx:
            tx.create_space(f"late-{n}" + "x" * 100_000, 1.0)
    result = {"refused": attempt(write)["error"]}
    with store.reading() as tx:
        result["kept"] = len(tx.spaces())
    result["after"] = store.check()
print(json.dumps(result))
"""


def _namespaces() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0


mounting = pytest.mark.skipif(
    shutil.which("unshare") is None or not _namespaces(), reason="needs root for a mount namespace of its own"
)


def within(prepare: str, path: Path, mode: str) -> dict[str, object]:
    """What the probe says in a mount namespace of its own, prepared by shell commands; it goes away with it."""
    script = f'{prepare}\nexec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"]
    done = subprocess.run(
        [*command, sys.executable, "-c", PROBE, str(path), mode],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def read_only(directory: Path) -> str:
    return f"mount --bind {directory} {directory}; mount -o remount,bind,ro {directory}"


@mounting
def test_no_new_ledger_on_a_read_only_file_system(path: Path) -> None:
    found = within(read_only(path.parent), path, "open")
    assert found == {
        "error": "StoreBroken", "path": str(path),
        "message": f"cannot open the ledger {path}: Read-only file system",
    }  # fmt: skip
    assert content(path.parent) == {}


@mounting
def test_a_ledger_on_a_read_only_file_system_stays_as_it_is(path: Path) -> None:
    fill(path).close()
    before = content(path.parent)
    found = within(read_only(path.parent), path, "open")
    assert (found["error"], found["path"]) == ("StoreBroken", str(path))
    assert str(found["message"]).endswith("it must be a file, in a directory where files can be made")
    assert content(path.parent) == before


@pytest.fixture
def immutable(path: Path) -> Iterator[Path]:
    fill(path).close()
    if subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        pytest.skip("needs root and a file system with chattr")
    yield path
    subprocess.run(["chattr", "-i", str(path)], check=True)


def test_a_ledger_that_may_not_be_written_can_be_read_and_stays_as_it_is(immutable: Path) -> None:
    before = immutable.read_bytes()
    store = SqliteStore(str(immutable))
    with store.reading() as tx:
        assert len(list(tx.claims(1))) == 300
    with pytest.raises(StoreBroken, match=r"readonly database: make it writable") as refusal, store.transaction() as tx:
        tx.create_space("other", 1.0)
    assert refusal.value.facts["path"] == str(immutable)
    store.close()
    assert immutable.read_bytes() == before


@mounting
def test_no_room_for_a_new_ledger_is_named(tmp_path: Path) -> None:
    path = tmp_path / "unipam.db"
    found = within(f"mount -t tmpfs -o size=64k none {tmp_path}", path, "open-full")
    assert (found["error"], found["path"]) == ("StoreFull", str(path))
    assert "free some space" in str(found["message"])


@mounting
def test_a_full_file_system_refuses_what_it_cannot_keep_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "unipam.db"
    found = within(f"mount -t tmpfs -o size=400k none {tmp_path}", path, "grow")
    assert (found["error"], found["path"], found["again"]) == ("StoreFull", str(path), "StoreFull")
    assert "free some space" in str(found["message"])
    assert found["kept"] is True
    assert found["after"] == []


@mounting
def test_no_room_to_open_a_ledger_is_named(path: Path) -> None:
    """The ledger is whole; what has no room is the shared memory file of its write-ahead log."""
    fill(path).close()
    place = path.parent / "small"
    place.mkdir()
    prepare = f"mount -t tmpfs -o size=160k none {place}; cp {path} {place}/unipam.db"
    found = within(prepare, place / "unipam.db", "open-full")
    assert found["error"] == "StoreFull"
    assert "free some space" in str(found["message"])


# Other processes ---------------------------------------------------------------------------------------------

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("holding", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def locked(path: Path) -> Iterator[Path]:
    fill(path).close()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holding\n"
        yield path
        holder.communicate()


def test_a_ledger_that_another_process_holds_can_be_read_and_is_busy_for_writers(locked: Path) -> None:
    store = SqliteStore(str(locked), timeout=0.05)
    with store.reading() as tx:
        assert len(list(tx.claims(1))) == 300
    with pytest.raises(StoreBusy, match="locked by another process: try again") as refusal, store.transaction():
        pass
    assert refusal.value.temporary
    assert refusal.value.facts["path"] == str(locked)


CREATOR = """
import os, sys
from unipam.store.sqlite import SqliteStore
directory, name = sys.argv[1:]
print("ready", flush=True)
while not os.path.exists(directory + "/go"):
    pass
for number in range(20):
    store = SqliteStore(f"{directory}/{number}.db")
    with store.transaction() as tx:
        tx.set_note(name, "here")
    store.close()
"""


def test_many_processes_make_one_ledger_together(tmp_path: Path) -> None:
    """First contact by a crowd, twenty times over: nobody is turned away, and nobody's ledger is another one."""
    names = [f"n{n}" for n in range(6)]
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CREATOR, str(tmp_path), name], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for name in names
    ]
    for each in crowd:
        assert each.stdout is not None
        assert each.stdout.readline() == b"ready\n"
    (tmp_path / "go").touch()
    assert [each.communicate()[1] for each in crowd] == [b""] * len(crowd)
    for number in range(20):
        store = SqliteStore(str(tmp_path / f"{number}.db"))
        with store.reading() as tx:
            assert [key for key, _ in tx.notes("n")] == names
        store.close()


# What SQLite says --------------------------------------------------------------------------------------------


def sqlite_error(code: int, name: str, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("in SQLite's words")
    error.sqlite_errorcode, error.sqlite_errorname = code, name
    return error


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("SQLITE_BUSY", StoreBusy), ("SQLITE_BUSY_SNAPSHOT", StoreBusy), ("SQLITE_BUSY_RECOVERY", StoreBusy),
        ("SQLITE_LOCKED", StoreBusy), ("SQLITE_PROTOCOL", StoreBusy), ("SQLITE_FULL", StoreFull),
        ("SQLITE_CORRUPT", StoreBroken), ("SQLITE_CORRUPT_INDEX", StoreBroken), ("SQLITE_NOTADB", StoreBroken),
        ("SQLITE_CONSTRAINT_UNIQUE", Overlap), ("SQLITE_READONLY", StoreBroken), ("SQLITE_IOERR", StoreBroken),
        ("SQLITE_IOERR_SHMSIZE", StoreFull), ("SQLITE_CANTOPEN", StoreBroken), ("SQLITE_ERROR", StoreBroken),
    ],
)  # fmt: skip
def test_every_error_of_sqlite_has_ours(name: str, kind: type[UnipamError]) -> None:
    ours = translate(sqlite_error(getattr(sqlite3, name), name), "/x/unipam.db")
    assert type(ours) is kind
    assert "/x/unipam.db" in ours.message
    assert ours.facts["path"] == "/x/unipam.db"


def test_an_error_of_the_module_itself_has_ours(path: Path) -> None:
    store = SqliteStore(str(path))
    store.close()
    with pytest.raises(StoreBroken, match=r"cannot use the ledger .*closed database"), store.transaction():
        pass


def test_what_others_raise_within_a_transaction_is_not_the_ledger_s_fault(path: Path) -> None:
    store = SqliteStore(str(path))

    def fail(work: Callable[[], object]) -> None:
        with store.transaction() as tx:
            tx.set_note("a", "b")
            work()

    with pytest.raises(FileNotFoundError):
        fail((path.parent / "missing").read_bytes)
    with store.reading() as tx:
        assert tx.note("a") == ""


@pytest.mark.parametrize("timeout", [0, 4.0])
def test_a_flushed_log_is_written_over_rather_than_grown(path: Path, timeout: float) -> None:
    store = SqliteStore(str(path), timeout=timeout, flush=True)
    for n in range(600):
        with store.transaction() as tx:
            tx.create_space(f"net-{n}", 1.0)
    log = Path(f"{path}-wal").stat().st_size
    store.close()
    assert log < 2 * FLUSHED_CHECKPOINT * PAGE
