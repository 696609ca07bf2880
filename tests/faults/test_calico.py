"""Calico's datastore on its worst days, under load through launcher and agent: leaders, API servers and agents die.

Whatever happens, no address is told twice, none that was told is lost, and a DEL that succeeded left nothing.
`UNIPAM_CALICO_DEATHS` says how often something is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Agent, environment
from tests.faults.calico_crowd import Crowd, compare, handles, holdings
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

DEATHS = int(os.environ.get("UNIPAM_CALICO_DEATHS", "2"))
CALLERS = 6
POOL = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "IPPool",
    "metadata": {"name": "p"},
    "spec": {"cidr": "10.5.0.0/16", "blockSize": 28, "nodeSelector": "all()"},
}


def crowd_of(plugin: Path, network: dict[str, Any]) -> Crowd:
    """Callers of one plugin with one configuration."""

    def ask(caller: int, verb: str, container: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(plugin)], env=environment(verb, container), input=json.dumps(network).encode(),
            capture_output=True, check=False, timeout=300,
        )  # fmt: skip

    return Crowd(ask, CALLERS)


def check(crowd: Crowd, store: Datastore, *, exact: bool) -> None:
    """Compare what callers were told with what the datastore has; `exact` where no count may be too high."""
    compare(crowd, store)
    if exact:
        counted = {handle: sum(blocks.values()) for handle, blocks in handles(store).items()}
        assert counted == {handle: len(addresses) for handle, addresses in holdings(store).items()}
    crowd.remove_all()
    assert (crowd.doubtful, holdings(store)) == (set(), {})
    assert not exact or not handles(store)


@pytest.fixture
def launcher(short_dir: Callable[[], Path]) -> Callable[[Path], Path]:
    """calico-ipam for an agent at this socket."""

    def installed(socket: Path) -> Path:
        (change,) = install(short_dir(), socket, ["calico-ipam"])
        return change.path

    return installed


def config(**where: Any) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "calico", "nodename": "node1",
        "ipam": {"type": "calico-ipam"}, **where,
    }  # fmt: skip


def on_etcd(store: Datastore, endpoints: tuple[str, ...]) -> dict[str, Any]:
    """Put a pool and a node there; how a configuration names the datastore."""
    store.create(PoolKey("p"), POOL, soon(60))
    store.create(NodeKey("node1"), {"metadata": {"name": "node1"}}, soon(60))
    return config(datastore_type="etcdv3", etcd_endpoints=",".join(endpoints))


def test_the_leader_of_three_members_is_killed(
    start_agent: Callable[..., Agent], launcher: Callable[[Path], Path]
) -> None:
    with etcd.cluster(3) as three:
        store = EtcdDatastore(Etcd(Settings(three.endpoints)))
        with contextlib.closing(store):
            crowd = crowd_of(launcher(start_agent().socket), on_etcd(store, three.endpoints))
            with crowd.at_work():
                for _ in range(DEATHS):
                    crowd.await_more()
                    leader = next(member for member in three.members if member.leads)
                    leader.kill()
                    crowd.await_more()
                    leader.start(three.peers)
                crowd.await_more()
            crowd.tidy_up()
            check(crowd, store, exact=True)


@pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY)
def test_the_api_server_is_killed(start_agent: Callable[..., Agent], launcher: Callable[[Path], Path]) -> None:
    server = kube_apiserver.shared(STORED)
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api:
        kube_apiserver.empty(api, STORED)
        store = KubernetesDatastore(api)
        store.create(PoolKey("p"), POOL, soon(60))
        with contextlib.suppress(Refusal):
            api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}, soon(60))
        network = config(datastore_type="kubernetes", kubernetes={"kubeconfig": str(server.kubeconfig)})
        crowd = crowd_of(launcher(start_agent().socket), network)
        with crowd.at_work():
            for _ in range(DEATHS):
                crowd.await_more()
                server.kill()
                server.run()
            crowd.await_more()
        crowd.tidy_up()
        check(crowd, store, exact=False)
        kube_apiserver.empty(api, STORED)


def test_the_agent_is_killed(
    start_agent: Callable[..., Agent], launcher: Callable[[Path], Path], short_dir: Callable[[], Path]
) -> None:
    """Its callers go on cold; the next agent finds its node's part as it is."""
    with etcd.cluster() as one:
        store = EtcdDatastore(Etcd(Settings(one.endpoints)))
        with contextlib.closing(store):
            directory = short_dir()
            agent = start_agent(directory=directory)
            crowd = crowd_of(launcher(agent.socket), on_etcd(store, one.endpoints))
            with crowd.at_work():
                for _ in range(2 * DEATHS):
                    crowd.await_more()
                    agent.process.kill()
                    agent.process.wait()
                    crowd.await_more(5)
                    agent = start_agent(directory=directory)
                crowd.await_more()
            crowd.tidy_up()
            check(crowd, store, exact=True)
