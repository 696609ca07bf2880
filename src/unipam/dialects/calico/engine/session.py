"""A datastore as a call sees it: documents as values, until the call's time is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.dialects.calico.datastore.api import Datastore, Document, Item, Selection
from unipam.dialects.calico.datastore.keys import (
    HOST,
    VIRTUAL,
    AffinityKey,
    BlockKey,
    ConfigKey,
    HandleKey,
    NodeKey,
    PoolKey,
    ReservationKey,
)
from unipam.dialects.calico.documents import affinity, block, configuration, handle, node, pool
from unipam.dialects.calico.documents.affinity import Affinity
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.configuration import Configuration
from unipam.dialects.calico.documents.handle import Handle
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.rules.reserving import reserved
from unipam.model.errors import Missing, NotFound, Superseded, Unreadable

if TYPE_CHECKING:
    from unipam.dialects.calico.engine.combining import Combiner


class Value(Protocol):
    """What a document says."""

    def document(self) -> Document:
        """Return the document as it is stored."""


T = TypeVar("T", bound=Value)
R = TypeVar("R")

TRIES = 100
"""How often a write is tried while somebody else is faster (spec §5.3)."""

CLEANUP = 30.0
"""Seconds that the undoing of a call has at least, however late the call is (spec §5.3)."""


def always() -> bool:
    """Say that somebody waits for the answer."""
    return True


class Owner(NamedTuple):
    """Who owns blocks: a node, or something that has none, as Services of type LoadBalancer."""

    host: str
    kind: str = HOST

    def __str__(self) -> str:
        return f"{self.kind}:{self.host}"


LOAD_BALANCER = Owner("load-balancer", VIRTUAL)


def owner(affinity: str | None) -> Owner | None:
    """Return the owner that a block names."""
    kind, found, host = (affinity or "").partition(":")
    return Owner(host, kind) if found and kind in {HOST, VIRTUAL} else None


class Stored(NamedTuple, Generic[T]):
    """A value and the item that it was read from: what is changed in the value is written at the item's revision."""

    value: T
    item: Item

    def changed(self) -> Item:
        """Return the item with the value as it is now."""
        return self.item._replace(document=self.value.document())


