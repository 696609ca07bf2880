"""The faults that the datastore in memory has at will."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.dialects.calico.datastore.documents import handle

from unipam.dialects.calico.datastore.api import Create, Item, Selection
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.datastore.memory import Call, Fault, MemoryDatastore
from unipam.model.errors import Conflict, Expired, NotFound, SourceFailed, Unanswered

KEY = HandleKey("a")


def soon() -> float:
    return time.monotonic() + 20


class Once:
    """A fault of the next call of a kind, and of no other."""

    def __init__(self) -> None:
        self.call: Call | None = None
        self.fault: Fault | None = None

    def __call__(self, call: Call, about: object) -> Fault | None:
        if call != self.call:
            return None
        self.call = None
        return self.fault

    def expect(self, call: Call, fault: Fault) -> None:
        self.call, self.fault = call, fault


@pytest.fixture
def once() -> Once:
    return Once()


@pytest.fixture
def store(once: Once) -> Iterator[MemoryDatastore]:
    made = MemoryDatastore(faults=once)
    yield made
    made.close()


@pytest.fixture
def item(store: MemoryDatastore) -> Item:
    return store.create(KEY, handle(), soon())


def test_a_lost_answer_is_to_a_write_that_was_made(store: MemoryDatastore, once: Once, item: Item) -> None:
    once.expect("write", "lost")
    with pytest.raises(Unanswered):
        store.update(item._replace(document=handle(a=2)), soon())
    assert store.get(KEY, soon()).document == handle(a=2)


def test_an_unmade_write_has_no_answer_either(store: MemoryDatastore, once: Once, item: Item) -> None:
    once.expect("write", "unmade")
    with pytest.raises(Unanswered):
        store.delete(KEY, None, soon())
    assert store.get(KEY, soon()) == item


def test_somebody_else_is_faster(store: MemoryDatastore, once: Once, item: Item) -> None:
    once.expect("write", "conflict")
    with pytest.raises(Conflict):
        store.update(item, soon())
    fresh = store.get(KEY, soon())
    assert (fresh.document, fresh.revision == item.revision) == (item.document, False)
    store.update(fresh, soon())


@pytest.mark.parametrize("call", ["get", "list", "write", "watch"])
def test_a_datastore_that_is_away_does_nothing(store: MemoryDatastore, once: Once, item: Item, call: Call) -> None:
    calls = {
        "get": lambda: store.get(KEY, soon()),
        "list": lambda: store.list(Selection(HandleKey), soon()),
        "write": lambda: store.delete(KEY, None, soon()),
        "watch": lambda: store.watch(Selection(HandleKey), item.revision, soon()),
    }
    once.expect(call, "away")
    with pytest.raises(SourceFailed) as caught:
        calls[call]()
    assert type(caught.value) is SourceFailed
    assert store.get(KEY, soon()) == item


def test_a_watch_may_be_cut_or_expire(store: MemoryDatastore, once: Once, item: Item) -> None:
    watch = store.watch(Selection(HandleKey), item.revision, soon())
    once.expect("next", "cut")
    with pytest.raises(SourceFailed):
        watch.next(soon())
    once.expect("next", "expired")
    with pytest.raises(Expired):
        watch.next(soon())
    assert watch.next(time.monotonic()) == ()


def test_it_can_be_one_without_transactions() -> None:
    store = MemoryDatastore(transactional=False)
    with pytest.raises(ValueError, match="one object"):
        store.transact((Create(KEY, handle()), Create(HandleKey("b"), handle())), soon())
    with pytest.raises(NotFound):
        store.get(KEY, soon())
