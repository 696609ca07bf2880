"""host-local's directory, read and written on a real file system (spec cni-and-host-local §2.5, defects D2 and D10)."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.addr.prefix import LINE_LAST, format_address, parse_address
from unipam.dialects.host_local import directory
from unipam.ledger.ledger import Ledger
from unipam.model.errors import StoreBroken, StoreBusy
from unipam.model.records import COOLING, HELD, LEASE, Claim, Owner, Pool, PoolRange, Request
from unipam.store.sqlite import SqliteStore

BOOTED = 1_000.0


def put(path: Path, name: str, text: str, written: float = BOOTED + 1) -> None:
    path.mkdir(exist_ok=True)
    (path / name).write_bytes(text.encode())
    os.utime(path / name, (written, written))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "net"
    made.mkdir()
    return made


def owners(path: Path) -> dict[str, Owner]:
    return {c.text: c.owner for c in directory.scan(str(path), 3, BOOTED).inheritance.claims}


# Reading -----------------------------------------------------------------------------------------------------


def test_leases_and_cursors_are_taken_over(path: Path) -> None:
    put(path, "10.1.2.3", "c1\r\neth0")
    put(path, "2001:db8::2", "c2\r\nnet1")
    put(path, "last_reserved_ip.0", "10.1.2.3")
    put(path, "last_reserved_ip.12", "2001:db8::2\n")
    put(path, "lock", "")
    found = directory.scan(str(path), 3, BOOTED)
    assert owners(path) == {"10.1.2.3": Owner("c1", "eth0"), "2001:db8::2": Owner("c2", "net1")}
    assert found.inheritance.cursors == ((0, parse_address("10.1.2.3")), (12, parse_address("2001:db8::2")))
    assert found.inheritance.origin == str(path)
    assert (found.empty, found.odd) == ((), ())
    assert {(c.kind, c.state, c.since, c.first == c.last) for c in found.inheritance.claims} == {
        (LEASE, HELD, BOOTED + 1, True)
    }


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("c1\r\neth0", Owner("c1", "eth0")),
        ("c1", Owner("c1")),  # before plugins v0.8.0
        ("  c1\r\neth0 \n", Owner("c1", "eth0")),
        ("c1\neth0", Owner("c1\neth0")),  # host-local itself does not take this for c1's
    ],
)
def test_whose_lease_it_is(path: Path, text: str, owner: Owner) -> None:
    put(path, "10.1.2.3", text)
    assert owners(path) == {"10.1.2.3": owner}


@pytest.mark.parametrize("text", ["", " ", "\r\n"])
def test_an_empty_lease_is_nobody_s(path: Path, text: str) -> None:
    """Defect D2: host-local was killed between creating the file and writing it."""
    put(path, "10.1.2.3", text)
    put(path, "10.1.2.4", "c1\r\neth0")
    found = directory.scan(str(path), 3, BOOTED)
    assert found.empty == ("10.1.2.3",)
    assert owners(path) == {"10.1.2.4": Owner("c1", "eth0")}


def test_a_lease_from_before_the_boot_is_of_an_earlier_boot(path: Path) -> None:
    put(path, "10.1.2.3", "old\r\neth0", BOOTED - 1)
    put(path, "10.1.2.4", "new\r\neth0", BOOTED + 1)
    assert [c.boot for c in directory.scan(str(path), 3, BOOTED).inheritance.claims] == [2, 3]


def test_a_cursor_is_no_lease_and_no_file_but_a_cursor_is_one(path: Path) -> None:
    """Defect D10: the container's id looks like an address."""
    put(path, "last_reserved_ip.0", "10.1.2.2")
    put(path, "10.1.2.2", "10.1.2.2\r\neth0")
    assert owners(path) == {"10.1.2.2": Owner("10.1.2.2", "eth0")}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("last_reserved_ip.x", "10.1.2.2"), ("last_reserved_ip.", "10.1.2.2"), ("last_reserved_ip.-1", "10.1.2.2"),
        ("last_reserved_ip.0", ""), ("last_reserved_ip.0", "nowhere"), ("last_reserved_ip." + "9" * 30, "10.1.2.2"),
        ("last_reserved_ip.²", "10.1.2.2"),
    ],
)  # fmt: skip
def test_a_cursor_that_makes_no_sense_is_left_out(path: Path, name: str, text: str) -> None:
    put(path, name, text)
    assert directory.scan(str(path), 3, BOOTED).inheritance.cursors == ()


def garbage(path: Path) -> None:
    """Everything that a directory may hold and host-local never puts there."""
    put(path, "notes.txt", "hello")
    put(path, "10.1.2", "c\r\neth0")
    put(path, "10.1.2.3.swp", "c\r\neth0")
    put(path, "10.1.2.9", "c9\r\neth0")
    (path / "10.1.2.4").mkdir()
    (path / "10.1.2.5").symlink_to("10.1.2.5")
    (path / "10.1.2.6").symlink_to(path / "missing")
    os.mkfifo(path / "10.1.2.7")
    (path / "10.1.2.8").write_bytes(b"\xff\xfe\x00c8\r\neth0")
    (path / os.fsdecode(b"\xff\xfe")).write_bytes(b"x")
    (path / "last_reserved_ip.1").mkdir()
    put(path, "last_reserved_ip." + "9" * 30, "10.1.2.2")


def test_garbage_is_named_and_does_no_harm(path: Path) -> None:
    garbage(path)
    found = directory.scan(str(path), 3, BOOTED)
    assert owners(path) == {"10.1.2.8": Owner("\ufffd\ufffd\x00c8", "eth0"), "10.1.2.9": Owner("c9", "eth0")}
    assert set(found.odd) >= {"notes.txt", "10.1.2", "10.1.2.3.swp", "10.1.2.4", "10.1.2.5", "10.1.2.6"}


