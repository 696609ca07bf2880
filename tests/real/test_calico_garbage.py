"""`unipam controller --calico` against a real API server: what is gone goes, what lives stays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.real import etcd, kube_apiserver, kubernetes_objects
from tests.real.bad_api_server import bad_api_server
from tests.real.controller import Controller
from tests.real.etcd import soon
from tests.real.kubernetes_objects import make_node, make_pod, remove_node, remove_pod

from unipam.addr.prefix import format_address, parse_address
from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.dialects.calico.datastore.api import Datastore, Selection
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import (
    AffinityKey,
    BlockKey,
    ClusterKey,
    ControllersKey,
    HandleKey,
    NodeKey,
    PoolKey,
)
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.resources import STORED
from unipam.dialects.calico.documents import block as blocks
from unipam.dialects.calico.engine import explicit
from unipam.dialects.calico.engine.auto import Request, auto_assign
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.rules.leases import of_block
from unipam.dialects.calico.rules.names import Tunnel
from unipam.model.errors import NotFound, SourceFailed

pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY)]


class Cluster:
    """A datastore with Calico's documents beside an API server with pods and nodes."""

    def __init__(self, store: Datastore, api: KubernetesApi) -> None:
        self.store, self.api = store, api

    def node(self, name: str) -> None:
        """A node, which on etcd Calico knows too."""
        make_node(self.api, name)
        if self.store.transactional:
            spec = {"orchRefs": [{"nodeName": name, "orchestrator": "k8s"}]}
            self.store.create(NodeKey(name), {"metadata": {"name": name}, "spec": spec}, soon())

    def lease(self, pod: str, node: str, handle: str = "") -> str:
        """An address for a pod that may or may not be there."""
        attributes = {"namespace": "default", "pod": pod, "node": node}
        request = Request(1, 4, node, handle or f"net.{pod}", attributes, use="Workload")
        ((address, _),) = auto_assign(Session(self.store, soon()), request).addresses
        return format_address(address)

    def tunnel(self, node: str, address: str) -> None:
        """A tunnel's address for a node."""
        attributes = {"node": node, "type": Tunnel.VXLAN.attribute}
        wanted = explicit.Request(parse_address(address), node, Tunnel.VXLAN.handle(node), attributes, use="Tunnel")
        explicit.assign(Session(self.store, soon()), wanted)

    def handles(self) -> set[str]:
        """The handles there are."""
        return {item.key.id for item in self._all(HandleKey)}

    def holders(self) -> set[str]:
        """The handles that blocks name."""
        return {lease.handle for item in self._all(BlockKey) for lease in of_block(blocks.read(item.document)).leases}

    def owners(self) -> set[str]:
        """The nodes that claim blocks."""
        return {item.key.host for item in self._all(AffinityKey)}

    def lock(self, ready: bool) -> None:
        """Lock the datastore, or unlock it."""
        document = {"metadata": {"name": "default"}, "spec": {"datastoreReady": ready}}
        try:
            item = self.store.get(ClusterKey(), soon())
        except NotFound:
            self.store.create(ClusterKey(), document, soon())
        else:
            self.store.update(item._replace(document={**item.document, "spec": document["spec"]}), soon())

    def _all(self, kind: Any) -> Any:
        return self.store.list(Selection(kind), soon()).items


