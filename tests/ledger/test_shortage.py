"""A full pool: what is freed before anybody is refused, and what is kept of a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tests.clock import Clock

from unipam.addr.prefix import parse_address
from unipam.ledger import reads, shortage
from unipam.ledger.change import Allocation, Inheritance, nothing
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Exhausted
from unipam.model.pool_notes import describe
from unipam.model.records import LEASE, Claim, Owner, Pool, PoolRange, Request
from unipam.store.memory import MemoryStore

NET = parse_address("10.0.0.0")
POOL = Pool(0, (PoolRange(NET + 1, NET + 4, 125, NET + 1),))
"""Three addresses and a gateway."""


def request(holder: str, pod: str = "", boot: int = 2, **known: object) -> Request:
    details = json.dumps({"pod": pod, **known}) if pod or known else ""
    return Request(Owner(holder, "eth0"), (POOL,), boot=boot, details=details)


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(MemoryStore(), clock, boot=2)


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nobody waits between two looks; each wait is noted."""
    waits: list[str] = []
    monkeypatch.setattr(shortage.time, "sleep", lambda _: waits.append("waited"))
    return waits


def fill(ledger: Ledger, *asked: Request) -> None:
    for each in asked:
        ledger.allocate("net", each)


def serve(ledger: Ledger, asked: Request) -> Allocation:
    """What an ADD does."""
    attempt = partial(ledger.allocate, "net", asked)
    try:
        return attempt()
    except Exhausted:
        return shortage.relieve(ledger, "net", attempt, nothing)


def past(ledger: Ledger, what: str = "") -> list[tuple[str, str, str]]:
    return [(each.verb, each.container, each.reason) for each in reads.history(ledger, what)]


def test_what_an_earlier_boot_left_makes_room_at_once(ledger: Ledger, looks: list[str]) -> None:
    fill(ledger, *(request(f"old{number}", boot=1) for number in range(3)))
    assert serve(ledger, request("new")).claims[0].owner.holder == "new"
    assert [lease.container for lease in reads.leases(ledger)] == ["new"]
    assert past(ledger, "old0")[0] == ("release", "old0", "the machine was rebooted since; the pool was full")
    assert looks == []


def test_what_is_gone_makes_room_when_it_was_seen_twice(ledger: Ledger, looks: list[str], tmp_path: Path) -> None:
    here = tmp_path.stat().st_ino
    living = {"netns": str(tmp_path), "inode": here}
    fill(ledger, request("a", **living), request("b", netns="/gone/away", inode=7), request("c", **living))
    assert serve(ledger, request("new")).claims[0].text == "10.0.0.3"
    assert looks == ["waited"]
    assert past(ledger, "b")[0] == (
        "release",
        "b",
        "its network namespace /gone/away is gone; the pool was full",
    )