class Session(NamedTuple):
    """What one call asks the datastore with, and until when.

    `clock` gives nanoseconds since the epoch, `deadline` is on `time.monotonic()`.
    `unknown` is what the datastore of the original says of a node that is not there; {} stands for its name. Where
    there is a `combiner`, writes of blocks go through it; one of them may take `patience` seconds, however long its
    callers have waited. `namespaces` are those that were there when they were asked for; None where nothing is kept.
    """

    datastore: Datastore
    deadline: float
    clock: Callable[[], int] = time.time_ns
    unknown: str = "<nil>"
    combiner: Combiner | None = None
    patience: float = 90.0
    namespaces: set[str] | None = None
    heard: Callable[[], bool] = always

    def require_heard(self) -> None:
        """Raise Superseded if nobody waits for the answer any more.

        Whoever gave up may have asked again by now. What is released between reading a block and writing it is then
        what the later call was given, and what is assigned is nobody's. One that gives up after this makes the write
        fail, or finds it made.
        """
        if not self.heard():
            raise Superseded("the caller gave up this request before it was served")

    def for_cleanup(self) -> Session:
        """Return the same session, with time enough to undo what was begun."""
        return self._replace(deadline=max(self.deadline, time.monotonic() + CLEANUP))

    def claiming(self) -> AbstractContextManager[object]:
        """Return what is to be held while a block is claimed, so that calls that come at once do not claim one each."""
        return self.combiner.claiming if self.combiner else nullcontext()

    def late(self) -> bool:
        """Return whether the call's time is over."""
        return time.monotonic() >= self.deadline

    def configuration(self) -> Configuration:
        """Return what holds for every node; where nothing is stored, the defaults."""
        try:
            return configuration.read(self.datastore.get(ConfigKey(), self.deadline).document)
        except NotFound:
            return configuration.DEFAULT

    def reserved(self) -> RangeSet:
        """Return all that is reserved."""
        return self._derived(
            "reserved", Selection(ReservationKey), lambda items: reserved(item.document for item in items)
        )

    def pools(self) -> list[Pool]:
        """Return every pool that can be read, in the order of their names; a broken one is as if it were not there."""

        def read(items: tuple[Item, ...]) -> list[Pool]:
            return sorted(_readable(items, pool.read), key=lambda each: each.name)

        return self._derived("pools", Selection(PoolKey), read)

    def complaints(self) -> str:
        """Say what is wrong with the pools that cannot be read, for whoever finds none; empty when nothing is."""
        listing = self.datastore.list(Selection(PoolKey), self.deadline)
        found = [f"{each.name} is broken: {each.why}" for each in listing.broken]
        for item in listing.items:
            try:
                pool.read(item.document)
            except Unreadable as error:
                found.append(error.message)
        return "; ".join(found)

    def node_labels(self, name: str) -> dict[str, str]:
        """Return the labels of a node. Raises Missing."""
        try:
            return node.labels(self.datastore.get(NodeKey(name), self.deadline).document)
        except NotFound:
            why = self.unknown.format(name)
            raise Missing(f"resource does not exist: Node({name}) with error: {why}", node=name) from None

    def affinities(self, of: Owner, family: int) -> dict[Prefix, Stored[Affinity]]:
        """Return what an owner claims, in the order of the datastore."""

        def read(items: tuple[Item, ...]) -> dict[Prefix, Stored[Affinity]]:
            claims = ((parse_prefix(_affinity_key(item).cidr), item) for item in items)
            return {
                prefix: Stored(affinity.read(item.document, str(item.key)), item)
                for prefix, item in claims
                if prefix.family == family
            }

        return self._derived(f"claims of {of}, {family}", Selection(AffinityKey, of.host, of.kind), read)

    def affinity(self, of: Owner, prefix: Prefix) -> Stored[Affinity]:
        """Return an owner's claim on a block. Raises NotFound."""
        item = self.datastore.get(affinity_key(of, prefix), self.deadline)
        return Stored(affinity.read(item.document, str(item.key)), item)

    def block(self, prefix: Prefix) -> Stored[Block]:
        """Return a block. Raises NotFound, or Unreadable for one that is broken."""
        item = self.datastore.get(BlockKey(str(prefix)), self.deadline)
        return Stored(block.read(item.document), item)

    def blocks(self) -> dict[Prefix, Stored[Block] | None]:
        """Return every block; None for one that is broken, whose place is taken all the same."""
        found: dict[Prefix, Stored[Block] | None] = {}
        for item in self._list(Selection(BlockKey)):
            assert isinstance(item.key, BlockKey)
            try:
                found[parse_prefix(item.key.cidr)] = Stored(block.read(item.document), item)
            except Unreadable:
                found[parse_prefix(item.key.cidr)] = None
        return found

    def handle(self, id: str) -> Stored[Handle]:  # noqa: A002 (as Calico calls it)
        """Return the count of a holder's addresses. Raises NotFound."""
        item = self.datastore.get(HandleKey(id), self.deadline)
        return Stored(handle.read(item.document, str(item.key)), item)

    def _derived(self, what: str, selection: Selection, read: Callable[[tuple[Item, ...]], R]) -> R:
        """Return what a selection says, read anew only when it has changed: callers change none of it."""
        items = self._list(selection)
        return self.combiner.derived(what, items, read) if self.combiner else read(items)

    def _list(self, selection: Selection) -> tuple[Item, ...]:
        return self.datastore.list(selection, self.deadline).items


def _affinity_key(item: Item) -> AffinityKey:
    assert isinstance(item.key, AffinityKey)
    return item.key


def affinity_key(of: Owner, prefix: Prefix) -> AffinityKey:
    """Return the key of an owner's claim on a block."""
    return AffinityKey(of.host, str(prefix), of.kind)


def next_write(stored: Stored[Block]) -> Item:
    """Return a block as it is written next: each write has a sequence number of its own (spec §1.4)."""
    stored.value.sequence += 1
    return stored.changed()


def _readable(items: tuple[Item, ...], read: Callable[[Document], R]) -> list[R]:
    found = []
    for item in items:
        try:
            found.append(read(item.document))
        except Unreadable:
            continue
    return found
