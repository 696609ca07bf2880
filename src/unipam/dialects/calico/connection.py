"""The datastores that this process speaks to: one connection per cluster, opened when first needed and kept.

An agent also keeps at hand what its node needs of each (`watched`). A client library is imported with the first
connection of its kind, since a cold call pays for every import.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from unipam.dialects.calico.where import ETCD, Where
from unipam.model.errors import BadConfig, Missing, NotFound

if TYPE_CHECKING:
    from unipam.clients.kubernetes.access import Server
    from unipam.clients.kubernetes.api import KubernetesApi
    from unipam.dialects.calico.datastore.api import Datastore
    from unipam.dialects.calico.datastore.watched import WatchedDatastore
    from unipam.dialects.calico.engine.combining import Combiner


_lock = threading.RLock()
"""Calls that come at once share what the first of them opens."""


def datastore(where: Where) -> Datastore:
    """Return the datastore that the configuration names; nothing is asked of it yet.

    Raises BadValue or BadConfig for one that cannot be there.
    """
    with _lock:
        return _datastore(where)


def once(where: Where, node: str) -> Datastore:
    """Return the datastore for one call of a node: what it needs is read at once where that can be. Raises as above."""
    store = datastore(where)
    if not store.transactional:
        return store
    from unipam.dialects.calico.datastore.snapshot import SnapshotDatastore

    return SnapshotDatastore(store, node)


class Watched(NamedTuple):
    """A datastore of which a node's part is known, and what combines the writes of all calls on the node.

    `namespaces` are those that were found to be there.
    """

    datastore: WatchedDatastore
    combiner: Combiner
    namespaces: set[str]

    def doubt(self) -> None:
        """Trust nothing that is known: it has led a call astray."""
        self.datastore.doubt()
        self.combiner.doubt()
        self.namespaces.clear()


def watched(where: Where, node: str) -> Watched:
    """Return what an agent keeps of the datastore for a node. Raises as `datastore`."""
    with _lock:
        return _watched(where, node)


def close() -> None:
    """Let go of every connection."""
    with _lock:
        for each in reversed(_opened):
            each.close()
        _opened.clear()
        _watched.cache_clear()
        _datastore.cache_clear()
        _api.cache_clear()


_opened: list[Datastore | KubernetesApi] = []


@functools.cache
def _watched(where: Where, node: str) -> Watched:
    from unipam.dialects.calico.datastore.watched import WatchedDatastore
    from unipam.dialects.calico.engine.combining import Combiner

    found = WatchedDatastore(datastore(where), node)
    _opened.append(found)
    return Watched(found, Combiner(), set())


@functools.cache
def _datastore(where: Where) -> Datastore:
    _opened.append(found := _etcd(where) if where.kind == ETCD else _kubernetes(where))
    return found


def _etcd(where: Where) -> Datastore:
    from unipam.clients.etcd.client import Etcd
    from unipam.clients.etcd.settings import Settings, Tls
    from unipam.dialects.calico.datastore.etcd import EtcdDatastore

    tls = Tls.read(where.ca_file, where.cert_file, where.key_file)
    if any(where.inline):
        tls = Tls(*(given.encode() or read for given, read in zip(where.inline, tls, strict=True)))
    return EtcdDatastore(Etcd(Settings(_endpoints(where), tls, where.user, where.password)))


def _endpoints(where: Where) -> tuple[str, ...]:
    """Return the members that are named, or found by SRV records. Raises SourceFailed."""
    if not where.discovery:
        return where.endpoints
    from unipam.clients.etcd.discovery import endpoints

    return endpoints(where.discovery)


def _kubernetes(where: Where) -> Datastore:
    from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore

    return KubernetesDatastore(_api(_server(where)), where.api_group)


def _server(where: Where) -> Server:
    from unipam.clients.kubernetes.access import Server

    files = (where.ca_file, where.cert_file, where.key_file) if where.api_root else ("", "", "")
    return Server(where.kubeconfig, where.context, where.api_root, where.token, *files, where.insecure)


@functools.cache
def _api(server: Server) -> KubernetesApi:
    from unipam.clients.kubernetes.api import KubernetesApi

    _opened.append(found := KubernetesApi(server))
    return found


def kubernetes(where: Where, path: str, deadline: float) -> dict[str, Any]:
    """Read an object of Kubernetes' own. Raises NotFound, Missing or BadConfig in its client's words; SourceFailed."""
    from unipam.clients.kubernetes.api import Refusal

    if not where.kubeconfig and not where.api_root:
        why = "no configuration has been provided, try setting KUBERNETES_MASTER environment variable"
        raise BadConfig(f"invalid configuration: {why}")
    with _lock:
        api = _api(_server(where))
    try:
        return dict(api.get(path, deadline))
    except Refusal as error:
        raise (NotFound if error.status == 404 else Missing)(str(error), path=path) from error


def namespace_path(name: str) -> str:
    """Return the path of a namespace in the Kubernetes API."""
    from urllib.parse import quote

    return f"/api/v1/namespaces/{quote(name, safe='')}"
