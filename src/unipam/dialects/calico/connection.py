"""The datastores that this process speaks to: one connection per cluster, opened when first needed and kept.

A client library is imported with the first connection of its kind, since a cold call pays for every import.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from urllib.parse import quote

from unipam.dialects.calico.config import ETCD, Where
from unipam.dialects.calico.documents import node
from unipam.model.errors import BadConfig, Missing

if TYPE_CHECKING:
    from unipam.clients.kubernetes.api import KubernetesApi
    from unipam.dialects.calico.datastore.api import Datastore


@functools.lru_cache(maxsize=16)
def datastore(where: Where) -> Datastore:
    """The datastore there. Raises BadValue or BadConfig for one that cannot be there; nothing is asked of it yet."""
    return _etcd(where) if where.kind == ETCD else _kubernetes(where)


def _etcd(where: Where) -> Datastore:
    from unipam.clients.etcd.client import Etcd
    from unipam.clients.etcd.settings import Settings, Tls
    from unipam.dialects.calico.datastore.etcd import EtcdDatastore

    return EtcdDatastore(Etcd(Settings(where.endpoints, Tls.read(where.ca_file, where.cert_file, where.key_file))))


def _kubernetes(where: Where) -> Datastore:
    from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore

    return KubernetesDatastore(_api(where.kubeconfig), where.api_group)


@functools.lru_cache(maxsize=16)
def _api(kubeconfig: str) -> KubernetesApi:
    from unipam.clients.kubernetes.api import KubernetesApi

    return KubernetesApi(kubeconfig)


def namespace_labels(where: Where, name: str, deadline: float) -> dict[str, str]:
    """The labels of a Kubernetes namespace. Raises Missing, BadConfig in the original's words; SourceFailed."""
    from unipam.clients.kubernetes.api import Refusal

    if not where.kubeconfig:
        why = "no configuration has been provided, try setting KUBERNETES_MASTER environment variable"
        raise BadConfig(f"failed to get namespace {name}: invalid configuration: {why}", namespace=name)
    try:
        return node.labels(_api(where.kubeconfig).get(f"/api/v1/namespaces/{quote(name, safe='')}", deadline))
    except Refusal as error:
        raise Missing(f"failed to get namespace {name}: {error}", namespace=name) from error
