"""The table of cases, and two observations before anything is freed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest

from unipam.addr.prefix import parse_address
from unipam.ledger import reconcile
from unipam.ledger.change import Inheritance
from unipam.ledger.ledger import Ledger
from unipam.ledger.reconcile import HIDDEN, STARTING, Listed, Observed, Runtime, judge, reclaim
from unipam.model.records import LEASE, Claim, Owner
from unipam.store.memory import MemoryStore

A = parse_address("10.0.0.2")
THERE = {"/run/netns/a": 7}


def lease(boot: int = 2, holder: str = "c1", **facts: object) -> Claim:
    details = json.dumps(facts) if facts else ""
    return Claim(0, A, A, LEASE, Owner(holder, "eth0"), since=100.0, boot=boot, details=details)


def sandbox(**facts: object) -> Claim:
    """A CRI sandbox's, asked for at 100 s."""
    return lease(**{"pod": "d/p", "sandbox": 100.0, "netns": "/run/netns/a", "inode": 7, **facts})


def observed(boot: int = 2) -> Observed:
    return Observed(boot, THERE.get)


def told(
    *sandboxes: str,
    asked: float = 200.0,
    began: float = 0.0,
    inhabited: tuple[int, ...] = (),
    used: tuple[int, ...] = (),
) -> Observed:
    """The runtime was asked."""
    runtime = Runtime(dict.fromkeys(sandboxes, Listed("d/p", "u", 0.0)), asked, began)
    return Observed(2, THERE.get, runtime, lambda: frozenset(inhabited), lambda: frozenset(used))


def using(*addresses: int) -> Observed:
    """The runtime was not asked; processes have these addresses."""
    return Observed(2, THERE.get, addresses=lambda: frozenset(addresses))


@pytest.mark.parametrize(
    ("claim", "seen", "state"),
    [
        (lease(boot=1, netns="/run/netns/a", inode=7), observed(), "gone"),
        (lease(netns="/run/netns/b", inode=7), observed(), "gone"),
        (lease(netns="/run/netns/a", inode=8), observed(), "gone"),
        (lease(netns="/run/netns/a", inode=7), observed(), "alive"),
        (lease(netns="/run/netns/b"), observed(), "doubt"),
        (lease(), observed(), "doubt"),
        (lease(boot=0), observed(), "doubt"),
        (sandbox(), observed(), "alive"),
        (sandbox(), told("c1", asked=9000.0), "alive"),
        (sandbox(), told("c2", asked=9000.0), "gone"),
        (sandbox(), told(asked=101.0 + STARTING), "gone"),
        (sandbox(), told(asked=100.0 + STARTING), "alive"),
        (sandbox(), told(asked=50.0), "alive"),
        (sandbox(), told(began=100.5), "gone"),
        (sandbox(), told("c1", began=100.5), "alive"),
        (sandbox(), told(began=99.5), "alive"),
        (sandbox()._replace(since=-1e6), told(began=99.5), "alive"),
        (sandbox(), told(began=100.5, inhabited=(8,)), "gone"),
        (sandbox(), told(began=100.5, inhabited=(7, 8)), "doubt"),
        (sandbox(), told(began=100.5, inhabited=(8, HIDDEN)), "doubt"),
        (sandbox(netns="/proc/1/ns/net", inode=None), told(began=100.5, inhabited=(7,)), "gone"),
        (lease(sandbox=100.0), told(began=100.5), "gone"),
        (lease(sandbox=100.0), told(began=100.5, used=(A + 1,)), "gone"),
        (lease(sandbox=100.0), told(began=100.5, used=(A,)), "doubt"),
        (lease(sandbox=100.0), told("c1", began=100.5), "alive"),
        (lease(sandbox=100.0), using(A), "alive"),
        (lease(sandbox=100.0), using(A + 1), "doubt"),
        (lease(), using(A), "alive"),
        (lease(boot=1), using(A), "gone"),
        (lease(netns="/run/netns/b", inode=7), using(A), "doubt"),
        (lease(netns="/run/netns/b", inode=7), using(A + 1), "gone"),
        (lease(netns="/run/netns/a", inode=8), using(A), "doubt"),
        (lease(pod="/podman", netns="/run/netns/a", inode=7), told(asked=9000.0, began=100.5), "alive"),
    ],
)
def test_each_case_has_its_verdict(claim: Claim, seen: Observed, state: str) -> None:
    assert judge(claim, seen).state == state


