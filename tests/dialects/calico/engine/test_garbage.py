"""Garbage is removed only as far as it is still as it was when it was found."""

from __future__ import annotations

import json

import pytest
from tests.dialects.calico.cluster import Cluster

from unipam.dialects.calico.datastore.api import Item
from unipam.dialects.calico.datastore.keys import AffinityKey, BlockKey, HandleKey, Key
from unipam.dialects.calico.datastore.remembered import Remembered
from unipam.dialects.calico.documents import block as blocks
from unipam.dialects.calico.engine import garbage
from unipam.dialects.calico.rules.garbage import Claim, Surplus
from unipam.dialects.calico.rules.leases import Lease, SeenHandle, of_block

B = "10.0.0.0/30"
POD = {"namespace": "ns", "pod": "a", "node": "host-a"}


@pytest.fixture
def filled(cluster: Cluster) -> Cluster:
    cluster.pool("p", "10.0.0.0/28", blockSize=30)
    cluster.give("10.0.0.1", "host-a", "h", attributes=POD)
    return cluster


def lease_of(cluster: Cluster, address_cidr: str = B) -> Lease:
    (lease,) = of_block(cluster.blocks()[address_cidr]).leases
    return lease


def test_a_lease_is_released_with_its_handle(filled: Cluster) -> None:
    lease = lease_of(filled)
    assert garbage.release(filled.session, filled.session.configuration(), B, [lease]) == [lease]
    assert not filled.handles()
    assert filled.blocks()[B].empty
    assert garbage.release(filled.session, filled.session.configuration(), B, [lease]) == []


def test_a_lease_that_was_handed_out_anew_stays(filled: Cluster) -> None:
    before = lease_of(filled)
    filled.drop("h")
    filled.give("10.0.0.1", "host-a", "h", attributes=POD)
    assert garbage.release(filled.session, filled.session.configuration(), B, [before]) == []
    assert filled.handles() == filled.recounted() == {"h": {B: 1}}


def test_a_lease_of_another_handle_stays_and_its_fellows_too(filled: Cluster) -> None:
    first = lease_of(filled)
    filled.give("10.0.0.2", "host-a", "other", attributes={**POD, "pod": "b"})
    leases = of_block(filled.blocks()[B]).leases
    wrong = [each._replace(handle="h2") if each.handle == "other" else each for each in leases]
    assert garbage.release(filled.session, filled.session.configuration(), B, wrong) == []
    assert first in of_block(filled.blocks()[B]).leases


def test_handles_that_were_read_before_are_not_read_again(filled: Cluster) -> None:
    lease, session = lease_of(filled), filled.session
    items = {each.key: each for each in filled.everything() if isinstance(each.key, HandleKey)}
    asked: list[Key] = []
    filled.store.faults = lambda call, about: asked.append(*about) if call == "get" else None  # type: ignore[arg-type,func-returns-value,misc]
    remembering = session._replace(datastore=Remembered(filled.store, dict(items)))
    assert garbage.release(remembering, session.configuration(), B, [lease]) == [lease]
    assert not any(isinstance(key, HandleKey) for key in asked)
    assert not filled.handles()


def test_a_handle_that_has_changed_since_is_read_again(filled: Cluster) -> None:
    lease, session = lease_of(filled), filled.session
    items: dict[Key, Item] = {each.key: each for each in filled.everything() if isinstance(each.key, HandleKey)}
    filled.give("10.0.0.2", "host-a", "h", attributes=POD)
    remembering = session._replace(datastore=Remembered(filled.store, items))
    assert garbage.release(remembering, session.configuration(), B, [lease]) == [lease]
    assert filled.handles() == filled.recounted() == {"h": {B: 1}}


def test_an_empty_block_is_given_up_unless_it_was_written_since(filled: Cluster) -> None:
    filled.drop("h")
    sequence = filled.blocks()[B].sequence
    assert not garbage.give_up(filled.session, Claim("host-a", B, sequence - 1))
    assert not garbage.give_up(filled.session, Claim("host-b", B, sequence))
    assert garbage.give_up(filled.session, Claim("host-a", B, sequence))
    assert not filled.blocks()
    assert not filled.affinities()


def test_a_block_that_is_used_again_is_not_given_up(filled: Cluster) -> None:
    assert not garbage.give_up(filled.session, Claim("host-a", B, filled.blocks()[B].sequence))
    assert filled.blocks()


def claim(cluster: Cluster, host: str, on: str, state: str) -> AffinityKey:
    key = AffinityKey(host, on)
    cluster.store.put(key, b'{"state":"%s","deleted":false}' % state.encode())
    return key


def revision(cluster: Cluster, key: Key) -> str:
    return next(each.revision for each in cluster.everything() if each.key == key)


@pytest.mark.parametrize("state", ["confirmed", "pending", "pendingDeletion", ""])
def test_a_claim_on_a_block_that_is_not_there_goes_at_its_revision(filled: Cluster, state: str) -> None:
    key = claim(filled, "host-b", "10.0.0.4/30", state)
    seen = revision(filled, key)
    assert garbage.remove_claim(filled.session, key, seen)
    assert ("host:host-b", "10.0.0.4/30") not in filled.affinities()
    again = claim(filled, "host-b", "10.0.0.4/30", state)
    assert not garbage.remove_claim(filled.session, again, seen)
    own = AffinityKey("host-a", B)
    assert not garbage.remove_claim(filled.session, own, revision(filled, own))