@pytest.fixture(params=["kubernetes", "etcd"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    server = kube_apiserver.shared(STORED)
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api:
        kube_apiserver.empty(api, STORED)
        kubernetes_objects.await_namespaces(api)
        kubernetes_objects.empty(api)
        client = Etcd(Settings(etcd.shared().endpoints))
        etcd.empty(client)
        store = KubernetesDatastore(api, STORED) if request.param == "kubernetes" else EtcdDatastore(client)
        made = Cluster(store, api)
        pool = {"metadata": {"name": "p"}, "spec": {"cidr": "10.9.0.0/24", "blockSize": 28}}
        store.create(PoolKey("p"), pool, soon())
        for node in ("n1", "n2"):
            made.node(node)
        yield made
        kube_apiserver.empty(api, STORED)
        kubernetes_objects.empty(api)
        etcd.empty(client)
        client.close()


@pytest.fixture
def start(cluster: Cluster, tmp_path: Path) -> Iterator[Callable[..., Controller]]:
    started: list[Controller] = []

    def start(*options: str, kubeconfig: Path | None = None, grace: str = "5") -> Controller:
        where = ("--datastore", "etcdv3", "--etcd-endpoints", ",".join(etcd.shared().endpoints))
        chosen = where if cluster.store.transactional else ()
        kubeconfig = kubeconfig or kube_apiserver.shared(STORED).kubeconfig
        chosen += ("--grace", grace) if grace else ()
        started.append(Controller(tmp_path, kubeconfig, "--calico", *chosen, *options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.stop()


def test_what_pods_and_nodes_left_behind_goes_and_the_rest_stays(
    cluster: Cluster, start: Callable[..., Controller]
) -> None:
    living = cluster.lease("living", "n1")
    make_pod(cluster.api, "living", "n1", living)
    cluster.lease("starting", "n2")
    make_pod(cluster.api, "starting", "n2", phase="Pending")
    ended = cluster.lease("ended", "n1")
    make_pod(cluster.api, "ended", "n1", ended, phase="Succeeded")
    other = cluster.lease("moved", "n1")
    make_pod(cluster.api, "moved", "n2", "10.9.0.250")
    cluster.lease("never", "n2")
    cluster.node("n3")
    cluster.lease("dead", "n3")
    cluster.tunnel("n3", "10.9.0.200")
    cluster.tunnel("n1", "10.9.0.1")
    controller = start()
    controller.await_line("leading")
    expected = {"net.living", "net.starting", "vxlan-tunnel-addr-n3", "vxlan-tunnel-addr-n1"}
    controller.until(lambda: cluster.holders() == cluster.handles() == expected)  # written in turn
    remove_node(cluster.api, "n3")
    remove_pod(cluster.api, "living")
    expected = {"net.starting", "vxlan-tunnel-addr-n1"}
    controller.until(lambda: cluster.holders() == cluster.handles() == expected)
    controller.until(lambda: cluster.owners() == {"n1", "n2"})
    released = {living, ended, other, "10.9.0.200"}  # which is told when the round is over
    controller.until(lambda: {line["address"] for line in controller.said("leak released")} >= released)
    reclaimed = 'ipam_allocations_gc_reclamations{ippool="p",node="n1"}'
    controller.until(lambda: controller.metrics().get(reclaimed) == 3)
    controller.until(lambda: controller.metrics()['ipam_allocations_in_use{ippool="p",node="n2"}'] == 1)
    assert controller.metrics()['ipam_ippool_size{ippool="p"}'] == 256
    assert controller.stop() == 0


def test_a_locked_datastore_is_not_touched(cluster: Cluster, start: Callable[..., Controller]) -> None:
    cluster.lock(False)
    cluster.lease("gone", "n1")
    controller = start()
    controller.await_line("datastore locked")
    controller.until(lambda: "unipam_calico_round_seconds" not in controller.metrics())
    assert cluster.holders() == {"net.gone"}
    cluster.lock(True)
    controller.await_line("datastore unlocked")
    controller.until(lambda: not cluster.holders())


def test_the_cluster_says_how_long_a_leak_is_waited_for(cluster: Cluster, start: Callable[..., Controller]) -> None:
    spec = {"controllers": {"node": {"leakGracePeriod": "6s"}}}
    cluster.store.create(ControllersKey(), {"metadata": {"name": "default"}, "spec": spec}, soon())
    cluster.lease("gone", "n1")
    controller = start(grace="")
    assert controller.await_line("grace by the cluster's configuration")["seconds"] == 6
    controller.until(lambda: not cluster.holders())
    assert controller.stop() == 0


def test_a_node_that_is_made_anew_while_its_pods_run_loses_nothing(
    cluster: Cluster, start: Callable[..., Controller]
) -> None:
    address = cluster.lease("living", "n1")
    make_pod(cluster.api, "living", "n1", address)
    cluster.tunnel("n1", "10.9.0.1")
    cluster.lease("gone", "n1")
    remove_node(cluster.api, "n1")
    controller = start()
    controller.until(lambda: cluster.holders() == {"net.living", "vxlan-tunnel-addr-n1"})
    make_node(cluster.api, "n1")
    cluster.lease("gone-too", "n1")
    controller.until(lambda: cluster.holders() == {"net.living", "vxlan-tunnel-addr-n1"})
    assert cluster.owners() == {"n1"}


def test_another_process_takes_over_where_one_ends_or_dies(cluster: Cluster, start: Callable[..., Controller]) -> None:
    first = start()
    first.await_line("leading")
    second = start()
    assert first.stop() == 0
    second.await_line("leading")
    cluster.lease("gone", "n1")
    second.until(lambda: not cluster.holders())
    third = start()
    second.kill()
    third.await_line("leading")
    cluster.lease("gone-too", "n1")
    third.until(lambda: not cluster.holders())


def test_a_server_that_dies_and_comes_back_is_followed_again(
    cluster: Cluster, start: Callable[..., Controller]
) -> None:
    controller = start()
    controller.await_line("leading")
    cluster.lease("gone", "n1")
    controller.until(lambda: not cluster.holders())
    server = kube_apiserver.shared(STORED)
    server.kill()
    server.run()
    controller.until(lambda: answers(cluster))
    living = cluster.lease("living", "n1")
    make_pod(cluster.api, "living", "n1", living)
    cluster.lease("gone-too", "n2")
    controller.until(lambda: cluster.holders() == {"net.living"})


def test_a_server_that_is_overloaded_slow_forgetful_and_contended(
    cluster: Cluster, start: Callable[..., Controller], tmp_path: Path
) -> None:
    """429, 500, seconds of silence, answers lost, watches cut, histories gone, and 409 to most writes."""
    with bad_api_server(tmp_path, kube_apiserver.shared(STORED)) as between:
        controller = start(kubeconfig=between.kubeconfig)
        controller.await_line("leading")
        for number in range(4):
            living = cluster.lease(f"living-{number}", "n1")
            make_pod(cluster.api, f"living-{number}", "n1", living)
            cluster.lease(f"gone-{number}", "n2")
        expected = {f"net.living-{number}" for number in range(4)}
        controller.until(lambda: len(between.said) > 4)
        assert cluster.holders() >= expected
        between.bad = False
        controller.until(lambda: cluster.holders() == cluster.handles() == expected)
        assert controller.stop() == 0


def answers(cluster: Cluster) -> bool:
    try:
        cluster.api.get("/readyz", soon(1))
    except (SourceFailed, Refusal) as error:
        return "is not JSON" in str(error)  # it says "ok"
    return True


def test_two_machines_with_one_nodes_name_keep_what_their_pods_use(
    cluster: Cluster, start: Callable[..., Controller]
) -> None:
    for name in ("one", "two"):
        address = cluster.lease(name, "n1", handle=f"net.{name}-machine")
        make_pod(cluster.api, name, "n1", address)
    cluster.lease("one", "n1", handle="net.one-before")
    controller = start()
    controller.until(lambda: cluster.holders() == {"net.one-machine", "net.two-machine"})
