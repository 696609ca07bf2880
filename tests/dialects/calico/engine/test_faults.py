"""Bad days: others are faster, answers are lost, the datastore is away, time is over; at every write of every verb.

Whatever happens, an address that was answered is held, one that was not can be released by its handle, and counts are
never too low (AC-14).
"""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest
from tests.dialects.calico.cluster import Cluster, cidr, texts

from unipam.addr.prefix import parse_address
from unipam.dialects.calico.datastore.api import Item, Update, Write
from unipam.dialects.calico.datastore.document import encode
from unipam.dialects.calico.datastore.keys import AffinityKey, BlockKey, HandleKey
from unipam.dialects.calico.datastore.memory import Fault, MemoryDatastore
from unipam.dialects.calico.documents.affinity import PENDING
from unipam.dialects.calico.engine import claiming, releasing
from unipam.dialects.calico.engine.session import Owner
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import NotFound, Refused, Stale, Unanswered, UnipamError

KINDS: tuple[Fault, ...] = ("conflict", "lost", "unmade", "away")
WRITES = range(6)
"""No verb here writes more often."""


class Broken:
    """Lets one write go wrong, and remembers whether it came to that."""

    def __init__(self, number: int, kind: Fault) -> None:
        self.left, self.kind, self.met = number, kind, False

    def __call__(self, call: object, about: object) -> Fault | None:
        if call != "write" or self.met:
            return None
        self.left -= 1
        if self.left >= 0:
            return None
        self.met = True
        return self.kind


def check(cluster: Cluster) -> None:
    """Counts are never too low, and on a datastore that writes several objects at once never wrong."""
    counted, held = cluster.handles(), cluster.recounted()
    for handle, blocks in held.items():
        for place, number in blocks.items():
            assert counted[handle][place] >= number, (handle, place)
    if cluster.store.transactional:
        assert counted == held
    for place, block in cluster.blocks().items():
        assert block.affinity is None or (block.affinity, place) in cluster.affinities()


def sweep(cluster: Cluster, handle: str) -> None:
    """Release a handle as a runtime does after whatever happened; nothing of it is left."""
    cluster.break_down(lambda _call, _about: None)
    with suppress(NotFound):
        cluster.drop(handle)
    assert handle not in cluster.recounted()
    assert handle not in cluster.handles()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", WRITES)
@pytest.mark.parametrize("first", [True, False], ids=["new block", "own block"])
def test_a_write_of_an_add_goes_wrong(cluster: Cluster, kind: Fault, number: int, first: bool) -> None:
    cluster.pool("v4", "10.0.0.0/24")
    if not first:
        cluster.ask(1, "host-a", handle="before")
    broken = Broken(number, kind)
    cluster.break_down(broken)
    assigned = cluster.ask(1, "host-a", handle="h", attributes={"pod": "p"})
    cluster.break_down(lambda _call, _about: None)
    if assigned.error is None:
        assert sum(cluster.recounted()["h"].values()) == 1
    else:
        assert kind == "away"
        assert "h" not in cluster.recounted()
    check(cluster)
    sweep(cluster, "h")


class Slow(MemoryDatastore):
    """Answers of it that are lost are waited for until time is over."""

    passed = 0.0

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        try:
            return super().transact(writes, deadline)
        except Unanswered:
            self.passed += 120.0
            raise


