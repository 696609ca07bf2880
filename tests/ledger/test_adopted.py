"""Leases of host-local's: named by the runtime's list, then judged like ours."""

from __future__ import annotations

import json

import pytest
from tests.clock import Clock

from unipam.addr.prefix import parse_address
from unipam.ledger import adopted, reads, reconcile
from unipam.ledger.change import Inheritance
from unipam.ledger.ledger import Ledger
from unipam.ledger.reconcile import STARTING, Listed, Observed, Runtime
from unipam.model import facts
from unipam.model.records import LEASE, Claim, Owner, Pool, PoolRange, Request
from unipam.store.memory import MemoryStore

NET = parse_address("10.0.0.0")
STARTED = 900_000.0
"""When the machine was, in seconds since the epoch; the files are 1,000 s younger."""
FILED = STARTED + 1000.0
LIST = {"living": Listed("shop/web", "uid-1", FILED - 2)}


def runtime(asked: float = 50_000.0, began: float = 0.0, **sandboxes: Listed) -> Runtime:
    return Runtime(sandboxes, asked, began)


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    """A ledger with two adopted leases, and its network's neighbour with another."""
    made = Ledger(MemoryStore(), clock, boot=2)
    for network, holders in {"kubenet": ("living", "leaked"), "podman": ("strange",)}.items():
        claims = [
            Claim(0, NET + number, NET + number, LEASE, Owner(holder, "eth0"), since=FILED, boot=2)
            for number, holder in enumerate(holders, 2)
        ]
        made.adopt(network, lambda claims=claims: Inheritance(tuple(claims)))  # type: ignore[misc]
    return made


def known(ledger: Ledger) -> dict[str, dict[str, object]]:
    with ledger.store.reading() as tx:
        claims = [claim for space, _ in tx.spaces() for claim in tx.claims(space)]
    return {claim.owner.holder: facts.read(claim.details) for claim in claims}


def test_what_is_listed_gets_its_name_and_what_is_not_its_time(ledger: Ledger) -> None:
    assert adopted.identify(ledger, runtime(**LIST), STARTED) == 2
    assert known(ledger) == {
        "living": {"pod": "shop/web", "uid": "uid-1", "sandbox": 998.0},
        "leaked": {"sandbox": 1000.0},
        "strange": {},
    }, "of another runtime's network the list says nothing"
    assert [past.verb for past in reads.history(ledger, "shop/web")] == ["identify", "adopt"]


def test_nothing_new_is_not_written_again(ledger: Ledger, clock: Clock) -> None:
    adopted.identify(ledger, runtime(**LIST), STARTED)
    assert adopted.identify(ledger, runtime(**LIST), STARTED + 0.001) == 0


def test_one_that_is_listed_only_later_is_named_then(ledger: Ledger) -> None:
    adopted.identify(ledger, runtime(**LIST), STARTED)
    late = {**LIST, "leaked": Listed("shop/slow", "uid-2", FILED)}
    assert adopted.identify(ledger, runtime(**late), STARTED) == 1
    assert known(ledger)["leaked"] == {"pod": "shop/slow", "uid": "uid-2", "sandbox": 1000.0}


def test_a_network_is_the_runtimes_also_by_a_lease_of_ours(ledger: Ledger) -> None:
    assert adopted.identify(ledger, runtime(), STARTED) == 0
    pool = Pool(0, (PoolRange(NET + 1, NET + 6, 125),))
    details = json.dumps({"sandbox": 7.0, "netns": "/n"})
    ledger.allocate("kubenet", Request(Owner("ours", "eth0"), (pool,), details=details))
    assert adopted.identify(ledger, runtime(), STARTED) == 2
    assert known(ledger)["leaked"] == {"sandbox": 1000.0}
    assert known(ledger)["ours"] == {"sandbox": 7.0, "netns": "/n"}


def test_one_that_was_released_meanwhile_is_left_alone(ledger: Ledger) -> None:
    class Slow(dict[str, Listed]):
        def get(self, key: str, default: object = None) -> Listed | None:  # type: ignore[override]
            ledger.release("kubenet", Owner("living", "eth0"), "DEL")
            return super().get(key)

    assert adopted.identify(ledger, Runtime(Slow(LIST), 50_000.0), STARTED) == 1
    assert set(known(ledger)) == {"leaked", "strange"}


@pytest.mark.parametrize(
    ("asked", "began", "gone"),
    [
        (1000.0 + STARTING, 0.0, set()),
        (1001.0 + STARTING, 0.0, {"leaked"}),
        (1010.0, 1000.0, set()),
        (1010.0, 1000.5, {"leaked"}),
    ],
)
def test_what_host_local_had_leaked_goes_after_two_looks(
    ledger: Ledger, asked: float, began: float, gone: set[str]
) -> None:
    told = runtime(asked, began, **LIST)
    seen: dict[tuple[int, int, int], str] = {}
    released: list[reconcile.Suspect] = []
    for _ in range(2):
        adopted.identify(ledger, told, STARTED)
        seen, released = reconcile.reclaim(ledger, Observed(2, {}.get, told), seen)
    assert {suspect.claim.owner.holder for suspect in released} == gone


def test_what_a_process_still_uses_stays(ledger: Ledger) -> None:
    told = runtime(began=2000.0, **LIST)
    adopted.identify(ledger, told, STARTED)
    observed = Observed(2, {}.get, told, addresses=lambda: frozenset({NET + 3}))
    (suspect,) = reconcile.suspects(ledger, observed, "doubt")[:1]
    assert suspect.reason == "the container runtime knows no such sandbox, but a process has its address"
    assert reconcile.suspects(ledger, observed, "gone") == []
