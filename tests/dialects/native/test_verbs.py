"""unipam's own plugin through the launcher, warm and cold, by the pool of a CiliumNode."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clients.fake_api_server import fake_api_server
from tests.conftest import Agent, Plugin
from tests.dialects.native.cluster import Cluster, cilium_node

from unipam.cni.install import install

POOL = [f"10.240.0.{10 + i}" for i in range(8)]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with fake_api_server(tmp_path) as server:
        made = Cluster(server, cilium_node(*POOL))
        server._then = made
        yield made


@pytest.fixture
def placed(short_dir: Callable[[], Path]) -> Callable[[Path], Plugin]:
    def placed(socket: Path) -> Plugin:
        (change,) = install(short_dir(), socket, ["unipam"])
        return Plugin(change.path)

    return placed


@pytest.fixture
def agent_plugin(start_agent: Callable[..., Agent], placed: Callable[[Path], Plugin]) -> Plugin:
    return placed(start_agent().socket)


@pytest.fixture(params=["warm", "cold"])
def plugin(
    request: pytest.FixtureRequest,
    start_agent: Callable[..., Agent],
    short_dir: Callable[[], Path],
    placed: Callable[[Path], Plugin],
) -> Plugin:
    return placed(start_agent().socket if request.param == "warm" else short_dir() / "none.sock")


def network(cluster: Cluster, tmp_path: Path, version: str = "1.0.0", **ipam: Any) -> dict[str, Any]:
    inner = {"type": "unipam", "source": "ciliumnode", "dataDir": str(tmp_path / "state"), **ipam}
    access = {"node_name": "n1", "kubeconfig": str(cluster.server.kubeconfig)}
    return {"cniVersion": version, "name": "pods", "type": "bridge", "ipam": inner, "kubernetes": access}


def pod(name: str) -> str:
    return f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}"


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_pod_gets_an_address_of_the_pool_with_what_belongs_to_it(
    cluster: Cluster, plugin: Plugin, tmp_path: Path
) -> None:
    given = network(cluster, tmp_path)
    added = plugin("ADD", given, "c1", args=pod("web"))
    assert added.result == {
        "cniVersion": "1.0.0",
        "interfaces": [{"name": "", "mac": "00:22:48:aa:bb:cc"}],
        "ips": [{"address": "10.240.0.10/16", "gateway": "10.240.0.1"}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.240.0.1"}],
    }
    assert plugin("CHECK", {**given, "prevResult": added.result}, "c1").silent
    assert plugin("ADD", given, "c2").addresses == ["10.240.0.11/16"]
    assert plugin("DEL", given, "c1").silent
    assert plugin("DEL", given, "c1").silent, "and once more"
    assert plugin("ADD", given, "c3").addresses == ["10.240.0.12/16"], "what was given back rests as long as it can"


def test_what_is_used_is_told(cluster: Cluster, agent_plugin: Plugin, tmp_path: Path) -> None:
    given = network(cluster, tmp_path)
    assert agent_plugin("ADD", given, "c1", args=pod("web")).code == 0
    nic = cluster.document["spec"]["ipam"]["pool"][POOL[0]]["resource"]
    until(lambda: cluster.ipam.get("used") == {POOL[0]: {"owner": "default/web", "resource": nic}})
    assert cluster.refused == 0