@pytest.mark.parametrize("kind", ["lost", "unmade"])
@pytest.mark.parametrize("number", WRITES)
@pytest.mark.parametrize("first", [True, False], ids=["new block", "own block"])
def test_time_is_over_when_an_answer_is_lost(
    cluster: Cluster, kind: Fault, number: int, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call fails, and what it may have done is undone, with time of its own."""
    slow, really = Slow(transactional=cluster.store.transactional), time.monotonic
    cluster.store = slow
    cluster.node("host-a")
    cluster.pool("v4", "10.0.0.0/24")
    if not first:
        cluster.ask(1, "host-a", handle="before")
    monkeypatch.setattr(time, "monotonic", lambda: really() + slow.passed)
    broken = Broken(number, kind)
    cluster.break_down(broken)
    assigned = cluster.ask(1, "host-a", handle="h", attributes={"pod": "p"})
    cluster.break_down(lambda _call, _about: None)
    assert (assigned.error is not None) == broken.met
    if broken.met:
        assert "h" not in cluster.recounted()
    check(cluster)
    sweep(cluster, "h")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", WRITES)
def test_a_write_of_a_del_goes_wrong(cluster: Cluster, kind: Fault, number: int) -> None:
    cluster.pool("v4", "10.0.0.0/24")
    cluster.pool("v6", "fd00::/120")
    for family in (4, 6):
        cluster.ask(1, "host-a", handle="h", family=family)
    cluster.ask(1, "host-a", handle="other")
    cluster.break_down(Broken(number, kind))
    try:
        cluster.drop("h")
    except UnipamError:
        assert kind == "away"
    else:
        assert "h" not in cluster.handles()
        assert "h" not in cluster.recounted()
    check(cluster)
    sweep(cluster, "h")
    assert cluster.recounted().keys() == {"other"}


@pytest.mark.parametrize("seed", range(40))
def test_many_things_go_wrong(cluster: Cluster, seed: int) -> None:
    dice = random.Random(seed)
    cluster.pool("v4", "10.0.0.0/28", blockSize=30)
    cluster.configure(cooldown=dice.choice([0, 0, 2]))
    hosts, living = ("host-a", "host-b"), {}
    kinds: list[Fault | None] = [None, None, None, "conflict", "lost", "unmade"]
    for turn in range(60):
        cluster.break_down(lambda call, _about: dice.choice(kinds) if call == "write" else None)
        handle = f"h{turn}"
        if dice.random() < 0.6 or not living:
            assigned = cluster.ask(1, dice.choice(hosts), handle=handle, attributes={"turn": handle})
            if assigned.addresses:
                living[handle] = texts(assigned)[0]
        else:
            gone = dice.choice(sorted(living))
            cluster.drop(gone)
            del living[gone]
        cluster.sleep(0.5)
        cluster.break_down(lambda _call, _about: None)
        check(cluster)
    assert len(set(living.values())) == len(living)
    assert cluster.recounted().keys() == living.keys()


@pytest.mark.parametrize("kind", ["lost", "unmade"])
def test_the_answer_to_the_write_of_a_block_is_lost(cluster: Cluster, kind: Fault) -> None:
    """What is counted is right again at once."""
    cluster.pool("v4", "10.0.0.0/24")
    cluster.ask(1, "host-a", handle="h")
    writes = 1 if cluster.known else 2  # before the one of the block: of a handle that is known, or taken for new
    cluster.break_down(Broken(0 if cluster.store.transactional else writes, kind))
    assert cluster.ask(1, "host-a", handle="h", attributes={"turn": "2"}).error is None
    assert cluster.handles() == cluster.recounted() == {"h": {next(iter(cluster.blocks())): 2}}


@pytest.mark.parametrize("kind", ["lost", "unmade"])
def test_the_answer_to_the_write_of_a_handle_is_lost(kind: Fault) -> None:
    """It counts too much or what it should, and never too little, also when a former address is counted in it."""
    cluster = Cluster(transactional=False)
    cluster.node("host-a")
    cluster.pool("v4", "10.0.0.0/24")
    cluster.ask(1, "host-a", handle="h")
    cluster.break_down(Broken(1, kind))  # the first one takes the handle for new
    assert cluster.ask(1, "host-a", handle="h", attributes={"turn": "2"}).error is None
    (counted,) = cluster.handles()["h"].values()
    assert counted == (3 if kind == "lost" else 2)
    sweep(cluster, "h")


class Late(MemoryDatastore):
    """Loses the answer to one write of a block, which arrives only before the write that follows."""

    pending: tuple[Write, ...] = ()
    met = False

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        if self.pending:
            pending, self.pending = self.pending, ()
            with suppress(Refused):
                super().transact(pending, deadline)
        if not self.met and isinstance(writes[0], Update) and isinstance(writes[0].item.key, BlockKey):
            self.met, self.pending = True, writes
            raise Unanswered("no answer came")
        return super().transact(writes, deadline)


def test_a_write_arrives_after_it_was_given_up(cluster: Cluster) -> None:
    """It is made to fail before anybody else gets the address, or nobody does."""
    cluster.pool("v4", "10.0.0.0/30", blockSize=30)
    late = Late(transactional=cluster.store.transactional)
    for item in cluster.everything():
        late.put(item.key, encode(item.document))
    cluster.store = late
    first = cluster.ask(1, "host-a", handle="h", attributes={"turn": "1"})
    second = cluster.ask(3, "host-a", handle="i", attributes={"turn": "2"})
    assert late.met
    assert sorted(texts(first) + texts(second)) == [f"10.0.0.{number}" for number in range(4)]
    held = cluster.recounted()
    assert {handle: sum(blocks.values()) for handle, blocks in held.items()} == {"h": 1, "i": 3}
    check(cluster)


@pytest.mark.parametrize("kind", ["lost", "unmade"])
def test_the_answer_to_a_release_by_address_is_lost(cluster: Cluster, kind: Fault) -> None:
    """The address was not free before, and its sequence number does not count twice."""
    cluster.pool("v4", "10.0.0.0/24")
    cluster.give("10.0.0.1", "host-a", "h")
    number = cluster.blocks()["10.0.0.0/26"].sequences[1]
    cluster.break_down(Broken(0, kind))
    outcome = releasing.release(cluster.session, [Wish(parse_address("10.0.0.1"), "h", number)])
    assert (outcome.error, outcome.unheld) == (None, [])
    assert cluster.recounted() == {}
    check(cluster)


def test_a_block_that_was_written_meanwhile_is_not_given_up(cluster: Cluster) -> None:
    """AC-13: it is empty again, but not the same."""
    cluster.pool("v4", "10.0.0.0/30", blockSize=30)
    cluster.ask(1, "host-a", handle="h")
    cluster.drop("h")
    seen = cluster.blocks()["10.0.0.0/30"].sequence
    cluster.ask(1, "host-a", handle="h")
    cluster.drop("h")
    with pytest.raises(Stale, match="IPAM block updated since we last read it"):
        claiming.give_up(cluster.session, Owner("host-a"), cidr("10.0.0.0/30"), must_be_empty=True, sequence=seen)
    assert cluster.affinities()


# What a death leaves behind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["", "pending", "pendingDeletion", "confirmed"])
def test_a_claim_without_a_block(cluster: Cluster, state: str) -> None:
    """AC-12: the block is made, and the claim confirmed."""
    cluster.pool("v4", "10.0.0.0/29", blockSize=30)
    cluster.store.put(AffinityKey("host-a", "10.0.0.4/30"), b'{"state":"%s"}' % state.encode())
    assert texts(cluster.ask(1, "host-a")) == ["10.0.0.4"]
    assert cluster.affinities() == {("host:host-a", "10.0.0.4/30"): "confirmed"}


@pytest.mark.parametrize("state", ["", "pending", "pendingDeletion", "confirmed"])
def test_a_claim_on_somebody_elses_block(cluster: Cluster, state: str) -> None:
    """AC-12: a stale affinity goes."""
    cluster.pool("v4", "10.0.0.0/29", blockSize=30)
    cluster.give("10.0.0.4", "host-b")
    cluster.store.put(AffinityKey("host-a", "10.0.0.4/30"), b'{"state":"%s"}' % state.encode())
    assert texts(cluster.ask(1, "host-a")) == ["10.0.0.0"]
    assert ("host:host-a", "10.0.0.4/30") not in cluster.affinities()


def test_a_claim_that_was_not_confirmed(cluster: Cluster) -> None:
    """AC-12: the block gets a new revision, then the claim is confirmed."""
    cluster.pool("v4", "10.0.0.0/29", blockSize=30)
    cluster.give("10.0.0.4", "host-a")
    before = cluster.blocks()["10.0.0.4/30"].sequence
    cluster.store.put(AffinityKey("host-a", "10.0.0.4/30"), b'{"state":"%s"}' % PENDING.encode())
    assert texts(cluster.ask(1, "host-a")) == ["10.0.0.5"]
    assert cluster.blocks()["10.0.0.4/30"].sequence == before + 2
    assert set(cluster.affinities().values()) == {"confirmed"}


def test_a_handle_that_cannot_be_read(cluster: Cluster) -> None:
    """It is named, and nobody else is touched."""
    cluster.pool("v4", "10.0.0.0/29", blockSize=30)
    cluster.ask(1, "host-a", handle="good")
    cluster.store.put(HandleKey("bad"), b'{"block": {"10.0.0.0/30": "many"}}')
    with pytest.raises(UnipamError, match="handle bad is broken"):
        cluster.drop("bad")
    assert cluster.drop("good")


def test_fields_that_nobody_knows_stay(cluster: Cluster) -> None:
    """AC-21."""
    cluster.pool("v4", "10.0.0.0/29", blockSize=30)
    name = BlockKey(str(cluster.ask(1, "host-a", handle="h").addresses[0][1]))
    item = cluster.store.get(name, float("inf"))
    item.document["attributes"][0]["later"] = {"a": 1}
    cluster.store.update(item._replace(document={**item.document, "later": [1 << 63]}), float("inf"))
    cluster.ask(1, "host-a", handle="i")
    found = cluster.store.get(name, float("inf")).document
    assert (found["later"], found["attributes"][0]["later"]) == ([1 << 63], {"a": 1})
