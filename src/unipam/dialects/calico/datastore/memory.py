"""Calico's documents in memory: for tests, and for what real datastores do only on a bad day."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from unipam.dialects.calico.datastore.api import (
    Broken,
    ByTransaction,
    Create,
    Delete,
    Event,
    Item,
    Listing,
    Selection,
    Update,
    Write,
)
from unipam.dialects.calico.datastore.document import decode, encode
from unipam.dialects.calico.datastore.keys import Key
from unipam.dialects.calico.datastore.paths import path, selected
from unipam.dialects.calico.datastore.refusals import not_found, objection
from unipam.model.errors import Expired, SourceFailed, Unanswered, Unreadable

Fault = Literal["away", "conflict", "lost", "unmade", "expired", "cut"]
"""What goes wrong with a call: it is not received (`away`); somebody else writes the object first (`conflict`); a write
is made, or not, and its answer never comes (`lost`, `unmade`); a watch has no history, or ends (`expired`, `cut`)."""
_NAME = "memory"

Call = Literal["get", "list", "write", "watch", "next"]
Faults = Callable[[Call, tuple[Key, ...] | Selection], Fault | None]


class _Stored(NamedTuple):
    encoded: bytes
    created: int
    revision: int


class _Change(NamedTuple):
    what: Literal["added", "modified", "deleted"]
    key: Key
    encoded: bytes
    revision: int


class MemoryDatastore(ByTransaction):
    """A Datastore (`api`) that is gone with its process. `faults` is asked before each call what goes wrong with it."""

    def __init__(self, *, transactional: bool = True, faults: Faults = lambda _call, _about: None) -> None:
        self.transactional, self.faults = transactional, faults
        self.changed = threading.Condition()
        self.history: list[_Change] = []
        self.forgotten = 0
        self._stored: dict[Key, _Stored] = {}
        self._revision = 1

    def get(self, key: Key, deadline: float) -> Item:
        """See `api.Datastore.get`."""
        self._meet("get", (key,), deadline)
        with self.changed:
            stored = self._stored.get(key)
        if stored is None:
            raise not_found(key, _NAME)
        try:
            return Item(key, decode(stored.encoded), str(stored.revision))
        except ValueError as error:
            raise Unreadable(f"{key} cannot be read: {error}", key=key) from None

    def list(self, selection: Selection, deadline: float) -> Listing:
        """See `api.Datastore.list`."""
        self._meet("list", selection, deadline)
        return self._listing(selection)

    def lists(self, selections: tuple[Selection, ...], deadline: float) -> tuple[Listing, ...]:
        """See `api.Datastore.lists`."""
        for selection in selections[: 1 if self.transactional else len(selections)]:
            self._meet("list", selection, deadline)
        with self.changed:
            return tuple(map(self._listing, selections))

    def _listing(self, selection: Selection) -> Listing:
        with self.changed:
            found = sorted((path(key), key, stored) for key, stored in self._stored.items() if selected(key, selection))
            revision = str(self._revision)
        items, broken = [], []
        for name, key, stored in found:
            try:
                items.append(Item(key, decode(stored.encoded), str(stored.revision)))
            except ValueError as error:
                broken.append(Broken(name, str(error)))
        return Listing(tuple(items), revision, tuple(broken))

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        """See `api.Datastore.transact`."""
        if len(writes) > 1 and not self.transactional:
            raise ValueError("this datastore writes one object at a time")
        keys = tuple(each.key for each in writes)
        fault = self._meet("write", keys, deadline)
        with self.changed:
            if fault == "conflict":
                self._rewrite(keys[0])
            if fault != "unmade":
                written = self._commit(writes)
        if fault in {"lost", "unmade"}:
            raise Unanswered(f"no answer came: {keys[0]} may have been written", key=keys[0])
        return written

    def put(self, key: Key, encoded: bytes) -> None:
        """Write these bytes whatever is there, as a hand with etcdctl would."""
        with self.changed:
            self._put(key, encoded)

    def forget(self) -> None:
        """Drop the history up to now, as a compaction does."""
        with self.changed:
            self.forgotten = self._revision
            self.history.clear()
            self.changed.notify_all()

    def watch(self, selection: Selection, revision: str, deadline: float) -> MemoryWatch:
        """See `api.Datastore.watch`."""
        self._meet("watch", selection, deadline)
        return MemoryWatch(self, selection, int(revision))

    def close(self) -> None:
        """See `api.Datastore.close`."""

    def _meet(self, call: Call, about: tuple[Key, ...] | Selection, deadline: float) -> Fault | None:
        fault = self.faults(call, about)
        if fault == "away" or time.monotonic() >= deadline:
            raise SourceFailed("the datastore did not answer in time", source=_NAME)
        return fault

    def _commit(self, writes: tuple[Write, ...]) -> tuple[Item, ...]:
        for write in writes:
            stored = self._stored.get(write.key)
            if error := objection(write, str(stored.revision) if stored else None, _NAME):
                raise error
        self._revision += 1
        written = []
        for write in writes:
            if isinstance(write, Delete):
                self._remove(write.key)
            else:
                written.append(self._write(write))
        self.changed.notify_all()
        return tuple(written)

    def _write(self, write: Create | Update) -> Item:
        item = write.item if isinstance(write, Update) else Item(write.key, write.document, "")
        self._store(item.key, encode(item.document))
        return item._replace(revision=str(self._revision))

    def _rewrite(self, key: Key) -> None:
        if key in self._stored:
            self._put(key, self._stored[key].encoded)

    def _put(self, key: Key, encoded: bytes) -> None:
        self._revision += 1
        self._store(key, encoded)
        self.changed.notify_all()

    def _store(self, key: Key, encoded: bytes) -> None:
        before = self._stored.get(key)
        self._stored[key] = _Stored(encoded, before.created if before else self._revision, self._revision)
        self.history.append(_Change("modified" if before else "added", key, encoded, self._revision))

    def _remove(self, key: Key) -> None:
        del self._stored[key]
        self.history.append(_Change("deleted", key, b"", self._revision))


class MemoryWatch:
    """A Watch (`api`) of a MemoryDatastore."""

    def __init__(self, store: MemoryDatastore, selection: Selection, revision: int) -> None:
        self._store, self._selection, self._told = store, selection, revision
        self._closed = False

    @property
    def revision(self) -> str:
        """See `api.Watch.revision`."""
        return str(self._told)

    def next(self, deadline: float) -> tuple[Event, ...]:
        """See `api.Watch.next`."""
        fault = self._store.faults("next", self._selection)
        if fault == "cut":
            raise SourceFailed("the watch ended", source=_NAME)
        with self._store.changed:
            while True:
                if self._closed:
                    return ()
                if self._told < self._store.forgotten or fault == "expired":
                    raise Expired(f"the history after {self._told} is gone", revision=self._told)
                if events := self._take():
                    return events
                if not self._store.changed.wait(max(0.0, deadline - time.monotonic())):
                    return ()

    def close(self) -> None:
        """See `api.Watch.close`."""
        with self._store.changed:
            self._closed = True
            self._store.changed.notify_all()

    def _take(self) -> tuple[Event, ...]:
        fresh = [change for change in self._store.history if change.revision > self._told]
        if fresh:
            self._told = fresh[-1].revision
        return tuple(_event(change) for change in fresh if selected(change.key, self._selection))


def _event(change: _Change) -> Event:
    try:
        return Event(change.what, Item(change.key, decode(change.encoded), str(change.revision)))
    except ValueError:
        return Event("broken", Item(change.key, {}, str(change.revision)))
