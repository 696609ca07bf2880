"""What every datastore promises (`datastore.api`), asked of each of them."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from tests.dialects.calico.datastore.backends import Backend
from tests.dialects.calico.datastore.documents import EXAMPLES, affinity, block, handle
from tests.real.etcd import soon

from unipam.clients.etcd import client
from unipam.dialects.calico.datastore.api import Create, Datastore, Delete, Event, Item, Selection, Update, Watch
from unipam.dialects.calico.datastore.keys import AffinityKey, BlockKey, ConfigKey, HandleKey, Key, PoolKey
from unipam.model.errors import Conflict, Exists, Expired, NotFound, SourceFailed, Unreadable

HANDLE, BLOCK = HandleKey("net.a"), BlockKey("10.0.0.0/30")


def essence(document: dict[str, Any]) -> dict[str, Any]:
    """A document but for what a datastore itself adds to a resource's metadata."""
    if "metadata" not in document:
        return document
    kept = {name: value for name, value in document["metadata"].items() if name in {"name", "labels", "annotations"}}
    return {**document, "metadata": kept}


def keys(store: Datastore, selection: Selection) -> list[Key]:
    return [item.key for item in store.list(selection, soon()).items]


def gather(watch: Watch, count: int) -> list[Event]:
    """The next events, at least that many."""
    events: list[Event] = []
    deadline = soon()
    while len(events) < count:
        assert time.monotonic() < deadline, events
        events += watch.next(deadline)
    return events


# Documents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", EXAMPLES, ids=str)
def test_a_document_is_read_as_it_was_written(store: Datastore, backend: Backend, key: Key) -> None:
    made = store.create(key, EXAMPLES[key], soon())
    assert made.key == key
    read = backend.open().get(key, soon())
    assert essence(read.document) == essence(EXAMPLES[key])
    assert read.revision == made.revision
    (listed,) = store.list(Selection(type(key)), soon()).items
    assert (listed.key, listed.document, listed.revision) == (key, read.document, read.revision)


@pytest.mark.parametrize("key", EXAMPLES, ids=str)
def test_what_was_read_can_be_written_back_unchanged(store: Datastore, key: Key) -> None:
    store.create(key, EXAMPLES[key], soon())
    written = store.update(store.get(key, soon()), soon())
    read = store.get(key, soon())
    assert essence(read.document) == essence(EXAMPLES[key])
    assert read.revision == written.revision


@pytest.mark.parametrize("absent", ["strict_affinity", "auto_allocate_blocks", "maxBlocksPerHost", "ipCooldownSeconds"])
def test_what_is_absent_stays_absent(store: Datastore, absent: str) -> None:
    document = {name: value for name, value in EXAMPLES[ConfigKey()].items() if name != absent}
    store.create(ConfigKey(), document, soon())
    assert store.get(ConfigKey(), soon()).document == document


