"""How much an agent asks of a real datastore, as the servers themselves have counted it (docs/calico.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.conftest import Agent, Plugin
from tests.real import etcd, kube_apiserver
from tests.real.etcd import soon

from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.cni.install import install
from unipam.dialects.calico.datastore.api import Datastore
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import NodeKey, PoolKey
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.resources import STORED

pytestmark = [pytest.mark.real, etcd.needs_etcd]

POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0"
CALLS = 130
"""More than two blocks of addresses."""


class Site(NamedTuple):
    """A datastore: how a configuration names it, how many requests it has answered, and how many a call may make."""

    network: dict[str, Any]
    requests: Callable[[], int]
    most: float


@pytest.fixture(params=["etcd", "kubernetes"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A pool and a node, on a datastore that nobody else asks."""
    with (on_etcd if request.param == "etcd" else on_kubernetes)() as made:
        yield made


@contextlib.contextmanager
def on_etcd() -> Iterator[Site]:
    with etcd.cluster() as cluster, contextlib.closing(EtcdDatastore(Etcd(Settings(cluster.endpoints)))) as store:
        put_pool(store)
        store.create(NodeKey("node1"), {"metadata": {"name": "node1"}}, soon())
        network = {"datastore_type": "etcdv3", "etcd_endpoints": cluster.endpoints[0]}
        yield Site(network, partial(etcd.requests, cluster.endpoints[0]), 1.1)


@contextlib.contextmanager
def on_kubernetes() -> Iterator[Site]:
    if kube_apiserver.WHY:
        pytest.skip(kube_apiserver.WHY)
    server = kube_apiserver.shared(STORED)
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api:
        kube_apiserver.empty(api, STORED)
        put_pool(KubernetesDatastore(api))
        with contextlib.suppress(Refusal):
            api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}, soon())
        network = {"datastore_type": "kubernetes", "kubernetes": {"kubeconfig": str(server.kubeconfig)}}
        yield Site(network, partial(kube_apiserver.requests, server, "application/json"), 2.1)
        kube_apiserver.empty(api, STORED)


def put_pool(store: Datastore) -> None:
    document = {
        "apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "p"},
        "spec": {"cidr": "10.7.0.0/16", "blockSize": 26, "nodeSelector": "all()"},
    }  # fmt: skip
    store.create(PoolKey("p"), document, soon())


def test_a_call_through_the_agent(site: Site, start_agent: Callable[..., Agent], short_dir: Callable[[], Path]) -> None:
    (change,) = install(short_dir(), start_agent().socket, ["calico-ipam"])
    plugin = Plugin(change.path)
    network = {
        "cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "calico", "nodename": "node1",
        "ipam": {"type": "calico-ipam"}, **site.network,
    }  # fmt: skip
    assert plugin("ADD", network, "first", args=POD).code == 0  # and the agent begins to watch
    for verb in ("ADD", "DEL"):
        before = site.requests()
        for number in range(CALLS):
            assert plugin(verb, network, f"c{number}", args=POD).code == 0
        asked = site.requests() - before
        assert asked / CALLS <= site.most, (verb, asked)