def test_one_that_is_back_at_the_second_look_stays(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").touch()
    returned = tmp_path / "returned"
    facts = {"netns": str(returned), "inode": (tmp_path / "here").stat().st_ino}
    fill(ledger, *(request(name, **facts) for name in "abc"))
    monkeypatch.setattr(shortage.time, "sleep", lambda _: (tmp_path / "here").rename(returned))
    with pytest.raises(Exhausted):
        serve(ledger, request("new"))
    assert len(reads.leases(ledger)) == 3


def test_one_whose_address_changed_hands_between_the_looks_stays(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ledger, *(request(name, netns="/gone/away", inode=7) for name in "abc"))

    def change_hands(_: float) -> None:
        for name in "abc":
            ledger.release("net", Owner(name, "eth0"), "DEL")
            fill(ledger, request(f"{name}2", netns="/gone/away", inode=7))

    monkeypatch.setattr(shortage.time, "sleep", change_hands)
    with pytest.raises(Exhausted):
        serve(ledger, request("new"))
    assert {lease.container for lease in reads.leases(ledger)} == {"a2", "b2", "c2"}


def test_nobody_waits_where_all_that_is_held_lives_or_is_in_doubt(ledger: Ledger, looks: list[str]) -> None:
    fill(ledger, *(request(name) for name in "abc"))
    with pytest.raises(Exhausted):
        serve(ledger, request("new"))
    assert (len(reads.leases(ledger)), looks) == (3, [])


def test_other_networks_keep_what_is_gone(ledger: Ledger) -> None:
    ledger.allocate("other", request("theirs", boot=1))
    fill(ledger, *(request(name, boot=1) for name in "abc"))
    serve(ledger, request("new"))
    assert {lease.container for lease in reads.leases(ledger)} == {"theirs", "new"}


def test_what_is_taken_over_full_and_dead_makes_room_too(ledger: Ledger) -> None:
    """A refusal at first contact undoes the adoption with it: without another look nothing could ever be freed."""
    dead = [Claim(0, NET + n, NET + n, LEASE, Owner(f"dead{n}"), boot=1) for n in (2, 3, 4)]

    def inherit() -> Inheritance:
        return Inheritance(tuple(dead))

    attempt: Callable[[], Allocation] = partial(ledger.allocate, "net", request("new"), inherit=inherit)
    with pytest.raises(Exhausted):
        attempt()
    assert reads.spaces(ledger) == {}
    shortage.relieve(ledger, "net", attempt, inherit)
    assert [lease.container for lease in reads.leases(ledger)] == ["new"]


# Refusals ----------------------------------------------------------------------------------------------------------


def refuse(ledger: Ledger, asked: Request) -> Exhausted:
    with pytest.raises(Exhausted) as caught:
        serve(ledger, asked)
    shortage.record(ledger, "net", asked, caught.value, describe((POOL,)))
    return caught.value


@pytest.fixture
def full(ledger: Ledger, tmp_path: Path) -> Ledger:
    """A ledger with one lease that lives and two in doubt."""
    living = {"netns": str(tmp_path), "inode": tmp_path.stat().st_ino}
    fill(ledger, request("a", **living), request("b"), request("c"))
    return ledger


def test_what_fills_a_pool_is_counted(full: Ledger) -> None:
    assert shortage.filling(full, "net", POOL) == "3 of 3 held, 2 in doubt"
    full.release("net", Owner("b", "eth0"), "DEL")
    full.release("net", Owner("c", "eth0"), "DEL")
    assert shortage.filling(full, "net", POOL) == "1 of 3 held"
    assert shortage.filling(full, "unknown", POOL) == "0 of 3 held"


def test_a_refusal_is_kept_once_a_minute_and_pod(full: Ledger, clock: Clock) -> None:
    why = "no IP addresses available in range set: 10.0.0.1-10.0.0.4"
    refuse(full, request("d1", "shop/web"))
    clock.now += 59
    refuse(full, request("d2", "shop/web"))
    refuse(full, request("e", "shop/db"))
    refuse(full, request("nameless"))
    refuse(full, request("nameless"))
    assert past(full, "shop/web") == [("refuse", "d1", why)]
    assert past(full, "shop/db") == [("refuse", "e", why)]
    assert past(full, "nameless") == [("refuse", "nameless", why)]
    clock.now += 2
    refuse(full, request("d3", "shop/web"))
    assert [holder for _, holder, _ in past(full, "shop/web")] == ["d3", "d1"]
    with full.store.reading() as tx:
        assert set(shortage.refused(tx, 1, clock.now)) == {"shop/web", "shop/db", "nameless/eth0"}


def test_a_clock_that_was_set_back_does_not_silence_anybody(full: Ledger, clock: Clock) -> None:
    refuse(full, request("d1", "shop/web"))
    clock.now -= 3600
    refuse(full, request("d2", "shop/web"))
    assert len(past(full, "shop/web")) == 2


def test_a_refusal_that_cannot_be_written_down_is_told_all_the_same(full: Ledger) -> None:
    asked = request("d", "shop/web")
    with pytest.raises(Exhausted) as caught:
        serve(full, asked)
    with full.store.transaction():
        shortage.record(full, "net", asked, caught.value)
    assert past(full, "shop/web") == []


def test_the_pools_of_a_network_that_could_never_serve_are_known(ledger: Ledger) -> None:
    claims = [Claim(0, NET + n, NET + n, LEASE, Owner(f"c{n}"), boot=2) for n in (2, 3, 4)]
    ledger.adopt("net", lambda: Inheritance(tuple(claims)))
    refuse(ledger, request("d"))
    (pool,) = reads.pools(ledger, "net")
    assert (pool.used, pool.free) == (3, 0)
