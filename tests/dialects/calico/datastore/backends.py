"""The datastores under test. A new one joins the contract by one more line in BACKENDS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tests.real import etcd as real

from unipam.clients.etcd import messages
from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.dialects.calico.datastore.api import Datastore
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.dialects.calico.datastore.paths import path


class Backend(Protocol):
    """One set of documents."""

    def open(self) -> Datastore:
        """One more handle on it, as another process would have."""

    def spoil(self, key: HandleKey) -> None:
        """Put something that is no document where this key's is."""

    def forget(self) -> None:
        """Drop the history up to now."""

    def close(self) -> None:
        """Remove every document, and close every handle."""


class Memory:
    """One datastore, which every handle is."""

    def __init__(self) -> None:
        self._store = MemoryDatastore()

    def open(self) -> Datastore:
        return self._store

    def spoil(self, key: HandleKey) -> None:
        self._store.put(key, b"[not a document")

    def forget(self) -> None:
        self._store.forget()

    def close(self) -> None:
        self._store.close()


class RealEtcd:
    """The server that tests share."""

    def __init__(self) -> None:
        self._etcd = Etcd(Settings(real.shared().endpoints))
        real.empty(self._etcd)
        self._handles: list[Datastore] = []

    def open(self) -> Datastore:
        self._handles.append(EtcdDatastore(Etcd(Settings(real.shared().endpoints))))
        return self._handles[-1]

    def spoil(self, key: HandleKey) -> None:
        self._etcd.transact([], [messages.put(path(key).encode(), b"[not a document")], [], real.soon())

    def forget(self) -> None:
        revision = self._etcd.range(b"/", b"", real.soon()).revision
        real.compact(real.shared().endpoints[0], revision)

    def close(self) -> None:
        real.empty(self._etcd)
        for handle in (*self._handles, self._etcd):
            handle.close()


BACKENDS: dict[str, Callable[[], Backend]] = {"memory": Memory, "etcd": RealEtcd}
