"""A node's part of a datastore as it was when a call began, read in one request.

So a call on etcd that nobody has prepared needs three requests instead of seven. What the call writes itself, or fails
to write, is read again.
"""

from __future__ import annotations

from unipam.dialects.calico.datastore.api import (
    ByTransaction,
    Datastore,
    Item,
    Listing,
    Selection,
    Watch,
    Write,
)
from unipam.dialects.calico.datastore.keys import Key
from unipam.dialects.calico.datastore.part import selection_of, selections
from unipam.dialects.calico.datastore.refusals import not_found


class SnapshotDatastore(ByTransaction):
    """A Datastore (`api`) for one call of a node, over one that reads several selections at once."""

    def __init__(self, store: Datastore, node: str) -> None:
        self._store, self.transactional = store, store.transactional
        self._part = selections(node)
        self._read: dict[Selection, Listing] = {}

    def get(self, key: Key, deadline: float) -> Item:
        """See `api.Datastore.get`."""
        selection = selection_of(key)
        if selection not in self._part:
            return self._store.get(key, deadline)
        listing = self.list(selection, deadline)
        found = next((item for item in listing.items if item.key == key), None)
        if found is not None:
            return found
        if listing.broken:  # perhaps it: then the error says so
            return self._store.get(key, deadline)
        raise not_found(key, "the datastore")

    def list(self, selection: Selection, deadline: float) -> Listing:
        """See `api.Datastore.list`."""
        if selection not in self._part:
            return self._store.list(selection, deadline)
        if not self._read:
            self._read = dict(zip(self._part, self._store.lists(self._part, deadline), strict=True))
        if selection not in self._read:
            self._read[selection] = self._store.list(selection, deadline)
        return self._read[selection]

    def lists(self, selections: tuple[Selection, ...], deadline: float) -> tuple[Listing, ...]:
        """See `api.Datastore.lists`."""
        return self._store.lists(selections, deadline)

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        """See `api.Datastore.transact`."""
        try:
            return self._store.transact(writes, deadline)
        finally:
            for write in writes:
                self._read.pop(selection_of(write.key), None)

    def watch(self, selection: Selection, revision: str, deadline: float) -> Watch:
        """See `api.Datastore.watch`."""
        return self._store.watch(selection, revision, deadline)

    def close(self) -> None:
        """See `api.Datastore.close`: the datastore itself stays open."""
