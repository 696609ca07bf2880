"""Calico's datastore on its worst days, under load through launcher and agent: leaders, API servers and agents die.

Whatever happens, no address is told twice, none that was told is lost, and a DEL that succeeded left nothing.
`UNIPAM_CALICO_DEATHS` says how often something is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Agent, environment
from tests.real import etcd, kube_apiserver
from tests.real.etcd import soon

from unipam.addr.prefix import format_address
from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.cni.install import install
from unipam.dialects.calico.datastore.api import Datastore, Selection
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import BlockKey, HandleKey, NodeKey, PoolKey
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.resources import STORED
from unipam.dialects.calico.documents.block import read
from unipam.dialects.calico.rules.blocks import handle_of

pytestmark = [pytest.mark.real, etcd.needs_etcd]

DEATHS = int(os.environ.get("UNIPAM_CALICO_DEATHS", "2"))
CALLERS = 6
POOL = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "IPPool",
    "metadata": {"name": "p"},
    "spec": {"cidr": "10.5.0.0/16", "blockSize": 28, "nodeSelector": "all()"},
}


@dataclass
class Crowd:
    """Callers that add and remove containers of one node, until they are told to end."""

    plugin: Path
    network: dict[str, Any]
    living: dict[str, list[str]] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    """Containers whose last call failed: a runtime removes them, until it hears that they are gone."""

    told: int = 0
    complaints: list[str] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, verb: str, container: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self.plugin)], env=environment(verb, container), input=json.dumps(self.network).encode(),
            capture_output=True, check=False, timeout=300,
        )  # fmt: skip

    def add(self, container: str) -> None:
        done = self.call("ADD", container)
        with self._lock:
            if done.returncode:
                self.doubtful.add(container)
                return
            found = [each["address"].partition("/")[0] for each in json.loads(done.stdout)["ips"]]
            self.told += 1
            for other, addresses in self.living.items():
                if set(found) & set(addresses):
                    self.complaints.append(f"{found} was told to {container} and {other}")
            self.living[container] = found

    def remove(self, container: str) -> None:
        with self._lock:
            self.living.pop(container, None)
            self.doubtful.add(container)
        if self.call("DEL", container).returncode == 0:
            with self._lock:
                self.doubtful.discard(container)
                self.told += 1

    def caller(self, number: int) -> None:
        dice, own, turn = random.Random(number), list[str](), 0
        while not self._ended.is_set():
            if own and dice.random() < 0.45:
                self.remove(own.pop(dice.randrange(len(own))))
                continue
            turn += 1
            container = f"c{number}-{turn}"
            self.add(container)
            if container in self.living:
                own.append(container)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.caller, args=(number,)) for number in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()

    def await_more(self, many: int = 30) -> None:
        """Wait until so many calls more have succeeded."""
        enough, until = self.told + many, time.monotonic() + 180
        while self.told < enough:
            assert time.monotonic() < until, (self.told, enough)
            time.sleep(0.05)

    def tidy_up(self) -> None:
        """Remove what nobody knows of, as a runtime does."""
        for container in sorted(self.doubtful):
            self.remove(container)
        assert not self.doubtful


def check(crowd: Crowd, store: Datastore, *, exact: bool) -> None:
    """Compare what callers were told with what the datastore has; `exact` where no count may be too high.

    A container may hold more than it was told, where the agent died over an ADD and the launcher asked again; with its
    DEL all of it goes.
    """
    assert crowd.complaints == []
    held = holdings(store)
    assert held.keys() == {f"k8s-pod-network.{name}" for name in crowd.living}
    for name, told in crowd.living.items():
        assert set(told) <= set(held[f"k8s-pod-network.{name}"])
    handles = {item.key.id: item.document["block"] for item in store.list(Selection(HandleKey), soon(60)).items}  # type: ignore[union-attr]
    for handle, addresses in held.items():
        counted = sum(handles[handle].values())
        assert counted == len(addresses) if exact else counted >= len(addresses)
    assert not exact or handles.keys() == held.keys()
    for name in list(crowd.living):
        crowd.remove(name)
    assert (crowd.doubtful, holdings(store)) == (set(), {})
    assert not exact or not store.list(Selection(HandleKey), soon(60)).items


def holdings(store: Datastore) -> dict[str, list[str]]:
    """The addresses that each handle holds, by the blocks."""
    found: dict[str, list[str]] = {}
    for item in store.list(Selection(BlockKey), soon(60)).items:
        block = read(item.document)
        for ordinal in range(len(block.allocations)):
            if (attribute := block.attribute(ordinal)) is not None:
                found.setdefault(handle_of(attribute), []).append(format_address(block.address(ordinal)))
    return found


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
            crowd = Crowd(launcher(start_agent().socket), on_etcd(store, three.endpoints))
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
        crowd = Crowd(launcher(start_agent().socket), network)
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
            crowd = Crowd(launcher(agent.socket), on_etcd(store, one.endpoints))
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
