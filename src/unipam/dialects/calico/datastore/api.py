"""What every datastore promises: get, list, create, update, delete and watch, each write at a revision.

One contract suite (tests/dialects/calico/datastore/test_contract.py) holds memory, etcd and the Kubernetes API to it.

- A document is a plain JSON value: of blocks, affinities, handles and the configuration as etcd has it (libcalico's
  model of version 1), of pools, reservations, nodes and the cluster's information the v3 resource. What is not known
  here is kept, what is absent stays absent, and whole numbers are exact up to 2^64 - 1 (spec calico-ipam §4).
- A document that was read is the reader's own: changing it changes nothing but what is then written.
- A write is made whole or not at all. `Unanswered` says that nobody knows which: read again before trying again.
- A deadline is a reading of `time.monotonic()`, in seconds, for all that a call does. A call that passes it raises
  SourceFailed if it changed nothing, and Unanswered if it may have.
- Nothing is cached: a read sees every write that was answered before it began, whoever made it.
- On Kubernetes, an object that is marked as deleted is one whose removal its remover did not end. It is not there:
  `get` ends the removal and raises NotFound, lists leave it out, a watch tells, perhaps twice, that it was deleted.
- An object that was broken by hand spoils nothing but itself: `get` raises Unreadable, a list names it apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Protocol

from unipam.dialects.calico.datastore.keys import Key

Document = dict[str, Any]


class Item(NamedTuple):
    """A document as it was at a revision.

    To change it, change `document` (or `_replace` it) and pass the item to `update`. `origin` is the datastore's own:
    what it keeps beside the document (labels, annotations).
    """

    key: Key
    document: Document
    revision: str
    origin: object = None


class Selection(NamedTuple):
    """All objects of a kind of key; of affinities also only those of a `host`, or of a kind of `owner` (`keys.HOST`).

    Of nodes, `host` is the name of one.
    """

    kind: type[Key]
    host: str = ""
    owner: str = ""


class Broken(NamedTuple):
    """An object that is not what its kind must be: what the datastore calls it, and why."""

    name: str
    why: str


class Listing(NamedTuple):
    """Every object of a selection in the order of the datastore's names, and the revision to watch from.

    Those that are `leaving` are marked as deleted: whoever gets one ends its removal.
    """

    items: tuple[Item, ...]
    revision: str
    broken: tuple[Broken, ...] = ()
    leaving: tuple[Item, ...] = ()


class Event(NamedTuple):
    """What happened to an object. Of one that was `deleted` or is now `broken`, the item's document may be empty."""

    what: Literal["added", "modified", "deleted", "broken"]
    item: Item


class Create(NamedTuple):
    """A write of a transaction: an object that must not be there yet."""

    key: Key
    document: Document


class Update(NamedTuple):
    """A write of a transaction: an object that must be at the item's revision."""

    item: Item

    @property
    def key(self) -> Key:
        """The object's key."""
        return self.item.key


class Delete(NamedTuple):
    """A write of a transaction: an object that must be at this revision, whatever its revision where that is None."""

    key: Key
    revision: str | None


Write = Create | Update | Delete


class Watch(Protocol):
    """The changes of a selection after a revision, in order. One thread reads it; any thread may close it."""

    @property
    def revision(self) -> str:
        """Up to where everything has been told: what another watch begins after when this one has failed."""

    def next(self, deadline: float) -> tuple[Event, ...]:
        """Return what has happened since the last call, waiting for something until the deadline; then nothing.

        Raises Expired when the history is gone (list again, and watch from there); SourceFailed when the datastore is
        away or its answer cannot be read (watch again after `revision`, or list again).
        """

    def close(self) -> None:
        """Let go of the connection, and end a `next` that waits: it returns nothing."""


class Datastore(Protocol):
    """A datastore of Calico's. Any thread may use it."""

    transactional: bool
    """Whether `transact` can write more than one object at once."""

    def get(self, key: Key, deadline: float) -> Item:
        """Read the object of this key. Raises NotFound, Unreadable, SourceFailed."""

    def list(self, selection: Selection, deadline: float) -> Listing:
        """Read every object of the selection. Raises SourceFailed."""

    def pages(self, selection: Selection, deadline: float) -> Iterator[Listing]:
        """Read every object of the selection as `list` does, some at a time, where there may be very many.

        Every page names the same revision. Raises SourceFailed, also on the way.
        """

    def lists(self, selections: tuple[Selection, ...], deadline: float) -> tuple[Listing, ...]:
        """Read several selections, in one request where the datastore is `transactional`. Raises SourceFailed."""

    def create(self, key: Key, document: Document, deadline: float) -> Item:
        """Write an object that is not there yet. Raises Exists, BadValue, SourceFailed, Unanswered."""

    def update(self, item: Item, deadline: float) -> Item:
        """Write an object that is still at the item's revision.

        Raises Conflict, NotFound, BadValue, SourceFailed, Unanswered.
        """

    def delete(self, key: Key, revision: str | None, deadline: float) -> None:
        """Remove an object that is still at this revision, or whatever its revision is where that is None.

        Raises Conflict, NotFound, SourceFailed, Unanswered.
        """

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        """Make every write or none; the items as written, of each `Create` and `Update` in order.

        Raises what the single writes raise, with the first key that refused it. A datastore that is not `transactional`
        takes one write only, and raises ValueError for more. No key may stand in it twice.
        """

    def watch(self, selection: Selection, revision: str, deadline: float) -> Watch:
        """Watch the changes after a revision of `list`.

        Raises Expired, SourceFailed; Expired may come with `next` only.
        """

    def close(self) -> None:
        """Let go of every connection."""


class ByTransaction:
    """The single writes of a datastore that makes each of them as a transaction of one."""

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        """See `Datastore.transact`."""
        raise NotImplementedError

    def list(self, selection: Selection, deadline: float) -> Listing:
        """See `Datastore.list`."""
        raise NotImplementedError

    def pages(self, selection: Selection, deadline: float) -> Iterator[Listing]:
        """See `Datastore.pages`; all is one page where nobody knows better."""
        yield self.list(selection, deadline)

    def create(self, key: Key, document: Document, deadline: float) -> Item:
        """See `Datastore.create`."""
        return self.transact((Create(key, document),), deadline)[0]

    def update(self, item: Item, deadline: float) -> Item:
        """See `Datastore.update`."""
        return self.transact((Update(item),), deadline)[0]

    def delete(self, key: Key, revision: str | None, deadline: float) -> None:
        """See `Datastore.delete`."""
        self.transact((Delete(key, revision),), deadline)
