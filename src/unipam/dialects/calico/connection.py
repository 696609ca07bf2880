"""The datastores that this process speaks to: one connection per cluster, opened when first needed and kept.

A client library is imported with the first connection of its kind, since a cold call pays for every import.
"""

from __future__ import annotations

import functools

from unipam.dialects.calico.config import ETCD, Where
from unipam.dialects.calico.datastore.api import Datastore
from unipam.model.errors import BadConfig


@functools.lru_cache(maxsize=16)
def datastore(where: Where) -> Datastore:
    """The datastore there. Raises BadValue or BadConfig for one that cannot be there; nothing is asked of it yet."""
    if where.kind == ETCD:
        return _etcd(where)
    raise BadConfig(f"the datastore {where.kind} cannot be used yet")


def _etcd(where: Where) -> Datastore:
    from unipam.clients.etcd.client import Etcd
    from unipam.clients.etcd.settings import Settings, Tls
    from unipam.dialects.calico.datastore.etcd import EtcdDatastore

    return EtcdDatastore(Etcd(Settings(where.endpoints, Tls.read(where.ca_file, where.cert_file, where.key_file))))


def namespace_labels(where: Where, name: str, deadline: float) -> dict[str, str]:  # noqa: ARG001 (until Kubernetes)
    """The labels of a Kubernetes namespace. Raises BadConfig in the words of the original's client."""
    if not where.kubeconfig:
        why = "no configuration has been provided, try setting KUBERNETES_MASTER environment variable"
        raise BadConfig(f"failed to get namespace {name}: invalid configuration: {why}", namespace=name)
    raise BadConfig(f"failed to get namespace {name}: the Kubernetes API cannot be used yet", namespace=name)
