"""unipam's own ledger as a source: made by the real engine, read without a trace."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from unipam.addr.prefix import parse_address
from unipam.diagnose import diagnose
from unipam.ledger import shortage
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Exhausted
from unipam.model.pool_notes import describe
from unipam.model.records import Owner, Pool, PoolRange, Request
from unipam.store.sqlite import SqliteStore

FIRST = parse_address("10.9.0.2")
POOL = Pool(0, (PoolRange(FIRST, FIRST + 9, 120, FIRST + 9),))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "unipam.db"
    moments = iter(float(moment) for moment in range(1_700_000_000, 1_800_000_000, 60))
    store = SqliteStore(str(path))
    ledger = Ledger(store, lambda: next(moments))
    for name in ("aaaa", "bbbb"):
        ledger.allocate("kubenet", Request(Owner(name, "eth0"), (POOL,)))
    ledger.release("kubenet", Owner("aaaa", "eth0"), "DEL")
    store.close()
    return path


def test_holders_and_history_are_told(path: Path) -> None:
    report = diagnose([path])
    assert not report.findings
    (pool,) = report.pools
    assert [(holder.address, holder.owner) for holder in pool.holders] == [("10.9.0.3", "bbbb/eth0")]
    assert pool.in_use == 1
    acts = {track.subject: [event.verb for event in track.events] for track in report.timeline}
    assert acts == {"10.9.0.2": ["given", "released"], "10.9.0.3": ["given"]}


def test_pods_are_named_and_refusals_are_told(path: Path) -> None:
    store = SqliteStore(str(path))
    ledger = Ledger(store, lambda: 1_800_000_000.0)
    named = Request(Owner("cccc", "eth0"), (POOL,), details='{"pod":"shop/web"}')
    ledger.allocate("kubenet", named)
    refused = named._replace(owner=Owner("dddd", "eth0"), details='{"pod":"shop/db"}')
    shortage.record(ledger, "kubenet", refused, Exhausted("nothing left", details="10 of 10 held"))
    store.close()
    report = diagnose([path])
    assert ("cccc/eth0", "shop/web") in {(holder.owner, holder.pod) for holder in report.pools[0].holders}
    (event,) = next(track.events for track in report.timeline if track.subject == "dddd")
    assert (event.verb, event.pod, event.detail) == ("refused", "shop/db", "nothing left; 10 of 10 held")
    assert [found.title for found in report.findings] == ["unipam had no free address in network kubenet for a time"]


def fill(path: Path, count: int) -> None:
    """Have `count` pods ask for an address of a pool of nine: whoever comes last is refused, as by the real ADD."""
    store = SqliteStore(str(path))
    moments = iter(float(moment) for moment in range(1_800_000_000, 1_900_000_000, 60))
    ledger = Ledger(store, lambda: next(moments))
    for number in range(count):
        request = Request(Owner(f"{number + 1:064x}"[::-1], "eth0"), (POOL,), details=f'{{"pod":"shop/web-{number}"}}')
        try:
            ledger.allocate("kubenet", request, pools=describe((POOL,)))
        except Exhausted as error:
            error.facts["details"] = f"{shortage.filling(ledger, 'kubenet', POOL)}: unipam explain kubenet"
            shortage.record(ledger, "kubenet", request, error, describe((POOL,)))
    store.close()


def test_a_full_pool_and_whom_it_refused_are_told(path: Path) -> None:
    fill(path, 11)  # one address is held, eight are free, one is the gateway: three are refused
    report = diagnose([path.parent])
    assert (report.outcome, [found.kind for found in report.findings]) == ("findings", ["unipam-full"])
    (found,) = report.findings
    assert (found.subject, found.refused, found.count) == ("kubenet", 3, 3)
    assert found.entities["pods"] == ["shop/web-8", "shop/web-9", "shop/web-10"]
    assert found.title == "unipam has no free address in network kubenet: 9 of 9 held"
    assert found.first is not None
    assert found.first.startswith("2027-01-15 08:")
    assert f"unipam explain kubenet --data-dir {path.parent}" in found.action
    (pool,) = report.pools
    assert (pool.capacity, pool.in_use, len(pool.holders)) == (9, 9, 9)


def test_a_full_pool_that_refused_nobody_yet_is_told(path: Path) -> None:
    fill(path, 8)
    (found,) = diagnose([path]).findings
    assert (found.kind, found.severity) == ("pool-full", "warning")
    assert found.title == "Pool unipam kubenet is full: 9 of 9 in use"


def test_a_pool_that_has_room_again_is_told_as_the_past(path: Path) -> None:
    fill(path, 11)
    store = SqliteStore(str(path))
    Ledger(store, lambda: 1_900_000_000.0).release("kubenet", Owner("bbbb", "eth0"), "DEL")
    store.close()
    (found,) = diagnose([path]).findings
    assert (found.kind, found.severity, found.count) == ("unipam-was-full", "warning", 3)
    assert found.title == "unipam had no free address in network kubenet for a time; 1 of 9 are free now"
    assert found.first is not None
    assert found.last is not None
    assert "2027-01-15 08:00" < found.first < found.last < "2027-01-15 09:00"


def test_sizes_are_told(path: Path) -> None:
    fill(path, 2)
    texts = [fact.text for fact in diagnose([path]).facts]
    assert "unipam's ledger, network kubenet, pool 10.9.0.2-10.9.0.11: 3 of 9 addresses held, 0 cooling." in texts


def test_each_family_of_a_dual_stack_network_has_its_own_size(path: Path) -> None:
    first = parse_address("fd00::1")
    second = Pool(1, (PoolRange(first, first + 99, 120, None),))
    store = SqliteStore(str(path))
    request = Request(Owner("cccc", "eth0"), (POOL, second))
    Ledger(store, lambda: 1_800_000_000.0).allocate("kubenet", request, pools=describe((POOL, second)))
    store.close()
    pools = {pool.name: (pool.in_use, pool.capacity, len(pool.holders)) for pool in diagnose([path]).pools}
    assert pools == {
        "unipam kubenet 10.9.0.2-10.9.0.11": (2, 9, 2),
        "unipam kubenet fd00::1-fd00::64": (1, 100, 1),
    }


def test_another_version_s_ledger_is_said_not_to_be_read(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    report = diagnose([path])
    (found,) = report.findings
    assert (report.outcome, found.kind, found.severity) == ("findings", "ledger-unread", "warning")
    assert "schema version 7" in found.title


def test_nothing_is_left_beside_a_ledger_at_rest(path: Path) -> None:
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    diagnose([path.parent])
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == before


def test_what_only_the_write_ahead_log_holds_is_read(path: Path) -> None:
    holder = sqlite3.connect(path)  # someone else has it open, so that the log is not folded back
    holder.execute("SELECT count(*) FROM claim").fetchone()
    store = SqliteStore(str(path))
    Ledger(store, lambda: 1_800_000_000.0).allocate("kubenet", Request(Owner("cccc", "eth0"), (POOL,)))
    store.close()
    assert path.with_name("unipam.db-wal").stat().st_size > 0
    assert "cccc/eth0" in {holder.owner for holder in diagnose([path.parent]).pools[0].holders}
    holder.close()


def test_a_damaged_ledger_is_a_finding(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    assert [found.kind for found in diagnose([path]).findings] == ["ledger-damaged"]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE claim (id)")
    connection.close()
    report = diagnose([path])
    assert not report.findings
    assert "another program's" in report.facts[0].text
