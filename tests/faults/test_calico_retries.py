"""Runtimes give calls up and ask again at once, for the same container, while a slow datastore works on the first.

Launchers are killed or left alone at any moment, the datastore is slow beyond their patience, and connections to it are
cut. Whatever happens, no address is told twice, none that was told is lost, and when all is quiet nothing is left over.
`UNIPAM_CALICO_RETRIES` says how often each runtime adds and removes.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from tests.conftest import Agent, environment
from tests.faults.calico_crowd import handles, holdings
from tests.faults.proxy import Proxy, proxy
from tests.real import etcd, kube_apiserver
from tests.real.etcd import soon

from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.cni.install import install
from unipam.dialects.calico.datastore.api import Datastore
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import NodeKey, PoolKey
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.resources import STORED

pytestmark = [pytest.mark.real, etcd.needs_etcd]

ROUNDS = int(os.environ.get("UNIPAM_CALICO_RETRIES", "2"))
RUNTIMES = 4
DELAYS = (0.02, 0.1, 0.3, 0.8, 1.2)
"""Seconds on each way; with the last a launcher has lost its patience before its call is over."""


class Place(NamedTuple):
    """A datastore: as it is, and as nodes reach it, which is through a bad network."""

    store: Datastore
    network: dict[str, Any]
    between: Proxy


@contextlib.contextmanager
def on_etcd(directory: Path) -> Iterator[Place]:
    with etcd.cluster() as one, proxy(urlsplit(one.endpoints[0]).port or 0) as between:
        store = EtcdDatastore(Etcd(Settings(one.endpoints)))
        with contextlib.closing(store):
            store.create(NodeKey("node1"), {"metadata": {"name": "node1"}}, soon(60))
            there = {"datastore_type": "etcdv3", "etcd_endpoints": f"http://127.0.0.1:{between.port}"}
            yield Place(store, there, between)


@contextlib.contextmanager
def on_kubernetes(directory: Path) -> Iterator[Place]:
    server = kube_apiserver.shared(STORED)
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api, proxy(server.port) as between:
        kube_apiserver.empty(api, STORED)
        api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}, soon(60))
        kubeconfig = directory / "kubeconfig"
        kubeconfig.write_text(server.kubeconfig.read_text().replace(f":{server.port}", f":{between.port}"))
        network = {"datastore_type": "kubernetes", "kubernetes": {"kubeconfig": str(kubeconfig)}}
        yield Place(KubernetesDatastore(api), network, between)
        kube_apiserver.empty(api, STORED)


class Runtime:
    """Adds and removes two containers of its own, over and over, and has little patience."""

    def __init__(self, number: int, plugin: Path, place: Place) -> None:
        self._dice, self._plugin, self._place = random.Random(number), plugin, place
        self.told: dict[str, set[str]] = {f"c{number}-{each}": set() for each in range(2)}
        self.complaints: list[str] = []
        self.given_up = 0
        self._left: list[subprocess.Popen[bytes]] = []

    def live(self) -> None:
        for _ in range(ROUNDS):
            for container in self.told:
                self.add(container)
            self.look()
            for container in self.told:
                if self._dice.random() < 0.7:
                    self.remove(container)

    def add(self, container: str) -> None:
        """Ask until it is told; what it has given up is removed first, or not even that."""
        while not self.told[container]:
            done = self.call("ADD", container, patient=self._dice.random() < 0.5)
            if done is not None and done.returncode == 0:
                found = json.loads(done.stdout)["ips"]
                self.told[container] = {each["address"].partition("/")[0] for each in found}
            elif done is not None or self._dice.random() < 0.7:
                self.remove(container)

    def remove(self, container: str) -> None:
        """Ask until it is gone."""
        self.told[container] = set()
        while True:
            done = self.call("DEL", container, patient=self._dice.random() < 0.6)
            if done is not None and done.returncode == 0:
                return

    def look(self) -> None:
        """Whether all that was told is there still."""
        held = holdings(self._place.store)
        for container, told in self.told.items():
            if not told <= set(held.get(f"k8s-pod-network.{container}", ())):
                self.complaints.append(f"{container} was told {told}, and holds {held}")

    def call(self, verb: str, container: str, *, patient: bool) -> subprocess.CompletedProcess[bytes] | None:
        """Ask; None where that was given up, by killing the launcher or by going away from it."""
        config = {
            "cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "calico", "nodename": "node1",
            "ipam": {"type": "calico-ipam", "assign_ipv6": "true"}, **self._place.network,
        }  # fmt: skip
        asked = subprocess.Popen(
            [str(self._plugin)], env=environment(verb, container), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        within = 300.0 if patient else self._dice.choice([0.0, 0.005, 0.05, 0.5, 2.0, 4.2, 5.0])
        try:
            out, _ = asked.communicate(json.dumps(config).encode(), timeout=within)
        except subprocess.TimeoutExpired:
            self.given_up += 1
            self.give_up(asked, orphan=verb == "ADD" and self._dice.random() < 0.5)
            return None
        return subprocess.CompletedProcess([], asked.returncode, out)

    def give_up(self, asked: subprocess.Popen[bytes], *, orphan: bool) -> None:
        """Kill the launcher, or, as one that is killed with its own plugin in between, listen to it no more."""
        if not orphan:
            asked.kill()
        for stream in (asked.stdin, asked.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._left.append(asked)

    def await_orphans(self) -> None:
        for asked in self._left:
            asked.wait(300)


def weather(between: Proxy, done: threading.Event) -> None:
    dice = random.Random(0)
    between.delay = DELAYS[2]
    while not done.wait(dice.uniform(0.5, 2.0)):
        between.delay = dice.choice(DELAYS)
        if dice.random() < 0.2:
            between.cut(reset=dice.random() < 0.5)
    between.delay = 0.0


@pytest.mark.parametrize(
    "there",
    [
        on_etcd,
        pytest.param(on_kubernetes, marks=pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY)),
    ],
)
def test_given_up_and_asked_again(
    there: Callable[[Path], contextlib.AbstractContextManager[Place]],
    tmp_path: Path, start_agent: Callable[..., Agent], short_dir: Callable[[], Path],
) -> None:  # fmt: skip
    with there(tmp_path) as place:
        # As many addresses as containers: what is given up is given again at once, and to the same.
        for name, cidr, size in (("v4", "10.5.0.0/29", 29), ("v6", "fd00::/125", 125)):
            spec = {"cidr": cidr, "blockSize": size, "nodeSelector": "all()"}
            document = {
                "apiVersion": "projectcalico.org/v3",
                "kind": "IPPool",
                "metadata": {"name": name},
                "spec": spec,
            }
            place.store.create(PoolKey(name), document, soon(60))
        agent = start_agent()
        (change,) = install(short_dir(), agent.socket, ["calico-ipam"])
        runtimes = [Runtime(number, change.path, place) for number in range(RUNTIMES)]
        quiet = threading.Event()
        sky = threading.Thread(target=weather, args=(place.between, quiet))
        threads = [threading.Thread(target=runtime.live) for runtime in runtimes]
        for thread in (sky, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        quiet.set()
        sky.join()
        for runtime in runtimes:
            runtime.await_orphans()
        assert agent.stop() == 0  # it has taken back by now whatever nobody heard of
        told = {f"k8s-pod-network.{name}": each for runtime in runtimes for name, each in runtime.told.items() if each}
        assert [complaint for runtime in runtimes for complaint in runtime.complaints] == []
        assert sum(runtime.given_up for runtime in runtimes) > 0
        every = [address for addresses in told.values() for address in addresses]
        assert len(set(every)) == len(every)
        assert {name: set(held) for name, held in holdings(place.store).items()} == told
        counted = {name: sum(blocks.values()) for name, blocks in handles(place.store).items()}
        if place.store.transactional:
            assert counted == {name: len(addresses) for name, addresses in told.items()}
        assert all(counted[name] >= len(addresses) for name, addresses in told.items())
