"""The table of cases, and two observations before anything is freed."""

from __future__ import annotations

import json

import pytest

from unipam.addr.prefix import parse_address
from unipam.model.records import LEASE, Claim, Owner
from unipam.service import reconcile
from unipam.service.change import Inheritance
from unipam.service.ledger import Ledger
from unipam.service.reconcile import STARTING, World, judge, reclaim
from unipam.store.memory import MemoryStore

A = parse_address("10.0.0.2")
THERE = {"/run/netns/a": 7}


def lease(boot: int = 2, holder: str = "c1", **facts: object) -> Claim:
    details = json.dumps(facts) if facts else ""
    return Claim(0, A, A, LEASE, Owner(holder, "eth0"), since=100.0, boot=boot, details=details)


def sandbox() -> Claim:
    return lease(pod="d/p", sandbox=True, netns="/run/netns/a", inode=7)


def world(boot: int = 2, sandboxes: set[str] | None = None, asked: float = 200.0) -> World:
    return World(boot, THERE.get, None if sandboxes is None else frozenset(sandboxes), asked)


@pytest.mark.parametrize(
    ("claim", "seen", "state"),
    [
        (lease(boot=1, netns="/run/netns/a", inode=7), world(), "gone"),
        (lease(netns="/run/netns/b", inode=7), world(), "gone"),
        (lease(netns="/run/netns/a", inode=8), world(), "gone"),
        (lease(netns="/run/netns/a", inode=7), world(), "alive"),
        (lease(netns="/run/netns/b"), world(), "doubt"),
        (lease(), world(), "doubt"),
        (lease(boot=0), world(), "doubt"),
        (sandbox(), world(asked=1000.0), "alive"),
        (sandbox(), world(sandboxes={"c1"}, asked=1000.0), "alive"),
        (sandbox(), world(sandboxes=set(), asked=1000.0), "gone"),
        (sandbox(), world(sandboxes=set(), asked=100.0 + STARTING), "alive"),
        (sandbox(), world(sandboxes=set(), asked=50.0), "alive"),
        (lease(pod="/podman", netns="/run/netns/a", inode=7), world(sandboxes=set(), asked=1000.0), "alive"),
    ],
)
def test_each_case_has_its_verdict(claim: Claim, seen: World, state: str) -> None:
    assert judge(claim, seen).state == state


@pytest.mark.parametrize("details", ["", "{", "[1]", '"x"', "null"])
def test_details_of_any_kind_are_no_reason_to_free(details: str) -> None:
    assert judge(lease()._replace(details=details), world()).state == "doubt"


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger(MemoryStore(), lambda: 1000.0, boot=2)
    claims = (
        lease(netns="/run/netns/b", inode=7),
        lease(netns="/run/netns/a", inode=7)._replace(first=A + 1, last=A + 1),
    )
    made.adopt("n", lambda: Inheritance(claims))
    return made


def held(ledger: Ledger) -> list[int]:
    with ledger.store.reading() as tx:
        return [claim.first for claim in tx.claims(tx.space("n") or 0)]


def test_a_lease_goes_when_it_was_found_gone_twice(ledger: Ledger) -> None:
    seen, released = reclaim(ledger, world(), {})
    assert (len(seen), released, held(ledger)) == (1, [], [A, A + 1])
    seen, released = reclaim(ledger, world(), seen)
    assert (seen, [s.claim.first for s in released], held(ledger)) == ({}, [A], [A + 1])
    with ledger.store.reading() as tx:
        entry = tx.journal(limit=1)[0]
    assert (entry.verb, entry.actor, "is gone" in entry.reason) == ("release", "sweep", True)


def test_a_namespace_that_comes_back_is_spared(ledger: Ledger) -> None:
    seen, _ = reclaim(ledger, world(), {})
    back = World(2, {**THERE, "/run/netns/b": 7}.get)
    assert reclaim(ledger, back, seen) == ({}, [])
    assert held(ledger) == [A, A + 1]


def test_an_address_that_changed_hands_begins_anew(ledger: Ledger) -> None:
    seen, _ = reclaim(ledger, world(), {})
    with ledger.store.transaction() as tx:
        claim = tx.claim_at(tx.space("n") or 0, A)
        assert claim
        tx.update(claim._replace(generation=claim.generation + 100))
    again, released = reclaim(ledger, world(), seen)
    assert (released, len(again), held(ledger)) == ([], 1, [A, A + 1])


def test_what_may_not_be_looked_at_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(reconcile.os, "stat", refuse)
    hidden = World(2, reconcile.inode, frozenset(), 1000.0)
    assert judge(lease(netns="/proc/1/ns/net", inode=7), hidden).state == "doubt"


def test_a_path_with_a_null_byte_leads_nowhere() -> None:
    assert reconcile.inode("a\0b") is None