@pytest.mark.parametrize("number", [0, 1, 4, 7])
def test_what_is_read_by_pages_is_what_is_listed(
    store: Datastore, backend: Backend, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, in order and as of one moment, whatever is written between two pages."""
    monkeypatch.setattr(client, "_PAGE", 2)
    for each in range(number):
        store.create(HandleKey(f"net.{each}"), handle(), soon())
    backend.spoil(HandleKey("net.broken"))
    store.create(BLOCK, block(), soon())
    listed = store.list(Selection(HandleKey), soon())
    pages = store.pages(Selection(HandleKey), soon())
    read = [next(pages)]
    if number:
        store.delete(HandleKey("net.0"), None, soon())
    read += list(pages)
    assert tuple(item for page in read for item in page.items) == listed.items
    assert tuple(each.name for page in read for each in page.broken) == tuple(each.name for each in listed.broken)
    assert {page.revision for page in read} == {listed.revision}
    assert [item.key for page in store.pages(Selection(ConfigKey), soon()) for item in page.items] == []


def test_a_document_belongs_to_its_reader(store: Datastore) -> None:
    given = block()
    store.create(BLOCK, given, soon())
    given["allocations"][0] = 7
    store.get(BLOCK, soon()).document["allocations"][0] = 8
    assert store.get(BLOCK, soon()).document == block()


# One object --------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_named(store: Datastore) -> None:
    with pytest.raises(NotFound, match=r"handle net\.a"):
        store.get(HANDLE, soon())
    with pytest.raises(NotFound, match=r"handle net\.a"):
        store.update(Item(HANDLE, handle(), "1"), soon())
    for revision in (None, "1"):
        with pytest.raises(NotFound, match=r"handle net\.a"):
            store.delete(HANDLE, revision, soon())


def test_an_object_is_made_once(store: Datastore) -> None:
    made = store.create(HANDLE, handle(), soon())
    with pytest.raises(Exists, match=r"handle net\.a"):
        store.create(HANDLE, handle(a=2), soon())
    assert store.get(HANDLE, soon()).revision == made.revision


def test_an_update_needs_the_revision_that_is_there(store: Datastore) -> None:
    first = store.create(BLOCK, block(), soon())
    second = store.update(first._replace(document=block(affinity=None)), soon())
    assert second.revision != first.revision
    with pytest.raises(Conflict, match=r"block 10\.0\.0\.0/30"):
        store.update(first, soon())
    assert store.get(BLOCK, soon()).document["affinity"] is None
    third = store.update(second._replace(document=block()), soon())
    assert store.get(BLOCK, soon()).revision == third.revision


def test_a_removal_needs_the_revision_that_is_there(store: Datastore) -> None:
    first = store.create(BLOCK, block(), soon())
    second = store.update(first._replace(document=block(affinity=None)), soon())
    with pytest.raises(Conflict, match=r"block 10\.0\.0\.0/30"):
        store.delete(BLOCK, first.revision, soon())
    store.delete(BLOCK, second.revision, soon())
    with pytest.raises(NotFound):
        store.get(BLOCK, soon())


def test_a_removal_may_take_any_revision(store: Datastore) -> None:
    store.create(BLOCK, block(), soon())
    store.delete(BLOCK, None, soon())
    assert keys(store, Selection(BlockKey)) == []


def test_an_object_that_was_made_anew_is_another(store: Datastore) -> None:
    first = store.create(BLOCK, block(), soon())
    store.delete(BLOCK, first.revision, soon())
    store.create(BLOCK, block(), soon())
    with pytest.raises(Conflict):
        store.update(first, soon())
    with pytest.raises(Conflict):
        store.delete(BLOCK, first.revision, soon())


def test_only_one_of_many_writers_wins(store: Datastore, backend: Backend) -> None:
    start = store.create(HANDLE, handle(a=0), soon())
    results: list[str] = []
    ready = threading.Barrier(8)

    def race(number: int) -> None:
        mine = backend.open()
        ready.wait()
        try:
            mine.update(start._replace(document=handle(a=number)), soon())
            results.append(f"won {number}")
        except Conflict:
            results.append("lost")

    threads = [threading.Thread(target=race, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [each for each in results if each != "lost"]
    assert len(results) == 8
    assert f"won {store.get(HANDLE, soon()).document['block']['a']}" == winner


# Lists -------------------------------------------------------------------------------------------------------


def test_a_list_holds_one_kind(store: Datastore) -> None:
    for key, document in EXAMPLES.items():
        store.create(key, document, soon())
    for kind in {type(key) for key in EXAMPLES}:
        assert set(keys(store, Selection(kind))) == {key for key in EXAMPLES if isinstance(key, kind)}


def test_affinities_are_listed_by_owner(store: Datastore) -> None:
    mine = [AffinityKey("node1", "10.0.0.0/30"), AffinityKey("node1", "fd00::/126")]
    longer, other = AffinityKey("node10", "10.0.0.4/30"), AffinityKey("node2", "10.0.0.8/30")
    virtual = AffinityKey("load-balancer", "10.0.0.12/30", "virtual")
    namesake = AffinityKey("node1", "10.0.0.16/30", "virtual")
    for key in (*mine, longer, other, virtual, namesake):
        store.create(key, affinity(), soon())
    assert set(keys(store, Selection(AffinityKey, "node1", "host"))) == set(mine)
    assert set(keys(store, Selection(AffinityKey, "node1"))) == {*mine, namesake}
    assert set(keys(store, Selection(AffinityKey, owner="virtual"))) == {virtual, namesake}
    assert set(keys(store, Selection(AffinityKey, owner="host"))) == {*mine, longer, other}
    assert len(keys(store, Selection(AffinityKey))) == 6


def test_an_empty_list_can_be_watched_from(store: Datastore) -> None:
    listing = store.list(Selection(HandleKey), soon())
    assert listing.items == ()
    watch = store.watch(Selection(HandleKey), listing.revision, soon())
    store.create(HANDLE, handle(), soon())
    assert [event.what for event in gather(watch, 1)] == ["added"]
    watch.close()


def test_what_was_broken_by_hand_spoils_nothing_else(store: Datastore, backend: Backend) -> None:
    store.create(HANDLE, handle(), soon())
    backend.spoil(HandleKey("net.bad"))
    listing = store.list(Selection(HandleKey), soon())
    assert [item.key for item in listing.items] == [HANDLE]
    (broken,) = listing.broken
    assert "net.bad" in broken.name
    with pytest.raises(Unreadable, match=r"net\.bad"):
        store.get(HandleKey("net.bad"), soon())


# Transactions ------------------------------------------------------------------------------------------------


def test_a_transaction_is_all_or_nothing(store: Datastore) -> None:
    if not store.transactional:
        with pytest.raises(ValueError, match="one object"):
            store.transact((Create(HANDLE, handle()), Create(BLOCK, block())), soon())
        return
    made, handled = store.transact((Create(BLOCK, block()), Create(HANDLE, handle())), soon())
    assert made.revision == handled.revision == store.get(BLOCK, soon()).revision
    stale = made._replace(revision="1")
    for refused, error in (
        ((Update(handled), Update(stale)), Conflict),
        ((Delete(HANDLE, handled.revision), Create(BLOCK, block())), Exists),
        ((Delete(HANDLE, None), Delete(BlockKey("10.0.0.4/30"), None)), NotFound),
    ):
        with pytest.raises(error, match="block"):
            store.transact(refused, soon())
        assert store.get(HANDLE, soon()).revision == handled.revision
    (changed,) = store.transact((Delete(HANDLE, handled.revision), Update(made)), soon())
    assert changed.key == BLOCK
    assert keys(store, Selection(HandleKey)) == []


def test_one_write_is_a_transaction_everywhere(store: Datastore) -> None:
    (made,) = store.transact((Create(BLOCK, block()),), soon())
    (changed,) = store.transact((Update(made._replace(document=block(affinity=None))),), soon())
    assert store.transact((Delete(BLOCK, changed.revision),), soon()) == ()


# Watches -----------------------------------------------------------------------------------------------------


def test_a_watch_tells_what_happened_in_order(store: Datastore, backend: Backend) -> None:
    before = store.create(BLOCK, block(), soon())
    listing = store.list(Selection(BlockKey), soon())
    watch = backend.open().watch(Selection(BlockKey), listing.revision, soon())
    store.create(HANDLE, handle(), soon())
    changed = store.update(before._replace(document=block(affinity=None)), soon())
    other = store.create(BlockKey("10.0.0.4/30"), block("10.0.0.4/30"), soon())
    store.delete(BLOCK, changed.revision, soon())
    events = gather(watch, 3)
    assert [(event.what, event.item.key) for event in events] == [
        ("modified", BLOCK), ("added", other.key), ("deleted", BLOCK),
    ]  # fmt: skip
    assert (events[0].item.document, events[0].item.revision) == (changed.document, changed.revision)
    assert (events[1].item.document, events[1].item.revision) == (other.document, other.revision)
    watch.close()


def test_what_a_watch_told_can_be_updated(store: Datastore) -> None:
    watch = store.watch(Selection(BlockKey), store.list(Selection(BlockKey), soon()).revision, soon())
    store.create(BLOCK, block(), soon())
    (event,) = gather(watch, 1)
    store.update(event.item._replace(document=block(affinity=None)), soon())
    assert store.get(BLOCK, soon()).document["affinity"] is None
    watch.close()


def test_a_watch_of_an_owner_tells_of_nobody_else(store: Datastore) -> None:
    selection = Selection(AffinityKey, "node1", "host")
    watch = store.watch(selection, store.list(selection, soon()).revision, soon())
    for host in ("node10", "node2", "node1"):
        store.create(AffinityKey(host, "10.0.0.0/30"), affinity(), soon())
    assert [event.item.key for event in gather(watch, 1)] == [AffinityKey("node1", "10.0.0.0/30")]
    watch.close()


def test_a_watch_waits_no_longer_than_it_may(store: Datastore) -> None:
    watch = store.watch(Selection(PoolKey), store.list(Selection(PoolKey), soon()).revision, soon())
    assert watch.next(time.monotonic() + 0.05) == ()
    watch.close()


def test_a_watch_that_is_closed_ends_who_waits(store: Datastore) -> None:
    watch = store.watch(Selection(PoolKey), store.list(Selection(PoolKey), soon()).revision, soon())
    closing = threading.Timer(0.1, watch.close)
    closing.start()
    assert watch.next(soon(60)) == ()
    closing.join()


def test_a_history_that_is_gone_is_said_to_be(store: Datastore, backend: Backend) -> None:
    seen = store.list(Selection(BlockKey), soon()).revision
    for number in range(3):
        store.create(BlockKey(f"10.0.{number}.0/30"), block(f"10.0.{number}.0/30"), soon())
    old = backend.forget(seen)
    with pytest.raises(Expired):  # at once, or when the watch is read
        store.watch(Selection(BlockKey), old, soon()).next(soon())
    fresh = store.list(Selection(BlockKey), soon())
    assert len(fresh.items) == 3
    store.watch(Selection(BlockKey), fresh.revision, soon()).close()


# Deadlines ---------------------------------------------------------------------------------------------------


def test_a_deadline_that_has_passed_changes_nothing(store: Datastore) -> None:
    for call in (
        lambda: store.get(BLOCK, time.monotonic() - 1),
        lambda: store.list(Selection(BlockKey), time.monotonic() - 1),
        lambda: store.create(BLOCK, block(), time.monotonic() - 1),
    ):
        with pytest.raises(SourceFailed):
            call()
    assert keys(store, Selection(BlockKey)) == []


def test_several_selections_are_read_at_once(store: Datastore) -> None:
    """Each as by itself, and what is watched from their revision is what came after."""
    for key in EXAMPLES:
        store.create(key, EXAMPLES[key], soon())
    kinds = (HandleKey, PoolKey, BlockKey)
    found = store.lists(tuple(map(Selection, kinds)), soon())
    for kind, listing in zip(kinds, found, strict=True):
        alone = store.list(Selection(kind), soon())
        assert (listing.items, listing.broken) == (alone.items, alone.broken)
    watch = store.watch(Selection(HandleKey), found[0].revision, soon())
    late = HandleKey("late")
    store.create(late, handle(), soon())
    assert [event.item.key for event in gather(watch, 1)] == [late]
    watch.close()
