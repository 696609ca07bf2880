"""calico-ipam as a runtime calls it, on a real etcd: through launcher and agent, and cold."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import UNIPAM, Agent, Plugin, Reply, environment
from tests.real import etcd
from tests.test_architecture import DRIVER

from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.cni.install import install
from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import BlockKey, HandleKey, NodeKey, PoolKey

pytestmark = [pytest.mark.real, etcd.needs_etcd]

POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0"


@pytest.fixture
def store() -> Iterator[EtcdDatastore]:
    """An etcd with a pool and a node."""
    endpoints = etcd.shared().endpoints
    client = Etcd(Settings(endpoints))
    etcd.empty(client)
    store = EtcdDatastore(client)
    pool = {"metadata": {"name": "p"}, "spec": {"cidr": "192.168.0.0/16", "blockSize": 26}}
    store.create(PoolKey("p"), pool, etcd.soon())
    store.create(NodeKey("node1"), {"metadata": {"name": "node1"}}, etcd.soon())
    yield store
    etcd.empty(client)
    store.close()


@pytest.fixture(params=["warm", "cold"])
def plugin(request: pytest.FixtureRequest, start_agent: Callable[..., Agent], short_dir: Callable[[], Path]) -> Plugin:
    """calico-ipam through an agent, and through none."""
    socket = start_agent().socket if request.param == "warm" else short_dir() / "none.sock"
    (change,) = install(short_dir(), socket, ["calico-ipam"])
    return Plugin(change.path)


def network(**ipam: Any) -> dict[str, Any]:
    """The network's configuration."""
    return {
        "cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "calico", "nodename": "node1",
        "datastore_type": "etcdv3", "etcd_endpoints": ",".join(etcd.shared().endpoints),
        "ipam": {"type": "calico-ipam", **ipam},
    }  # fmt: skip


def handles(store: EtcdDatastore) -> set[str]:
    """The handles that are there."""
    return {item.key.id for item in store.list(Selection(HandleKey), etcd.soon()).items}  # type: ignore[union-attr]


def test_a_container_lives_and_dies(store: EtcdDatastore, plugin: Plugin) -> None:
    added = plugin("ADD", network(), "c1", args=POD)
    assert added.result == {
        "cniVersion": "1.0.0",
        "ips": [{"address": "192.168.166.128/26"}],
        "routes": [{"dst": "192.168.166.128/26"}],
    }
    assert handles(store) == {"k8s-pod-network.c1"}
    assert plugin("CHECK", {**network(), "prevResult": added.result}, "c1").silent
    assert plugin("STATUS", {**network(), "cniVersion": "1.1.0"}, "c1").silent
    assert plugin("DEL", network(), "c1", args=POD).silent
    assert plugin("DEL", network(), "c1", args=POD).silent
    assert handles(store) == set()
    assert plugin("CHECK", {**network(), "prevResult": added.result}, "c1").error["code"] == 999


def test_what_is_refused(store: EtcdDatastore, plugin: Plugin) -> None:
    refused = plugin("ADD", network(ipv4_pools=["nope"]), "c1", args=POD).error
    assert refused == {"code": 999, "msg": 'error parsing pool "nope": invalid CIDR address: nope'}
    assert handles(store) == set()


def test_many_containers_at_once(store: EtcdDatastore, plugin: Plugin) -> None:
    """Nothing is locked on the node: who is overtaken tries again."""
    with ThreadPoolExecutor(16) as threads:
        added = list(threads.map(lambda number: _patiently(plugin, "ADD", f"c{number}"), range(24)))
    addresses = [address for each in added for address in each.addresses]
    assert len(set(addresses)) == 24
    assert len(store.list(Selection(BlockKey), etcd.soon()).items) == 1
    with ThreadPoolExecutor(16) as threads:
        assert all(each.silent for each in threads.map(lambda n: _patiently(plugin, "DEL", f"c{n}"), range(24)))
    assert handles(store) == set()
    (block,) = store.list(Selection(BlockKey), etcd.soon()).items
    assert (block.document["attributes"], len(block.document["unallocated"])) == ([], 64)


def test_a_cold_call_imports_nothing_that_it_does_not_need(store: EtcdDatastore) -> None:
    """It has no ledger, watches nothing and speaks no TLS; more than half of its time are imports."""
    driver = DRIVER.replace("host-local", "calico-ipam")
    done = subprocess.run(
        [sys.executable, "-I", "-c", driver], input=json.dumps(network()), env=environment("ADD", "c1", args=POD),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    code, modules = ast.literal_eval(done.stderr)
    assert (code, json.loads(done.stdout)["ips"][0]["address"]) == (0, "192.168.166.128/26")
    assert (
        set(modules) & {"sqlite3", "typing_extensions", "pathlib", "queue", "ssl", "fcntl", "unipam.clients.dns"}
        == set()
    )
    assert not {name for name in modules if name.startswith(("unipam.store.", "unipam.controllers"))}


def _patiently(plugin: Plugin, verb: str, container: str) -> Reply:
    given = environment(verb, container, args=POD)
    return plugin.run(json.dumps(network()).encode(), given, within=80)


def test_the_nodes_ledger_knows_what_the_agent_did(
    store: EtcdDatastore, start_agent: Callable[..., Agent], short_dir: Callable[[], Path], tmp_path: Path
) -> None:
    """`lease list`, `lease history` and `explain` say who has an address, and who had it."""
    home = tmp_path / "home"
    agent = start_agent("--data-dir", str(home))
    (change,) = install(short_dir(), agent.socket, ["calico-ipam"])
    plugin = Plugin(change.path)
    plugin("ADD", network(), "c1", args=POD)
    own = f"/proc/{os.getpid()}/ns/net"
    plugin("ADD", network(), "c2", args=POD, netns=own)
    assert plugin("DEL", network(), "c1", args=POD).silent
    assert agent.stop() == 0  # which ends with what is still to be noted
    (lease,) = json.loads(unipam("lease", "list", "--data-dir", str(home), "-o", "json"))["items"]
    assert (lease["address"], lease["network"], lease["container"]) == ("192.168.166.129", "k8s-pod-network", "c2")
    assert lease["netns"] == own, "so that the sweep sees when it is gone, should its DEL be another's"
    past = json.loads(unipam("lease", "history", "192.168.166.128", "--data-dir", str(home), "-o", "json"))["items"]
    assert [(each["verb"], each["container"], each["pod"], each["reason"]) for each in past] == [
        ("release", "c1", "default/web-0", "DEL"), ("allocate", "c1", "default/web-0", ""),
    ]  # fmt: skip
    assert "default/web-0" in unipam("explain", "192.168.166.129", "--data-dir", str(home))


def unipam(*words: str) -> str:
    """What the command prints; it must succeed."""
    return subprocess.run([str(UNIPAM), *words], capture_output=True, text=True, check=True, timeout=60).stdout
