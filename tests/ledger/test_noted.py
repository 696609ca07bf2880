"""What is decided on elsewhere is noted as it happened, whatever the ledger knew before."""

from __future__ import annotations

from pathlib import Path

from unipam.addr.prefix import parse_address
from unipam.ledger import reads, reconcile
from unipam.ledger.ledger import Ledger
from unipam.ledger.noted import Gained, Lost, note
from unipam.ledger.open import Ledgers
from unipam.model import facts
from unipam.model.records import COOLING, HELD, Owner

A, B = parse_address("10.0.0.1"), parse_address("10.0.0.2")


def ledger(path: Path) -> Ledger:
    return Ledgers().at(str(path))


def held(of: Ledger) -> list[tuple[str, str, str]]:
    return [(each.address, each.container, each.state) for each in reads.leases(of)]


def test_gained_and_lost(tmp_path: Path) -> None:
    of = ledger(tmp_path)
    note(of, "net", [Gained(Owner("c1", "eth0"), (A, B), 30), Lost((A,), "DEL")])
    assert held(of) == [("10.0.0.1", "c1", COOLING), ("10.0.0.2", "c1", HELD)]
    assert [each.verb for each in reads.history(of, "10.0.0.1", 10)] == ["release", "allocate"]
    of.store.close()


def test_what_the_ledger_missed(tmp_path: Path) -> None:
    """A release that nobody noted; an address that cools here and was handed out; one of which nothing is known."""
    of = ledger(tmp_path)
    note(of, "net", [Gained(Owner("c1"), (A,)), Gained(Owner("c2"), (A,))])
    assert held(of) == [("10.0.0.1", "c2", HELD)]
    past = [(each.verb, each.container) for each in reads.history(of, "10.0.0.1", 10)]
    assert past == [("allocate", "c2"), ("release", "c1"), ("allocate", "c1")]
    note(of, "net", [Gained(Owner("c3"), (B,), 30), Lost((B,), "DEL"), Gained(Owner("c4"), (B,))])
    assert held(of)[1] == ("10.0.0.2", "c4", HELD)
    note(of, "net", [Lost((A, B), "DEL"), Lost((A, B), "DEL")])
    assert held(of) == []
    of.store.close()


def test_what_is_noted_twice_happened_once(tmp_path: Path) -> None:
    of = ledger(tmp_path)
    note(of, "net", [Gained(Owner("c1"), (A,)), Gained(Owner("c1"), (A,))])
    assert len(reads.history(of, "10.0.0.1", 10)) == 1
    of.store.close()


def test_an_end_that_nobody_noted_shows_as_any_other(tmp_path: Path) -> None:
    """The DEL was another program's, or a cold call's: the container's namespace is gone."""
    of, netns = ledger(tmp_path), tmp_path / "netns"
    netns.touch()
    seen = facts.write({"pod": "default/web", "netns": str(netns), "inode": netns.stat().st_ino})
    note(of, "net", [Gained(Owner("c1"), (A,), 0, seen), Gained(Owner("c2"), (B,))])
    before: dict[tuple[int, int, int], str] = {}
    for gone in (False, True, True):
        if gone:
            netns.unlink(missing_ok=True)
        before, _ = reconcile.reclaim(of, reconcile.observe(of.boot), before)
    assert held(of) == [("10.0.0.2", "c2", HELD)]
    assert reads.history(of, "10.0.0.1", 10)[0].reason == f"its network namespace {netns} is gone"
    of.store.close()


def test_what_was_noted_ends_with_the_boot(tmp_path: Path) -> None:
    of = ledger(tmp_path)
    note(of, "net", [Gained(Owner("c1"), (A,))])
    (gone,) = reconcile.suspects(of, reconcile.observe(of.boot + 1), "gone")
    assert gone.reason == "the machine was rebooted since"
    of.store.close()
