"""unipam's own ledger as a source: made by the real engine, read without a trace."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from unipam.addr.prefix import parse_address
from unipam.diagnose import diagnose
from unipam.ledger import shortage
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Exhausted
from unipam.model.records import Owner, Pool, PoolRange, Request
from unipam.store.sqlite import SqliteStore

FIRST = parse_address("10.9.0.2")
POOL = Pool(0, (PoolRange(FIRST, FIRST + 9, 120, None),))


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
    assert [found.kind for found in diagnose([path]).findings] == ["state-corrupt"]


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE claim (id)")
    connection.close()
    report = diagnose([path])
    assert not report.findings
    assert "another program's" in report.facts[0].text