@pytest.mark.parametrize("details", ["", "{", "[1]", '"x"', "null"])
def test_details_of_any_kind_are_no_reason_to_free(details: str) -> None:
    assert judge(lease()._replace(details=details), observed()).state == "doubt"


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
    seen, released = reclaim(ledger, observed(), {})
    assert (len(seen), released, held(ledger)) == (1, [], [A, A + 1])
    seen, released = reclaim(ledger, observed(), seen)
    assert (seen, [s.claim.first for s in released], held(ledger)) == ({}, [A], [A + 1])
    with ledger.store.reading() as tx:
        entry = tx.journal(limit=1)[0]
    assert (entry.verb, entry.actor, "is gone" in entry.reason) == ("release", "sweep", True)


def test_a_namespace_that_comes_back_is_spared(ledger: Ledger) -> None:
    seen, _ = reclaim(ledger, observed(), {})
    back = Observed(2, {**THERE, "/run/netns/b": 7}.get)
    assert reclaim(ledger, back, seen) == ({}, [])
    assert held(ledger) == [A, A + 1]


def test_an_address_that_a_process_has_is_not_freed_where_its_namespace_does_not_show(ledger: Ledger) -> None:
    """As in a container that sees the host's processes, but not the place where the runtime keeps namespaces."""
    seen, _ = reclaim(ledger, observed(), {})
    assert reclaim(ledger, using(A), seen) == ({}, [])
    assert held(ledger) == [A, A + 1]


def test_an_address_that_changed_hands_begins_anew(ledger: Ledger) -> None:
    seen, _ = reclaim(ledger, observed(), {})
    with ledger.store.transaction() as tx:
        claim = tx.claim_at(tx.space("n") or 0, A)
        assert claim
        tx.update(claim._replace(generation=claim.generation + 100))
    again, released = reclaim(ledger, observed(), seen)
    assert (released, len(again), held(ledger)) == ([], 1, [A, A + 1])


def test_what_may_not_be_looked_at_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(reconcile.os, "stat", refuse)
    hidden = Observed(2, reconcile.inode, Runtime({}, 9000.0))
    assert judge(lease(netns="/proc/1/ns/net", inode=7), hidden).state == "doubt"


def test_a_path_with_a_null_byte_leads_nowhere() -> None:
    assert reconcile.inode("a\0b") is None


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The inode of a network namespace that a process is in, and it alone."""
    if os.getuid() or not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("a network namespace takes root and util-linux")
    with subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; read forever"], stdin=-1, stdout=-1) as process:
        assert process.stdout
        process.stdout.readline()
        yield os.stat(f"/proc/{process.pid}/ns/net").st_ino
        process.kill()


def test_a_namespace_is_inhabited_as_long_as_somebody_is_in_it(elsewhere: int) -> None:
    ours = os.stat("/proc/self/ns/net").st_ino
    assert {ours, elsewhere} <= reconcile.inhabited()
    assert HIDDEN not in reconcile.inhabited()


def test_who_may_not_trace_sees_that_somebody_is_elsewhere(elsewhere: int) -> None:
    command = "from unipam.ledger.reconcile import HIDDEN, inhabited; print(HIDDEN in inhabited())"
    nobody = ["setpriv", "--reuid=nobody", "--clear-groups"]
    if subprocess.run([*nobody, sys.executable, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("nobody may not run this Python, which lies in somebody's home")
    told = subprocess.run([*nobody, sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert told.stdout == "True\n"
