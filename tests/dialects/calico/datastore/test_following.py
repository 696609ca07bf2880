"""A view that is kept by a watch: what it tells, and what it does when the watch is cut, refused or has no history."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.following import Following
from unipam.dialects.calico.datastore.keys import AffinityKey, ConfigKey, PoolKey
from unipam.dialects.calico.datastore.memory import Fault, MemoryDatastore
from unipam.dialects.calico.datastore.watched import WatchedDatastore
from unipam.model.errors import Conflict, NotFound, SourceFailed

POOLS = Selection(PoolKey)


def soon() -> float:
    return time.monotonic() + 20


class Days(MemoryDatastore):
    """Good ones and bad ones: `bad` says which calls go wrong, and how; what is listed is counted."""

    def __init__(self) -> None:
        super().__init__(faults=self._day)
        self.bad: dict[str, Fault] = {}
        self.lists = self.watches = self.gets = 0

    def _day(self, call: str, _about: object) -> Fault | None:
        self.lists += call == "list"
        self.watches += call == "watch"
        self.gets += call == "get"
        return self.bad.get(call)

    def pool(self, name: str, cidr: str = "10.0.0.0/24") -> None:
        self.put(PoolKey(name), b'{"metadata":{"name":"%s"},"spec":{"cidr":"%s"}}' % (name.encode(), cidr.encode()))


@pytest.fixture
def store() -> Days:
    return Days()


@pytest.fixture
def following(store: Days) -> Iterator[Following]:
    made = Following(store, POOLS)
    yield made
    made.close()


def names(following: Following) -> list[str]:
    return [item.key.name for item in following.listing(soon()).items]  # type: ignore[union-attr]


def wait_for(what: Callable[[], bool]) -> None:
    """Hanging ends it, nothing else."""
    until = soon()
    while not what():
        assert time.monotonic() < until
        time.sleep(0.01)


def stands(following: Following) -> bool:
    return following._good_until == float("inf")


def test_what_happens_is_known_without_asking(store: Days, following: Following) -> None:
    store.pool("b")
    assert names(following) == ["b"]
    wait_for(lambda: stands(following))
    asked = store.lists
    store.pool("a")
    wait_for(lambda: names(following) == ["a", "b"])
    store.delete(PoolKey("b"), None, soon())
    wait_for(lambda: names(following) == ["a"])
    store.put(PoolKey("a"), b"[no document")
    wait_for(lambda: names(following) == [])
    assert [each.name for each in following.listing(soon()).broken] == [
        "/calico/resources/v3/projectcalico.org/ippools/a"
    ]
    assert store.lists == asked


@pytest.mark.parametrize("fault", ["cut", "expired"])
def test_a_watch_ends(store: Days, following: Following, fault: Fault) -> None:
    """Cut, or without a history as after a compaction: it is listed again, and nothing in between is missed."""
    store.pool("a")
    names(following)
    wait_for(lambda: stands(following))
    store.bad["next"] = fault
    store.pool("b")
    wait_for(lambda: not stands(following))
    assert names(following) == ["a", "b"]
    store.bad.clear()
    wait_for(lambda: stands(following))
    store.pool("c")
    wait_for(lambda: names(following) == ["a", "b", "c"])


def test_the_history_is_forgotten_while_nobody_looks(store: Days, following: Following) -> None:
    names(following)
    wait_for(lambda: stands(following))
    store.pool("a")
    store.forget()
    wait_for(lambda: names(following) == ["a"])


def test_who_may_not_watch_lists(store: Days, following: Following) -> None:
    """As with the credentials of Calico's own plugin: a list serves those who come within a moment of it."""
    store.bad["watch"] = "away"
    assert names(following) == []
    store.pool("a")
    wait_for(lambda: names(following) == ["a"])
    asked = store.lists
    for _ in range(100):
        names(following)
    assert store.lists - asked < 10


def test_who_may_not_even_list_reads(store: Days, following: Following) -> None:
    """One object serves those who come within a moment of it, and one that is not there is asked for each time."""
    store.bad = {"list": "away", "watch": "away"}
    store.pool("a")
    for _ in range(20):
        found = following.find(PoolKey("a"), soon())
        assert found is not None
    assert store.lists < 20
    assert store.gets < 20
    assert following.find(PoolKey("b"), soon()) is None
    store.pool("b")
    assert following.find(PoolKey("b"), soon()) is not None


def test_the_server_is_away(store: Days, following: Following) -> None:
    """What cannot be known is not answered; and when it is back, it is."""
    store.bad = {"list": "away", "watch": "away", "next": "cut"}
    with pytest.raises(SourceFailed):
        following.listing(soon())
    store.bad.clear()
    store.pool("a")
    assert names(following) == ["a"]


def test_doubt_is_as_good_as_a_list(store: Days, following: Following) -> None:
    names(following)
    wait_for(lambda: stands(following))
    store.bad["next"] = "cut"
    store.pool("a")
    following.doubt()
    assert names(following) == ["a"]


def test_an_older_event_does_not_undo_what_was_written(store: Days) -> None:
    """The watch may tell of a write after this process has written again."""
    watched = WatchedDatastore(store, "host")
    key = AffinityKey("host", "10.0.0.0/26")
    try:
        for state in ("pending", "confirmed", "pendingDeletion", "confirmed"):
            try:
                item = watched.get(key, soon())
            except NotFound:
                watched.create(key, {"state": state}, soon())
                continue
            written = watched.update(item._replace(document={"state": state}), soon())
            assert watched.get(key, soon()).revision == written.revision
        watched.delete(key, None, soon())
        wait_for(lambda: not watched.list(Selection(AffinityKey, "host", "host"), soon()).items)
        with pytest.raises(NotFound):
            watched.get(key, soon())
    finally:
        watched.close()


def test_a_conflict_is_looked_into(store: Days) -> None:
    """What somebody else has written first is read before the next try."""
    watched = WatchedDatastore(store, "host")
    store.put(ConfigKey(), b'{"strict_affinity":true}')
    try:
        item = watched.get(ConfigKey(), soon())
        store.bad["next"] = "cut"
        store.put(ConfigKey(), b'{"strict_affinity":false}')
        with pytest.raises(Conflict):
            watched.update(item, soon())
        assert watched.get(ConfigKey(), soon()).document == {"strict_affinity": False}
    finally:
        watched.close()


def test_following_ends(store: Days) -> None:
    before = threading.active_count()
    following = Following(store, POOLS)
    following.listing(soon())
    wait_for(lambda: stands(following))
    following.close()
    wait_for(lambda: threading.active_count() <= before)
