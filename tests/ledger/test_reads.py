"""Questions about a ledger, and what explain says."""

from __future__ import annotations

import json

import pytest

from unipam.addr.prefix import parse_address
from unipam.ledger import reads, reconcile
from unipam.ledger.explanation import explain
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Missing
from unipam.model.pool_notes import describe, recall
from unipam.model.records import Entry, Owner, Pool, PoolRange, Request
from unipam.store.memory import MemoryStore

NET = parse_address("10.0.0.0")
POOL = Pool(0, (PoolRange(NET + 1, NET + 6, 125, NET + 1),))
WORLD = reconcile.Observed(1, {"/ns/a": 1}.get)


class Clock:
    """A clock that the test moves."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    made = Ledger(MemoryStore(), clock, boot=1)
    for number in range(4):
        details = json.dumps({"pod": f"shop/web-{number}", "netns": "/ns/a", "inode": 1 + (number == 3)})
        request = Request(Owner(f"abc{number}", "eth0"), (POOL,), cooldown=60 * (number == 1), boot=1, details=details)
        made.allocate("net", request, pools=describe((POOL,)))
    made.release("net", Owner("abc1", "eth0"), "DEL")
    return made


def test_pools_are_recalled_as_they_were_described() -> None:
    assert recall(describe((POOL,))) == (POOL,)
    assert recall("") == ()


def test_a_pool_counts_every_address_once(ledger: Ledger) -> None:
    (pool,) = reads.pool(ledger, "net")
    assert pool == ("net", 0, "10.0.0.1-10.0.0.6", 6, 3, 1, 1, 1, "10.0.0.6")


def test_an_unknown_network_is_answered_with_those_there_are(ledger: Ledger) -> None:
    with pytest.raises(Missing, match=r"named nope .* are: net$"):
        reads.pool(ledger, "nope")


@pytest.mark.parametrize("what", ["10.0.0.2", "abc0", "shop/web-0", "web-0"])
def test_a_lease_is_found_by_address_container_and_pod(ledger: Ledger, what: str) -> None:
    ((network, claim),) = reads.find(ledger, what)
    assert (network, claim.owner.holder) == ("net", "abc0")


def test_the_beginning_of_an_id_finds_all_that_share_it(ledger: Ledger) -> None:
    assert len(reads.find(ledger, "abc")) == 4
    assert reads.find(ledger, "zzz") == []


def test_an_address_is_explained_with_its_holder_and_its_past(ledger: Ledger) -> None:
    told = explain(ledger, "10.0.0.3", WORLD)
    assert told.sentences == (
        "10.0.0.3 of net cools since 1970-01-12T13:46:40Z until 1970-01-12T13:47:40Z;"
        " abc1/eth0 (pod shop/web-1) held it last.",
    )
    assert [entry.verb for entry in told.history] == ["release", "allocate"]


def test_an_address_nobody_holds_is_placed(ledger: Ledger) -> None:
    assert "is free in pool 0 of net" in explain(ledger, "10.0.0.6", WORLD).sentences[0]
    assert "is the gateway of pool 0" in explain(ledger, "10.0.0.1", WORLD).sentences[0]
    assert "lies in no pool" in explain(ledger, "192.0.2.1", WORLD).sentences[0]


def test_a_leaked_lease_is_called_so(ledger: Ledger) -> None:
    assert (
        "It looks leaked: its network namespace /ns/a is another one now" in explain(ledger, "abc3", WORLD).sentences[0]
    )


def test_a_container_that_is_gone_says_since_when(ledger: Ledger) -> None:
    ledger.release("net", Owner("abc0", "eth0"), "DEL")
    assert explain(ledger, "abc0", WORLD).sentences == (
        "abc0/eth0 (pod shop/web-0) holds nothing; last entry 1970-01-12T13:46:40Z: release (DEL).",
    )
    assert "Nothing is recorded of zzz" in explain(ledger, "zzz", WORLD).sentences[0]


def test_a_pool_is_explained_with_what_fills_it_and_what_frees_next(ledger: Ledger) -> None:
    text = " ".join(explain(ledger, "net", WORLD).sentences)
    assert "3 used, 1 cooling, 1 reserved (gateways), 1 free; the next is 10.0.0.6" in text
    assert "Held by namespace: shop 3." in text
    assert "1 of them look leaked" in text
    assert "Next to be free: 10.0.0.3 at 1970-01-12T13:47:40Z." in text


def test_more_namespaces_than_are_named_are_counted(clock: Clock) -> None:
    ledger, pool = Ledger(MemoryStore(), clock, boot=1), Pool(0, (PoolRange(NET + 1, NET + 20, 96, NET + 1),))
    for number in range(8):
        details = json.dumps({"pod": f"space-{number}/web"})
        ledger.allocate("net", Request(Owner(f"c{number}", "eth0"), (pool,), boot=1, details=details))
    text = " ".join(explain(ledger, "net", WORLD).sentences)
    assert "space-4 1, and 3 namespaces more." in text


# The past by a pod's name ------------------------------------------------------------------------------------------


def had(ledger: Ledger, what: str) -> list[tuple[str, str, str]]:
    """What happened, when and to which container."""
    return [(past.verb, past.container, past.pod) for past in reads.history(ledger, what)]


@pytest.mark.parametrize("what", ["shop/web-0", "web-0"])
def test_a_pod_that_is_gone_is_found_by_its_name(ledger: Ledger, what: str) -> None:
    ledger.release("net", Owner("abc0", "eth0"), "DEL")
    assert had(ledger, what) == [("release", "abc0", "shop/web-0"), ("allocate", "abc0", "shop/web-0")]
    (told,) = explain(ledger, what, WORLD).sentences
    assert told == "abc0/eth0 (pod shop/web-0) holds nothing; last entry 1970-01-12T13:46:40Z: release (DEL)."


def test_a_pod_is_not_one_whose_name_only_looks_like_it(ledger: Ledger) -> None:
    details = json.dumps({"pod": "shop/my-web-0", "netns": "/x/web-0"})
    ledger.allocate("net", Request(Owner("other", "eth0"), (POOL,), details=details))
    assert {container for _, container, _ in had(ledger, "web-0")} == {"abc0"}
    assert had(ledger, "eb-0") == had(ledger, "op/web-0") == []


def test_every_entry_about_an_address_names_the_pod(ledger: Ledger, clock: Clock) -> None:
    clock.now += 61
    again = Request(Owner("abc2", "eth0"), (POOL,), again=True, call="k")
    ledger.undo(ledger.allocate("net", again), "unheard")
    ledger.end_cooldowns()
    assert had(ledger, "10.0.0.4") == [(verb, "abc2", "shop/web-2") for verb in ("repeat", "allocate")]
    assert had(ledger, "10.0.0.3") == [(verb, "abc1", "shop/web-1") for verb in ("thaw", "release", "allocate")]


def test_an_entry_names_the_pod_also_when_the_hand_out_is_forgotten(ledger: Ledger, clock: Clock) -> None:
    clock.now += 100
    ledger.release("net", Owner("abc0", "eth0"), "DEL")
    ledger.forget(clock.now - 1, 0)
    assert had(ledger, "shop/web-0") == [("release", "abc0", "shop/web-0")]


def test_entries_from_before_pods_were_kept_are_named_by_the_container(ledger: Ledger) -> None:
    owner = Owner("abc0", "eth0")
    with ledger.store.transaction() as tx:
        tx.record(Entry(1.0, "release", 1, NET + 2, NET + 2, owner, 2, "", "DEL"))
        tx.record(Entry(2.0, "release", 1, NET + 2, NET + 2, Owner("nobody's"), 2, "", "DEL"))
    assert had(ledger, "shop/web-0")[0] == ("release", "abc0", "shop/web-0")
    assert had(ledger, "10.0.0.2")[:2] == [("release", "nobody's", ""), ("release", "abc0", "shop/web-0")]
    assert "Before that abc0/eth0 (pod shop/web-0) held it" in " ".join(explain(ledger, "10.0.0.2", WORLD).sentences)
