"""The datastores under test. A new one joins the contract by one more line in BACKENDS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tests.real import etcd as real
from tests.real import kube_apiserver

from unipam.clients.etcd import messages
from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.calico.datastore.api import Datastore, Item
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.memory import MemoryDatastore
from unipam.dialects.calico.datastore.paths import path
from unipam.dialects.calico.datastore.resources import NATIVE, STORED, Objects


class Backend(Protocol):
    """One set of documents."""

    def open(self) -> Datastore:
        """One more handle on it, as another process would have."""

    def spoil(self, key: HandleKey) -> None:
        """Put something that is no document where this key's is."""

    def forget(self, revision: str) -> str:
        """Drop the history up to now; a revision that nobody knows any more, this one where that can be."""

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

    def forget(self, revision: str) -> str:
        self._store.forget()
        return revision

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

    def forget(self, revision: str) -> str:
        real.compact(real.shared().endpoints[0], self._etcd.range(b"/", b"", real.soon()).revision)
        return revision

    def close(self) -> None:
        real.empty(self._etcd)
        for handle in (*self._handles, self._etcd):
            handle.close()


class RealKubernetes:
    """The server of a group that tests share."""

    def __init__(self, group: str) -> None:
        self._server = kube_apiserver.shared(group)
        self._api = KubernetesApi(str(self._server.kubeconfig))
        kube_apiserver.empty(self._api, group)
        self._handles: list[Datastore] = []

    def open(self) -> Datastore:
        self._handles.append(KubernetesDatastore(KubernetesApi(str(self._server.kubeconfig))))
        return self._handles[-1]

    def spoil(self, key: HandleKey) -> None:
        """Its schema refuses what is no handle, so it is taken away for that long."""
        group = self._server.group
        made = Objects(group).write(Item(key, {"block": {}, "deleted": False}, ""))
        with kube_apiserver.lenient(self._api, group, "ipamhandles"):
            del made["spec"]["handleID"]
            self._api.create(Objects(group).collection(HandleKey), made, real.soon())

    def forget(self, revision: str) -> str:
        """A server keeps some history in memory; but not from before its own time."""
        return "1"

    def close(self) -> None:
        kube_apiserver.empty(self._api, self._server.group)
        for handle in (*self._handles, self._api):
            handle.close()


BACKENDS: dict[str, Callable[[], Backend]] = {
    "memory": Memory,
    "etcd": RealEtcd,
    "kubernetes": lambda: RealKubernetes(STORED),
    "kubernetes-native": lambda: RealKubernetes(NATIVE),
}