def test_a_garbage_directory_can_be_adopted_by_a_real_ledger(path: Path) -> None:
    garbage(path)
    ledger = Ledger(SqliteStore(str(path.parent / "unipam.db")), lambda: BOOTED + 5, boot=3)
    pool = Pool(0, (PoolRange(parse_address("10.1.2.8"), parse_address("10.1.2.20"), 120),))
    allocation = ledger.allocate(
        "net", Request(Owner("new", "eth0"), (pool,)), inherit=lambda: directory.inherit(str(path), 3, BOOTED)
    )
    assert [c.text for c in allocation.claims] == ["10.1.2.10"]
    assert (path / directory.NOTE).exists()
    ledger.store.close()


def test_no_descriptor_is_left_open(path: Path) -> None:
    garbage(path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        directory.scan(str(path), 3, BOOTED)
    assert len(os.listdir("/proc/self/fd")) == before


# First contact -----------------------------------------------------------------------------------------------


def test_first_contact_happens_once_and_leaves_all_as_it_was(path: Path) -> None:
    put(path, "10.1.2.3", "c1\r\neth0")
    before = (path / "10.1.2.3").read_bytes()
    found = directory.inherit(str(path), 3, BOOTED)
    assert [c.text for c in found.claims] == ["10.1.2.3"]
    assert directory.exists(str(path))  # not before it is written down elsewhere
    assert found.adopted is not None
    found.adopted()
    assert not directory.exists(str(path))
    assert directory.inherit(str(path), 3, BOOTED).claims == ()
    assert (path / "10.1.2.3").read_bytes() == before
    assert "unipam cni uninstall --give-back" in (path / directory.NOTE).read_text()


def test_no_directory_is_nothing_to_inherit(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        assert not directory.exists(str(tmp_path / name))
        assert directory.inherit(str(tmp_path / name), 1, BOOTED).claims == ()


def test_host_local_at_work_is_waited_for_and_then_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "_TIMEOUT", 0.05)
    put(path, "10.1.2.3", "c1\r\neth0")
    with (path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreBusy, match=f"host-local's lock {path}/lock is held by another process: try again"):
            directory.inherit(str(path), 3, BOOTED)
    assert len(directory.inherit(str(path), 3, BOOTED).claims) == 1


def test_a_lock_that_cannot_be_taken_is_named(path: Path) -> None:
    (path / "lock").symlink_to(path / "missing" / "lock")
    with pytest.raises(StoreBroken, match=f"cannot read the host-local directory {path}: No such file"):
        directory.inherit(str(path), 3, BOOTED)


# Writing back ------------------------------------------------------------------------------------------------

names = st.text("abcdef0123456789-_.", min_size=1, max_size=20)
leases = st.dictionaries(
    st.integers(0, LINE_LAST) | st.integers(parse_address("10.0.0.0"), parse_address("10.0.0.9")),
    st.builds(Owner, names, st.sampled_from(("eth0", "net1", ""))),
    max_size=6,
)


def claim(address: int, owner: Owner, state: str = HELD) -> Claim:
    return Claim(1, address, address, LEASE, owner, state)


@given(leases, leases, st.dictionaries(st.integers(0, 9), st.integers(0, LINE_LAST), max_size=3))
def test_what_is_written_is_read(was: dict[int, Owner], now: dict[int, Owner], cursors: dict[int, int]) -> None:
    with tempfile.TemporaryDirectory() as parent:
        path = f"{parent}/net"
        os.mkdir(path)
        directory.write(path, [claim(a, o) for a, o in was.items()], {}, "again")
        directory.leave_note(path)
        directory.write(path, [claim(a, o) for a, o in now.items()], cursors, "again")
        found = directory.scan(path, 3, BOOTED)
        assert {c.first: c.owner for c in found.inheritance.claims} == now
        assert dict(found.inheritance.cursors) == cursors
        assert (found.empty, found.odd) == ((), ())
        assert directory.exists(path)
        assert directory.is_given_back(path)


def test_files_are_host_local_s_to_the_byte(path: Path) -> None:
    address, other = parse_address("2001:db8::2"), parse_address("10.1.2.3")
    directory.write(str(path), [claim(address, Owner("c1", "eth0")), claim(other, Owner("c2"))], {1: other}, "again")
    assert (path / "2001:db8::2").read_bytes() == b"c1\r\neth0"
    assert (path / "10.1.2.3").read_bytes() == b"c2"
    assert (path / "last_reserved_ip.1").read_bytes() == b"10.1.2.3"
    assert {n: (path / n).stat().st_mode & 0o777 for n in (format_address(address), "last_reserved_ip.1")} == {
        "2001:db8::2": 0o600, "last_reserved_ip.1": 0o600,
    }  # fmt: skip
    assert sorted(os.listdir(path)) == ["10.1.2.3", "2001:db8::2", "last_reserved_ip.1", directory.MARK]


def test_garbage_does_not_stop_the_way_back(path: Path) -> None:
    garbage(path)
    there = parse_address("10.1.2.3")
    directory.write(str(path), [claim(there, Owner("c1", "eth0"))], {0: there}, "again")
    assert owners(path) == {"10.1.2.3": Owner("c1", "eth0")}
    assert (path / "10.1.2.4").is_dir()


def test_what_cools_is_not_written_and_what_is_not_a_lease_stays(path: Path) -> None:
    put(path, "10.1.2.9", "gone\r\neth0")
    put(path, "notes.txt", "hello")
    directory.write(str(path), [claim(parse_address("10.1.2.3"), Owner("c1"), COOLING)], {}, "again")
    assert sorted(os.listdir(path)) == ["notes.txt", directory.MARK]
