"""A datastore some of whose documents have been read already: each of them is given once, and then asked for.

Whoever gets an old one fails to write it, asks again, and then has the one that is there. Lists that have been read
stay: nobody writes by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from unipam.dialects.calico.datastore.api import Datastore, Document, Item, Listing, Selection, Watch, Write
from unipam.dialects.calico.datastore.keys import Key


class Remembered:
    """A Datastore (`api`) that answers `get` from `items` as long as these last, and `list` from `lists`.

    One thread uses it.
    """

    def __init__(
        self, datastore: Datastore, items: dict[Key, Item], lists: Mapping[Selection, Listing] = MappingProxyType({})
    ) -> None:
        """Take the items out of `items` as they are asked for."""
        self._datastore, self._items, self._lists = datastore, items, lists
        self.transactional = datastore.transactional

    def get(self, key: Key, deadline: float) -> Item:
        """See `api.Datastore.get`."""
        return self._items.pop(key, None) or self._datastore.get(key, deadline)

    def list(self, selection: Selection, deadline: float) -> Listing:
        """See `api.Datastore.list`."""
        return self._lists.get(selection) or self._datastore.list(selection, deadline)

    def pages(self, selection: Selection, deadline: float) -> Iterator[Listing]:
        """See `api.Datastore.pages`."""
        return self._datastore.pages(selection, deadline)

    def lists(self, selections: tuple[Selection, ...], deadline: float) -> tuple[Listing, ...]:
        """See `api.Datastore.lists`."""
        return self._datastore.lists(selections, deadline)

    def create(self, key: Key, document: Document, deadline: float) -> Item:
        """See `api.Datastore.create`."""
        return self._datastore.create(key, document, deadline)

    def update(self, item: Item, deadline: float) -> Item:
        """See `api.Datastore.update`."""
        return self._datastore.update(item, deadline)

    def delete(self, key: Key, revision: str | None, deadline: float) -> None:
        """See `api.Datastore.delete`."""
        self._datastore.delete(key, revision, deadline)

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        """See `api.Datastore.transact`."""
        return self._datastore.transact(writes, deadline)

    def watch(self, selection: Selection, revision: str, deadline: float) -> Watch:
        """See `api.Datastore.watch`."""
        return self._datastore.watch(selection, revision, deadline)

    def close(self) -> None:
        """See `api.Datastore.close`."""
        self._datastore.close()
