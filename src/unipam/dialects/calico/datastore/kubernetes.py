"""Calico's documents in Kubernetes: custom resources, one a document, and no transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.clients.kubernetes.collection import Watching, read_all
from unipam.dialects.calico.datastore import nodes
from unipam.dialects.calico.datastore.api import (
    Broken,
    Create,
    Delete,
    Document,
    Event,
    Item,
    Listing,
    Selection,
    Update,
    Write,
)
from unipam.dialects.calico.datastore.keys import Key, NodeKey
from unipam.dialects.calico.datastore.paths import selected
from unipam.dialects.calico.datastore.refusals import conflict, exists, not_found
from unipam.dialects.calico.datastore.resources import BRIEF, NATIVE, STORED, Objects, selectors
from unipam.model.errors import BadValue, Conflict, Expired, NotFound, SourceFailed, Unreadable

_WHAT = {"ADDED": "added", "MODIFIED": "modified", "DELETED": "deleted"}
_UNSERVED = "it has just been started, or lacks Calico's CustomResourceDefinitions"
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError)
"""What reading an object raises that is not what its kind must be."""


class KubernetesDatastore:
    """A Datastore (`api`) in a cluster's API server. A revision is a resourceVersion."""

    transactional = False

    def __init__(self, api: KubernetesApi, group: str = "") -> None:
        """Use the group that holds Calico's resources; where none is named, the server is asked."""
        self._api, self._objects = api, Objects(group) if group else None

    def get(self, key: Key, deadline: float) -> Item:
        """See `api.Datastore.get`."""
        objects = self._known(deadline)
        try:
            found = self._api.get(objects.path(key), deadline)
        except Refusal as error:
            self._refuse(error, key, None)
        item = self._read(objects, key, found)
        if item.document.get("deleted") is True:
            self._end_removal(item, deadline)
            raise not_found(key, self._api.name)
        return item

    def list(self, selection: Selection, deadline: float) -> Listing:
        """See `api.Datastore.list`."""
        objects, first = self._known(deadline), ""
        found: dict[str, Document] = {}
        for query in selectors(selection):
            revision, several = self._pages(objects.collection(selection.kind), query, deadline)
            first = first or revision
            found |= {each["metadata"]["name"]: each for each in several}
        items: list[Item] = []
        broken: list[Broken] = []
        leaving: list[Item] = []
        for name, each in sorted(found.items()):
            try:
                item = objects.read(selection.kind, each)
            except _MALFORMED as error:
                broken.append(Broken(f"{objects.collection(selection.kind)}/{name}", _why(error)))
            else:
                if selected(item.key, selection):
                    (leaving if item.document.get("deleted") is True else items).append(item)
        return Listing(tuple(items), first, tuple(broken), tuple(leaving))

    def pages(self, selection: Selection, deadline: float) -> Iterator[Listing]:
        """See `api.Datastore.pages`: the server gives pages, of which all documents are kept."""
        yield self.list(selection, deadline)

    def lists(self, selections: tuple[Selection, ...], deadline: float) -> tuple[Listing, ...]:
        """See `api.Datastore.lists`."""
        return tuple(self.list(selection, deadline) for selection in selections)

    def create(self, key: Key, document: Document, deadline: float) -> Item:
        """See `api.Datastore.create`. Nodes are Kubernetes' own to create."""
        objects = self._known(deadline)
        try:
            path, item = objects.collection(type(key)), Item(key, document, "")
            made = self._api.create(path, objects.write(item), deadline, briefly=isinstance(key, BRIEF))
            return self._written(objects, item, made)
        except Refusal as error:
            self._refuse(error, key, None)

    def update(self, item: Item, deadline: float) -> Item:
        """See `api.Datastore.update`. Of a node only what Calico keeps in annotations is written."""
        objects = self._known(deadline)
        try:
            if isinstance(item.key, NodeKey):
                return self._annotate(objects, item, deadline)
            path, brief = objects.path(item.key), isinstance(item.key, BRIEF)
            return self._written(objects, item, self._api.replace(path, objects.write(item), deadline, briefly=brief))
        except Refusal as error:
            self._refuse(error, item.key, item.revision)

    def delete(self, key: Key, revision: str | None, deadline: float) -> None:
        """See `api.Datastore.delete`."""
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if revision is not None:
            options["preconditions"] = {"resourceVersion": revision}
        try:
            self._api.delete(self._known(deadline).path(key), options, deadline)
        except Refusal as error:
            self._refuse(error, key, revision)

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        """See `api.Datastore.transact`."""
        if len(writes) > 1:
            raise ValueError("Kubernetes writes one object at a time")
        for write in writes:
            match write:
                case Create(key, document):
                    return (self.create(key, document, deadline),)
                case Update(item):
                    return (self.update(item, deadline),)
                case Delete(key, revision):
                    self.delete(key, revision, deadline)
        return ()

    def watch(self, selection: Selection, revision: str, deadline: float) -> KubernetesWatch:
        """See `api.Datastore.watch`."""
        objects, query = self._known(deadline), selectors(selection)[0]
        watching = Watching(self._api, objects.collection(selection.kind), revision, deadline, **query)
        return KubernetesWatch(watching, objects, selection)

    def close(self) -> None:
        """See `api.Datastore.close`."""
        self._api.close()

    def _known(self, deadline: float) -> Objects:
        """Return the group that holds Calico's resources: the native one only where there is no other (spec §4.3).

        A server that has just started names neither; so it is asked again until it names one.
        """
        if self._objects is None:
            groups = {each["name"] for each in self._api.get("/apis", deadline)["groups"]}
            named = [group for group in (STORED, NATIVE) if group.split("/", maxsplit=1)[0] in groups]
            if not named:
                return Objects(STORED)
            self._objects = Objects(named[0])
        return self._objects

    def _pages(self, path: str, query: dict[str, str], deadline: float) -> tuple[str, Sequence[Document]]:
        """Return every object of a collection, and the revision of the list."""
        try:
            return read_all(self._api, path, lambda each: each, deadline, **query)
        except Refusal as error:
            self._refuse(error, None, None)

    def _read(self, objects: Objects, key: Key, found: Document) -> Item:
        try:
            return objects.read(type(key), found)
        except _MALFORMED as error:
            raise Unreadable(f"{self._api.name}: {key} cannot be read: {_why(error)}", key=key) from None

    def _written(self, objects: Objects, item: Item, answer: Document) -> Item:
        """Return an item as it was written; one that was answered briefly is what was asked for."""
        if not isinstance(item.key, BRIEF):
            return self._read(objects, item.key, answer)
        about = answer["metadata"]
        return item._replace(revision=about["resourceVersion"], origin=about)

    def _end_removal(self, item: Item, deadline: float) -> None:
        """Remove what somebody else marked as deleted, unless it is something else by now."""
        try:
            self.delete(item.key, item.revision, deadline)
        except (NotFound, Conflict):
            return

    def _annotate(self, objects: Objects, item: Item, deadline: float) -> Item:
        before = objects.read(NodeKey, self._api.get(objects.path(item.key), deadline))
        if before.revision != item.revision:
            raise conflict(item.key, item.revision, self._api.name)
        annotations = nodes.changes(before.document, item.document)
        patch = {"metadata": {"resourceVersion": item.revision, "annotations": annotations}}
        return objects.read(NodeKey, self._api.merge(objects.path(item.key), patch, deadline))

    def _refuse(self, refusal: Refusal, key: Key | None, revision: str | None) -> NoReturn:
        where = self._api.name
        if refusal.status == 404 and not refusal.about:
            raise SourceFailed(f"{where}: {refusal} ({_UNSERVED})", source=where) from refusal
        if refusal.status == 404 and key is not None:
            raise not_found(key, where) from refusal
        if refusal.reason == "AlreadyExists" and key is not None:
            raise exists(key, where) from refusal
        if refusal.status == 409 and key is not None:
            raise conflict(key, revision, where) from refusal
        if refusal.status == 410:
            raise Expired(f"{where}: {refusal}", source=where) from refusal
        if refusal.status in {400, 405, 413, 422} or "too large" in str(refusal) or "larger than" in str(refusal):
            raise BadValue(f"{where}: {key} is refused: {refusal}", field="document", value=str(key)) from refusal
        raise SourceFailed(f"{where}: {refusal}", source=where) from refusal


class KubernetesWatch:
    """A Watch (`api`) of a collection."""

    def __init__(self, watching: Watching, objects: Objects, selection: Selection) -> None:
        self._watching, self._objects, self._selection = watching, objects, selection

    @property
    def revision(self) -> str:
        """See `api.Watch.revision`."""
        return self._watching.revision

    def next(self, deadline: float) -> tuple[Event, ...]:
        """See `api.Watch.next`."""
        while not self._watching.closed:
            if events := tuple(event for each in self._watching.next(deadline) if (event := self._event(each))):
                return events
            if time.monotonic() >= deadline:
                break
        return ()

    def close(self) -> None:
        """See `api.Watch.close`."""
        self._watching.close()

    def _event(self, event: Document) -> Event | None:
        if event["type"] not in _WHAT:
            return None
        try:
            item = self._objects.read(self._selection.kind, event["object"])
        except _MALFORMED:
            return None
        if not selected(item.key, self._selection):
            return None
        marked = item.document.get("deleted") is True
        return Event("deleted" if marked else _WHAT[event["type"]], item)  # type: ignore[arg-type]


def _why(error: Exception) -> str:
    """Say what is wrong with an object, in one line."""
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)
