"""Where ledgers are: one per directory, real files, replaced and removed beneath us, numbered by boots."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from unipam.addr.prefix import parse_address
from unipam.ledger import open as module
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import FILE, Ledgers, locate
from unipam.model.errors import BadConfig, StoreBroken, StoreBusy
from unipam.model.records import Owner, Pool, PoolRange, Request

POOL = Pool(0, (PoolRange(parse_address("10.0.0.1"), parse_address("10.0.0.9"), 120),))


@pytest.fixture
def ledgers() -> Iterator[Ledgers]:
    made = Ledgers(timeout=0.5)
    yield made
    made.close_all()


def add(ledger: Ledger, name: str) -> str:
    return ledger.allocate("net", Request(Owner(name), (POOL,))).claims[0].text


def test_a_directory_s_ledger_is_made_once_for_its_owner_alone(ledgers: Ledgers, tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    ledger = ledgers.at(str(directory))
    assert ledgers.at(str(directory)) is ledger
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / FILE).stat().st_mode & 0o777 == 0o600
    assert list(ledgers.directories) == [str(directory)]


def test_looking_for_a_ledger_makes_none(ledgers: Ledgers, tmp_path: Path) -> None:
    assert ledgers.find(str(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []
    made = ledgers.at(str(tmp_path))
    assert ledgers.find(str(tmp_path)) is made


@pytest.mark.parametrize("replaced", [False, True])
def test_a_ledger_that_was_deleted_or_replaced_is_let_go_of(ledgers: Ledgers, tmp_path: Path, replaced: bool) -> None:
    directory, aside = tmp_path / "here", tmp_path / "aside"
    assert add(ledgers.at(str(directory)), "a") == "10.0.0.1"
    if replaced:
        others = Ledgers()
        assert add(others.at(str(aside)), "b") == "10.0.0.1"
        assert add(others.at(str(aside)), "c") == "10.0.0.2"
        others.close_all()
        os.replace(aside / FILE, directory / FILE)
    else:
        (directory / FILE).unlink()
    for rest in ("-wal", "-shm"):
        (directory / f"{FILE}{rest}").unlink(missing_ok=True)
    assert add(ledgers.at(str(directory)), "d") == ("10.0.0.3" if replaced else "10.0.0.1")


@pytest.mark.parametrize("settled", [False, True])
def test_a_ledger_that_was_emptied_is_damaged_for_everybody(ledgers: Ledgers, tmp_path: Path, settled: bool) -> None:
    ledger = ledgers.at(str(tmp_path))
    add(ledger, "a")
    if settled:
        ledger.store.settle()
        add(ledger, "b")
    os.truncate(tmp_path / FILE, 0)
    for each in (ledgers, Ledgers(timeout=0.1), ledgers):
        with pytest.raises(StoreBroken, match=r"damaged \(the file is empty.*move the file away"):
            each.at(str(tmp_path))
    assert (tmp_path / f"{FILE}-wal").stat().st_size > 0, "what is left of it is kept"
    for file in tmp_path.glob(f"{FILE}*"):
        file.rename(tmp_path / f"away-{file.name}")
    assert add(ledgers.at(str(tmp_path)), "c") == "10.0.0.1"


def test_a_ledger_that_others_could_replace_is_refused(ledgers: Ledgers, tmp_path: Path) -> None:
    directory = tmp_path / "open" / "networks"
    directory.mkdir(parents=True)

    def refused(place: Path, why: str) -> None:
        with pytest.raises(StoreBroken, match=f"^{place} {why}, who could change the ledger: ch.*{place}, or name"):
            ledgers.at(str(directory))
        assert not (directory / FILE).exists() or place == directory / FILE

    for mode in (0o777, 0o1777, 0o707):
        directory.chmod(mode)
        refused(directory, rf"may be written by others \(mode {mode:04o}\)")
    directory.chmod(0o755)
    directory.parent.chmod(0o777)
    refused(directory.parent, r"may be written by others \(mode 0777\)")
    directory.parent.chmod(0o1777)
    add(ledgers.at(str(directory)), "a")
    ledgers.close_all()
    (directory / FILE).chmod(0o666)
    refused(directory / FILE, r"may be written by others \(mode 0666\)")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_ledger_of_somebody_else_is_refused(ledgers: Ledgers, tmp_path: Path) -> None:
    directory = tmp_path / "networks"
    add(ledgers.at(str(directory)), "a")
    ledgers.close_all()
    for place in (directory, directory / FILE):
        os.chown(place, 65534, 0)
        with pytest.raises(StoreBroken, match=rf"^{place} belongs to user 65534, .*chown 0 {place}"):
            ledgers.at(str(directory))
        os.chown(place, 0, 0)
    os.chown(directory, 0, 65534)
    directory.chmod(0o770)
    with pytest.raises(StoreBroken, match=r"may be written by others \(mode 0770\)"):
        ledgers.at(str(directory))
    os.chown(directory, 0, 0)
    assert add(ledgers.at(str(directory)), "b") == "10.0.0.2"


def test_a_file_in_the_directory_s_place_is_named(ledgers: Ledgers, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreBroken, match=f"mkdir {tmp_path}/file: file exists") as refusal:
        ledgers.at(str(tmp_path / "file"))
    assert refusal.value.facts["path"] == f"{tmp_path}/file/{FILE}"
    with pytest.raises(StoreBroken, match="not a directory"):
        ledgers.at(str(tmp_path / "file" / "below"))


def test_patience_is_the_store_s(tmp_path: Path) -> None:
    one, other = Ledgers(timeout=0.0), Ledgers(timeout=3.0)
    assert (one.patient, other.patient) == (False, True)
    held, asking = other.at(str(tmp_path)), one.at(str(tmp_path))
    with held.store.transaction(), pytest.raises(StoreBusy):
        add(asking, "a")
    assert add(asking, "a") == "10.0.0.1"
    one.close_all()
    other.close_all()


def test_boots_are_numbered_in_the_order_in_which_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = []
    for boot in ("first", "first", "second", "third", "third"):
        monkeypatch.setattr(module, "boot_id", lambda boot=boot: boot)
        ledgers = Ledgers()
        numbers.append(ledgers.at(str(tmp_path)).boot)
        ledgers.close_all()
    assert numbers == [2, 2, 3, 4, 4], "what is adopted may stem from a boot before the first"


def test_of_many_ledgers_the_one_opened_first_is_let_go_of_and_comes_back(
    ledgers: Ledgers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 2)
    first = ledgers.at(f"{tmp_path}/0")
    add(first, "a")
    second = ledgers.at(f"{tmp_path}/1")
    ledgers.at(f"{tmp_path}/2")
    assert ledgers.at(f"{tmp_path}/1") is second
    assert ledgers.at(f"{tmp_path}/0") is not first
    assert add(ledgers.at(f"{tmp_path}/0"), "b") == "10.0.0.2"
    assert list(ledgers.directories) == [f"{tmp_path}/{n}" for n in range(3)]


def test_this_boot_is_the_kernel_s() -> None:
    assert module.boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert 0 < module.started() < module.started() + module.uptime()


def test_a_ledger_that_cannot_be_used_is_not_kept_open(ledgers: Ledgers, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no ledger at all" * 100)
    for _ in range(2):
        with pytest.raises(StoreBroken, match="damaged"):
            ledgers.at(str(tmp_path))
    assert list(ledgers.directories) == []
    (tmp_path / FILE).unlink()
    assert add(ledgers.at(str(tmp_path)), "a") == "10.0.0.1"


def test_what_is_done_together_is_committed_in_every_ledger(ledgers: Ledgers, tmp_path: Path) -> None:
    others = Ledgers(timeout=0.1)
    with ledgers.together():
        found = [add(ledgers.at(f"{tmp_path}/{n % 2}"), f"c{n}") for n in range(4)]
        assert found == ["10.0.0.1", "10.0.0.1", "10.0.0.2", "10.0.0.2"]
        with pytest.raises(StoreBusy):
            others.at(f"{tmp_path}/0").release("net", Owner("c0"), "test")
    assert [c.text for c in others.at(f"{tmp_path}/0").release("net", Owner("c0"), "test")] == ["10.0.0.1"]
    assert add(ledgers.at(f"{tmp_path}/1"), "c5") == "10.0.0.3"
    others.close_all()


def test_a_ledger_replaced_in_the_middle_makes_nothing_of_what_was_done_together(
    ledgers: Ledgers, tmp_path: Path
) -> None:
    add(ledgers.at(str(tmp_path)), "before")

    def lose() -> None:
        with ledgers.together():
            add(ledgers.at(str(tmp_path)), "lost")
            for left in tmp_path.iterdir():
                left.unlink()
            assert add(ledgers.at(str(tmp_path)), "kept") == "10.0.0.1"

    with pytest.raises(StoreBroken):
        lose()
    assert add(ledgers.at(str(tmp_path)), "after") == "10.0.0.2"


@pytest.mark.parametrize(
    ("data_dir", "cwd", "place"),
    [("/var/lib/x", "", "/var/lib/x"), ("x/../y", "/run/cni", "/run/cni/y"), (".", "/run", "/run")],
)
def test_a_directory_is_where_its_caller_means_it(data_dir: str, cwd: str, place: str) -> None:
    assert locate(data_dir, cwd) == place


@pytest.mark.parametrize(("data_dir", "cwd", "why"), [("x", "", "is gone"), ("/a\0b", "/", "NUL character")])
def test_a_directory_that_nobody_can_tell_is_refused(data_dir: str, cwd: str, why: str) -> None:
    with pytest.raises(BadConfig, match=why):
        locate(data_dir, cwd)
