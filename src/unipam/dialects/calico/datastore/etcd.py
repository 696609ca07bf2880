"""Calico's documents in etcd: one key a document, and transactions over several of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from unipam.clients.etcd import messages
from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.messages import Change, KeyValue, RangeResponse, WatchResponse
from unipam.dialects.calico.datastore import paths
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
from unipam.dialects.calico.datastore.refusals import not_found, objection
from unipam.model.errors import SourceFailed, Unanswered, Unreadable

if TYPE_CHECKING:
    from unipam.clients.inbox import Inbox


class EtcdDatastore(ByTransaction):
    """A Datastore (`api`) in an etcd cluster. A revision is a number of etcd's, written out."""

    transactional = True

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd

    def get(self, key: Key, deadline: float) -> Item:
        """See `api.Datastore.get`."""
        found = self._etcd.range(_path(key), b"", deadline)
        if not found.pairs:
            raise not_found(key, self._etcd.name)
        try:
            return _item(key, found.pairs[0])
        except ValueError as error:
            raise Unreadable(f"{self._etcd.name}: {key} cannot be read: {error}", key=key) from None

    def list(self, selection: Selection, deadline: float) -> Listing:
        """See `api.Datastore.list`."""
        return _listing(selection, self._etcd.range(*paths.span(selection), deadline))

    def pages(self, selection: Selection, deadline: float) -> Iterator[Listing]:
        """See `api.Datastore.pages`."""
        key, end = paths.span(selection)
        for found in self._etcd.pages(key, end, deadline) if end else ():
            yield _listing(selection, found)
        if not end:
            yield self.list(selection, deadline)

    def lists(self, selections: tuple[Selection, ...], deadline: float) -> tuple[Listing, ...]:
        """See `api.Datastore.lists`."""
        found = self._etcd.ranges([paths.span(selection) for selection in selections], deadline)
        return tuple(map(_listing, selections, found))

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        """See `api.Datastore.transact`."""
        compares, operations = [_compare(each) for each in writes], [_operation(each) for each in writes]
        reads = [messages.get(_path(each.key)) for each in writes]
        try:
            outcome = self._etcd.transact(compares, operations, reads, deadline)
        except Unanswered as error:
            named = ", ".join(str(each.key) for each in writes)
            raise Unanswered(f"{error} ({named})", source=self._etcd.name, key=writes[0].key) from error
        if not outcome.succeeded:
            raise self._refused(writes, outcome.found)
        return tuple(_written(each, str(outcome.revision)) for each in writes if not isinstance(each, Delete))

    def watch(self, selection: Selection, revision: str, deadline: float) -> EtcdWatch:
        """See `api.Datastore.watch`."""
        return EtcdWatch(self._etcd.watch(*paths.span(selection), int(revision), deadline), selection, revision)

    def close(self) -> None:
        """See `api.Datastore.close`."""
        self._etcd.close()

    def _refused(self, writes: tuple[Write, ...], found: tuple[RangeResponse, ...]) -> Exception:
        for write, present in zip(writes, found, strict=True):
            revision = str(present.pairs[0].revision) if present.pairs else None
            if error := objection(write, revision, self._etcd.name):
                return error
        return SourceFailed(f"{self._etcd.name}: a transaction failed for no reason that it tells")


class EtcdWatch:
    """A Watch (`api`) of a range of etcd's keys."""

    def __init__(self, inbox: Inbox[WatchResponse], selection: Selection, revision: str) -> None:
        self._inbox, self._selection, self.revision = inbox, selection, revision

    def next(self, deadline: float) -> tuple[Event, ...]:
        """See `api.Watch.next`."""
        while told := self._inbox.take(deadline):
            self.revision = str(told[-1].revision)
            events = [_event(change, self._selection) for each in told for change in each.changes]
            if known := tuple(event for event in events if event):
                return known
        return ()

    def close(self) -> None:
        """See `api.Watch.close`."""
        self._inbox.close()


def _listing(selection: Selection, found: RangeResponse) -> Listing:
    items, broken = [], []
    for pair in found.pairs:
        key = paths.key(pair.key.decode(errors="replace"))
        if key is None or not paths.selected(key, selection):
            continue
        try:
            items.append(_item(key, pair))
        except ValueError as error:
            broken.append(Broken(pair.key.decode(), str(error)))
    return Listing(tuple(items), str(found.revision), tuple(broken))


def _path(key: Key) -> bytes:
    return paths.path(key).encode()


def _item(key: Key, pair: KeyValue) -> Item:
    return Item(key, decode(pair.value), str(pair.revision))


def _compare(write: Write) -> bytes:
    match write:
        case Create(key):
            return messages.absent(_path(key))
        case Update(item):
            return messages.unchanged(_path(item.key), int(item.revision))
        case Delete(key, revision):
            return messages.present(_path(key)) if revision is None else messages.unchanged(_path(key), int(revision))


def _operation(write: Write) -> bytes:
    match write:
        case Create(key, document):
            return messages.put(_path(key), encode(document))
        case Update(item):
            return messages.put(_path(item.key), encode(item.document))
        case Delete(key):
            return messages.delete(_path(key))


def _written(write: Create | Update, revision: str) -> Item:
    if isinstance(write, Update):
        return write.item._replace(revision=revision)
    return Item(write.key, write.document, revision)


def _event(change: Change, selection: Selection) -> Event | None:
    key = paths.key(change.pair.key.decode(errors="replace"))
    if key is None or not paths.selected(key, selection):
        return None
    revision = str(change.pair.revision)
    if change.removed:
        return Event("deleted", Item(key, {}, revision))
    try:
        item = _item(key, change.pair)
    except ValueError:
        return Event("broken", Item(key, {}, revision))
    return Event("added" if change.pair.created == change.pair.revision else "modified", item)
