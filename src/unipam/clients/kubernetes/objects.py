"""Kubernetes' own objects as mirrors keep them: of each, what a controller looks at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from unipam.clients.kubernetes.api import KubernetesApi, Object, Refusal
from unipam.clients.kubernetes.collection import Watching, read_all
from unipam.model.errors import SourceFailed

K = TypeVar("K")
R = TypeVar("R")


class Objects(Generic[K, R]):
    """A Source (`clients.mirror`) of a collection of Kubernetes' own objects."""

    def __init__(
        self, api: KubernetesApi, path: str, name: Callable[[Object], K], read: Callable[[Object], R], **query: str
    ) -> None:
        """Read those objects at a path that `query` selects (`fieldSelector`, `labelSelector`)."""
        self.name = f"the cluster's {path.rpartition('/')[2]}"
        self._api, self._path, self._name, self._read, self._query = api, path, name, read, query

    def list(self, deadline: float) -> tuple[str, dict[K, R]]:
        """See `mirror.Source.list`."""

        def pair(found: Object) -> tuple[K, R]:
            return self._name(found), self._read(found)

        revision, several = read_all(self._api, self._path, pair, deadline, **self._query)
        return revision, dict(several)

    def watch(self, revision: str, deadline: float) -> ObjectWatcher[K, R]:
        """See `mirror.Source.watch`."""
        return ObjectWatcher(Watching(self._api, self._path, revision, deadline, **self._query), self._name, self._read)


class ObjectWatcher(Generic[K, R]):
    """A Watcher (`clients.mirror`) of objects."""

    def __init__(self, watching: Watching, name: Callable[[Object], K], read: Callable[[Object], R]) -> None:
        self._watching, self._name, self._read = watching, name, read

    @property
    def revision(self) -> str:
        """See `mirror.Watcher.revision`."""
        return self._watching.revision

    def next(self, deadline: float) -> Sequence[tuple[K, R | None]]:
        """See `mirror.Watcher.next`."""
        return [
            (self._name(each["object"]), None if each["type"] == "DELETED" else self._read(each["object"]))
            for each in self._watching.next(deadline)
            if each["type"] != "BOOKMARK"
        ]

    def close(self) -> None:
        """See `mirror.Watcher.close`."""
        self._watching.close()


def exists(api: KubernetesApi, path: str, deadline: float) -> bool:
    """Return whether an object is there now. Raises SourceFailed."""
    try:
        api.get(path, deadline)
    except Refusal as error:
        if error.status == 404:
            return False
        raise SourceFailed(f"{api.name}: {error}", source=api.name) from error
    return True
