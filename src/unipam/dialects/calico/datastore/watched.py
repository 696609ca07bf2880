"""A datastore of which a node's own part is known without asking: configuration, pools, reservations, the node and its
claims on blocks. Everything else is asked for, and every write goes to the datastore itself, at a revision.

What is known may be old by a moment. That is safe because whatever is written on the strength of it is a block, whose
revision somebody else's write has changed; and because nothing is refused on the strength of it (`verbs`).
"""

from __future__ import annotations

from unipam.dialects.calico.datastore.api import (
    ByTransaction,
    Datastore,
    Delete,
    Item,
    Listing,
    Selection,
    Watch,
    Write,
)
from unipam.dialects.calico.datastore.following import Following
from unipam.dialects.calico.datastore.keys import Key
from unipam.dialects.calico.datastore.part import selection_of, selections
from unipam.dialects.calico.datastore.refusals import not_found
from unipam.model.errors import UnipamError


class WatchedDatastore(ByTransaction):
    """A Datastore (`api`) for one node. What it answers from memory is everybody's: change none of it."""

    def __init__(self, store: Datastore, node: str) -> None:
        """Follow what this node needs of a datastore, from the first call on that needs it."""
        self.store, self.transactional = store, store.transactional
        self._followings = {selection: Following(store, selection) for selection in selections(node)}

    def get(self, key: Key, deadline: float) -> Item:
        """See `api.Datastore.get`."""
        following = self._followings.get(selection_of(key))
        if following is None:
            return self.store.get(key, deadline)
        found = following.find(key, deadline)
        if found is None:
            raise not_found(key, "what is known")
        return found

    def list(self, selection: Selection, deadline: float) -> Listing:
        """See `api.Datastore.list`."""
        following = self._followings.get(selection)
        return following.listing(deadline) if following else self.store.list(selection, deadline)

    def lists(self, selections: tuple[Selection, ...], deadline: float) -> tuple[Listing, ...]:
        """See `api.Datastore.lists`."""
        return tuple(self.list(selection, deadline) for selection in selections)

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        """See `api.Datastore.transact`."""
        try:
            items = self.store.transact(writes, deadline)
        except UnipamError:
            for write in writes:
                self._doubt(write.key)
            raise
        for write in writes:
            if isinstance(write, Delete) and (following := self._followings.get(selection_of(write.key))):
                following.lost(write.key)
        for item in items:
            if following := self._followings.get(selection_of(item.key)):
                following.wrote(item)
        return items

    def watch(self, selection: Selection, revision: str, deadline: float) -> Watch:
        """See `api.Datastore.watch`."""
        return self.store.watch(selection, revision, deadline)

    def known(self) -> bool:
        """Return whether all that is followed is answered without asking."""
        return all(following.known() for following in self._followings.values())

    def doubt(self) -> None:
        """Trust nothing that is known: it has led a call astray."""
        for following in self._followings.values():
            following.doubt()

    def close(self) -> None:
        """Stop following. The datastore itself stays open."""
        for following in self._followings.values():
            following.close()

    def _doubt(self, key: Key) -> None:
        if following := self._followings.get(selection_of(key)):
            following.doubt()