def test_an_empty_block_that_nobody_claims_goes(filled: Cluster) -> None:
    filled.abandon("host-a")
    assert not garbage.remove_block(filled.session, B)
    block = filled.blocks()[B]
    block.allocations, block.attributes, block.unallocated = [None] * 4, [], [0, 1, 2, 3]
    write(filled, block)
    assert garbage.remove_block(filled.session, B)
    assert not garbage.remove_block(filled.session, B)


def write(cluster: Cluster, block: blocks.Block) -> None:
    item = cluster.store.get(BlockKey(block.cidr), cluster.session.deadline)
    cluster.store.update(item._replace(document=block.document()), cluster.session.deadline)


def test_an_empty_block_that_is_claimed_stays(filled: Cluster) -> None:
    filled.drop("h")
    assert not garbage.remove_block(filled.session, B)
    filled.store.delete(AffinityKey("host-a", B), None, filled.session.deadline)
    assert garbage.remove_block(filled.session, B)


def test_what_has_cooled_becomes_free(filled: Cluster) -> None:
    filled.configure(cooldown=60)
    filled.drop("h")
    settings = filled.session.configuration()
    assert not garbage.free_cooled(filled.session, settings, B)
    filled.sleep(61)
    assert garbage.free_cooled(filled.session, settings, B)
    assert filled.blocks()[B].unallocated == [0, 2, 3, 1]
    assert not garbage.free_cooled(filled.session, settings, B)


def test_a_block_that_is_nobodys_goes_with_the_last_that_cooled(filled: Cluster) -> None:
    filled.configure(cooldown=60)
    filled.drop("h")
    filled.abandon("host-a")
    filled.sleep(61)
    garbage.free_cooled(filled.session, filled.session.configuration(), B)
    assert not filled.blocks()


def recount(cluster: Cluster, handle: str, counts: dict[str, int]) -> bool:
    seen = SeenHandle(tuple(counts.items()), revision(cluster, HandleKey(handle)))
    known = garbage.blocks_of(cluster.session, counts)
    return garbage.recount(cluster.session, Surplus(handle, seen), known)


def count(cluster: Cluster, handle: str, counts: dict[str, int]) -> None:
    cluster.store.put(HandleKey(handle), json.dumps({"block": counts, "deleted": False}).encode())


@pytest.mark.parametrize("counts", [{B: 2}, {B: 1, "10.0.0.8/30": 3}])
def test_a_handle_counts_what_its_blocks_hold(filled: Cluster, counts: dict[str, int]) -> None:
    count(filled, "h", counts)
    assert recount(filled, "h", counts)
    assert filled.handles() == filled.recounted() == {"h": {B: 1}}


@pytest.mark.parametrize("counts", [{}, {B: 1}, {"10.0.0.8/30": 3}])
def test_a_handle_that_counts_nothing_goes(filled: Cluster, counts: dict[str, int]) -> None:
    count(filled, "dead", counts)
    assert recount(filled, "dead", counts)
    assert filled.handles() == filled.recounted()


def test_a_handle_that_was_written_since_is_left(filled: Cluster) -> None:
    count(filled, "dead", {B: 1})
    seen = SeenHandle(((B, 1),), revision(filled, HandleKey("dead")))
    count(filled, "dead", {B: 1})
    known = garbage.blocks_of(filled.session, [B])
    assert not garbage.recount(filled.session, Surplus("dead", seen), known)
    count(filled, "h", {B: 2})
    assert not garbage.recount(filled.session, Surplus("h", seen), known)


def test_a_broken_block_hinders_nothing_but_itself(filled: Cluster) -> None:
    broken = BlockKey("10.0.0.4/30")
    filled.store.put(broken, b'{"cidr":"10.0.0.4/30","allocations":[1]}')
    count(filled, "dead", {broken.cidr: 1})
    assert not recount(filled, "dead", {broken.cidr: 1})
    assert not garbage.remove_block(filled.session, broken.cidr)
    assert not garbage.give_up(filled.session, Claim("host-a", broken.cidr, 0))
    assert not garbage.free_cooled(filled.session, filled.session.configuration(), broken.cidr)


def test_many_blocks_are_read_in_one_list(filled: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "_FEW", 1)
    calls: list[str] = []
    filled.store.faults = lambda call, _: calls.append(call)  # type: ignore[func-returns-value,assignment]
    found = garbage.blocks_of(filled.session, [B, "10.0.0.4/30", "10.0.0.8/30"])
    assert calls == ["list"]
    assert set(found) == {B}


@pytest.mark.parametrize("fault", ["lost", "unmade", "conflict"])
def test_a_write_that_goes_wrong_once_leaves_nothing_half_done(filled: Cluster, fault: str) -> None:
    lease, spoiled = lease_of(filled), []

    def faults(call: str, _: object) -> str | None:
        if call == "write" and not spoiled:
            spoiled.append(call)
            return fault
        return None

    filled.store.faults = faults  # type: ignore[assignment]
    garbage.release(filled.session, filled.session.configuration(), B, [lease])
    assert spoiled
    assert of_block(filled.blocks()[B]).leases == ()
