"""Calico's documents as mirrors keep them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.datastore.api import Datastore, Event, Item, Selection, Watch
from unipam.dialects.calico.datastore.keys import Key
from unipam.dialects.calico.documents import block, handle, reservation
from unipam.dialects.calico.rules.leases import SeenBlock, SeenHandle, of_block, of_handle
from unipam.model.errors import Unreadable

R = TypeVar("R")


class Broken:
    """A document that cannot be worked with."""


class Unnamed(msgspec.Struct, frozen=True):
    """What stands in the place of a key that cannot be read: what the datastore calls the object."""

    name: str


Named = Key | Unnamed


class Documents(Generic[R]):
    """A Source (`clients.mirror`) of the documents of a selection, by their keys.

    One that is no document at all has no key that could be read, and stands there by its name.
    """

    def __init__(
        self, datastore: Datastore, selection: Selection, read: Callable[[Item], R], *, leaving: bool = False
    ) -> None:
        """With `leaving` also those that were marked as deleted when they were listed."""
        self._leaving = leaving
        self.name = f"calico's {selection.kind.__name__.removesuffix('Key').lower()} documents"
        self._datastore, self._selection, self._read = datastore, selection, sound(read)

    def list(self, deadline: float) -> tuple[str, dict[Named, R | Broken]]:
        """See `mirror.Source.list`."""
        found: dict[Named, R | Broken] = {}
        revision = ""
        for page in self._datastore.pages(self._selection, deadline):  # so that few documents are held at once
            revision = page.revision
            found |= {Unnamed(each.name): Broken() for each in page.broken}
            items = page.items + (page.leaving if self._leaving else ())
            found |= {item.key: self._read(item) for item in items}
        return revision, found

    def watch(self, revision: str, deadline: float) -> DocumentWatcher[R]:
        """See `mirror.Source.watch`."""
        return DocumentWatcher(self._datastore.watch(self._selection, revision, deadline), self._read)


class DocumentWatcher(Generic[R]):
    """A Watcher (`clients.mirror`) of documents."""

    def __init__(self, watch: Watch, read: Callable[[Item], R | Broken]) -> None:
        self._watch, self._read = watch, read

    @property
    def revision(self) -> str:
        """See `mirror.Watcher.revision`."""
        return self._watch.revision

    def next(self, deadline: float) -> Sequence[tuple[Named, R | Broken | None]]:
        """See `mirror.Watcher.next`."""
        return [(event.item.key, self._record(event)) for event in self._watch.next(deadline)]

    def close(self) -> None:
        """See `mirror.Watcher.close`."""
        self._watch.close()

    def _record(self, event: Event) -> R | Broken | None:
        if event.what == "deleted":
            return None
        return Broken() if event.what == "broken" else self._read(event.item)


def sound(read: Callable[[Item], R]) -> Callable[[Item], R | Broken]:
    """Return a reader that says Broken of a document that the given one cannot read."""

    def reader(item: Item) -> R | Broken:
        try:
            return read(item)
        except Unreadable:
            return Broken()

    return reader


def read_block(item: Item) -> SeenBlock:
    """Return what is kept of a block. Raises Unreadable."""
    return of_block(block.read(item.document))


def read_handle(item: Item) -> SeenHandle:
    """Return what is kept of a handle. Raises Unreadable."""
    return of_handle(handle.read(item.document, str(item.key)), item.revision)


def read_reservation(item: Item) -> list[Prefix]:
    """Return the prefixes of a reservation. Raises Unreadable."""
    return reservation.read(item.document)[0]


def read_revision(item: Item) -> str:
    """Return the revision of an affinity, which is all that is kept of it."""
    return item.revision


def read_ready(item: Item) -> bool:
    """Return whether the datastore may be written, by the cluster's information: it is locked while it is moved."""
    return (item.document.get("spec") or {}).get("datastoreReady") is not False


def read_kubernetes_name(item: Item) -> str:
    """Return what Kubernetes calls a node of Calico's; empty for one that is no node of Kubernetes."""
    references = (item.document.get("spec") or {}).get("orchRefs") or ()
    return next((str(each.get("nodeName") or "") for each in references if each.get("orchestrator") == "k8s"), "")
