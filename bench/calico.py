"""calico-ipam through launcher and agent beside the original, on one datastore, in one run.

`UNIPAM_CALICO_IPAM` names the original; without it only our own rows are measured. Requests are what the datastore
itself has counted.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.real import etcd, kube_apiserver

from bench import spawn
from bench.host_local import Node, us
from bench.needs import Need, program
from bench.table import Row, show
from unipam.addr.prefix import parse_prefix
from unipam.clients.etcd.client import Etcd
from unipam.clients.etcd.settings import Settings
from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.cni import install, launcher
from unipam.dialects.calico import config as calico_config
from unipam.dialects.calico import connection
from unipam.dialects.calico.datastore.api import Datastore
from unipam.dialects.calico.datastore.etcd import EtcdDatastore
from unipam.dialects.calico.datastore.keys import NodeKey, PoolKey
from unipam.dialects.calico.datastore.kubernetes import KubernetesDatastore
from unipam.dialects.calico.datastore.resources import STORED
from unipam.dialects.calico.datastore.watched import WatchedDatastore
from unipam.dialects.calico.documents.pool import WORKLOAD
from unipam.dialects.calico.engine.auto import Request, auto_assign
from unipam.dialects.calico.engine.combining import Combiner
from unipam.dialects.calico.engine.session import Session

NAME = "calico-ipam"
PEER = os.environ.get("UNIPAM_CALICO_IPAM", "")
THE_PEER = Need("the original (UNIPAM_CALICO_IPAM)", lambda: os.path.exists(PEER), "the rows beside it")
NEEDS = (
    program("etcd", "etcd-server", "every row"),
    THE_PEER,
    Need("a kube-apiserver (UNIPAM_KUBE_APISERVER)", lambda: not kube_apiserver.WHY, "the rows on Kubernetes"),
)
ROUNDS, CALLS, PEER_CALLS = 5, 50, 10


class Site(NamedTuple):
    """A datastore: how a configuration names it, and how many requests it has answered but for watches."""

    name: str
    network: dict[str, object]
    store: Datastore
    requests: Callable[[], int]

    def config(self, node: str, directory: Path, pool: str) -> bytes:
        """Return the network configuration of a node whose addresses come from a pool."""
        network = {
            "cniVersion": "1.0.0", "name": "k8s-pod-network", "type": "calico", "nodename": node,
            "log_level": "error", "log_file_path": str(directory / "cni.log"),
            "ipam_lock_file": str(directory / "ipam.lock"),
            "ipam": {"type": NAME, "ipv4_pools": [pool]}, **self.network,
        }  # fmt: skip
        return json.dumps(network).encode()


@contextlib.contextmanager
def on_etcd() -> Iterator[Site]:
    """Run an etcd."""
    with etcd.cluster() as cluster, contextlib.closing(Etcd(Settings(cluster.endpoints))) as client:
        endpoint = cluster.endpoints[0]

        network: dict[str, object] = {"datastore_type": "etcdv3", "etcd_endpoints": endpoint}
        yield Site("etcd", network, EtcdDatastore(client), partial(etcd.requests, endpoint))


@contextlib.contextmanager
def on_kubernetes() -> Iterator[Site]:
    """Run a kube-apiserver with an etcd of its own."""
    server = kube_apiserver.shared(STORED)
    api = KubernetesApi(str(server.kubeconfig))
    kube_apiserver.empty(api, server.group)

    network: dict[str, object] = {"datastore_type": "kubernetes", "kubernetes": {"kubeconfig": str(server.kubeconfig)}}
    yield Site("Kubernetes", network, KubernetesDatastore(api), partial(kube_apiserver.requests, server))
    api.close()


def environment(verb: str) -> dict[str, str]:
    """Return the variables of a call; %d becomes the number of the run."""
    return {
        "CNI_COMMAND": verb, "CNI_CONTAINERID": "c%d", "CNI_NETNS": __file__, "CNI_IFNAME": "eth0",
        "CNI_PATH": "/opt/cni/bin",
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=pod-%d",
    }  # fmt: skip


class Bench:
    """A node with launcher and agent, and the original beside it, each with a pool of its own."""

    def __init__(self, node: Node, site: Site, label: str = "") -> None:
        self.node, self.site, self.label = node, site, label
        install.install(node.bin, node.socket, (NAME,))
        self.ours = [str(node.bin / NAME)]
        self.peer = [str(node.root / NAME)]
        if PEER and not os.path.lexists(self.peer[0]):
            os.symlink(PEER, self.peer[0])
        self._pools = 0

    def pool(self, bits: int = 26) -> str:
        """Put one more pool there; its CIDR."""
        self._pools += 1
        cidr = f"10.{self._pools}.0.0/16"
        name = f"pool-{self._pools}"
        document = {
            "apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": name},
            "spec": {"cidr": cidr, "blockSize": bits, "nodeSelector": "all()"},
        }  # fmt: skip
        self.site.store.create(PoolKey(name), document, etcd.soon())
        return cidr

    def config(self, name: str, cidr: str) -> bytes:
        """Return the configuration of a node of this name."""
        return self.site.config(name, self.node.root, cidr)

    def pair(self, argv: list[str], stdin: bytes, n: int, offset: int) -> tuple[float, float]:
        """Return the median nanoseconds of n ADDs, and of the DELs that undo them."""
        adds = spawn.run(argv, environment("ADD"), stdin, n, offset=offset)
        dels = spawn.run(argv, environment("DEL"), stdin, n, offset=offset)
        return statistics.median(adds), statistics.median(dels)

    def asked(self, argv: list[str], verb: str, stdin: bytes, n: int, offset: int) -> float:
        """Return how many requests a call makes."""
        before = self.site.requests()
        spawn.run(argv, environment(verb), stdin, n, offset=offset)
        return (self.site.requests() - before) / n

    def add(self, stdin: bytes, n: int, offset: int) -> None:
        """Add containers, by ours."""
        spawn.run(self.ours, environment("ADD"), stdin, n, 16, offset)

    # ---- rows

    def beside(self, leases: int, bits: int, reach: float) -> Iterator[Row]:
        """Measure ADD and DEL with so many leases there, in turns."""
        ours, peer = self.config("node1", self.pool(bits)), self.config("node2", self.pool(bits))
        for stdin, argv in ((ours, self.ours), (peer, self.peer)):
            if leases:
                self.add(stdin, leases, 10_000)
            self.pair(argv, stdin, 3, 90_000)  # the first block is there
        rounds = [
            (
                *self.pair(self.ours, ours, CALLS, turn * 100),
                *self.pair(self.peer, peer, PEER_CALLS, turn * 100),
            )
            for turn in range(ROUNDS)
        ]
        a, b, c, d = (statistics.median(column) for column in zip(*rounds, strict=True))
        label = f"{self.site.name}, {leases:,} leases in blocks of /{bits}"
        yield Row(f"ADD, {label}", us(a), us(c), a / c, reach)
        yield Row(f"DEL, {label}", us(b), us(d), b / d, reach)

    def counted(self, leases: int, reach: float) -> Iterator[Row]:
        """Count the requests of an ADD and of a DEL with so many leases there."""
        ours, peer = self.config("node3", self.pool()), self.config("node4", self.pool())
        if leases:
            self.add(ours, leases, 20_000)
            self.add(peer, leases, 30_000)
        self.pair(self.ours, ours, 3, 90_000)
        for verb in ("ADD", "DEL"):
            a = self.asked(self.ours, verb, ours, CALLS, 0)
            b = self.asked(self.peer, verb, peer, PEER_CALLS, 1000) if THE_PEER.met() else 0.0
            work = f"requests of one {verb}, {self.site.name}, {leases:,} leases"
            yield Row(work, f"{a:.2f}", f"{b:.2f}", a, reach)

    def storm(self, reach: float | None) -> Row:
        """Measure 250 ADDs by 32 callers at once on one node: calls a second."""
        ours, peer = self.config("node5", self.pool()), self.config("node6", self.pool())
        rates = []
        for turn in range(3):
            offset = 40_000 + turn * 1000
            pair_of = []
            for argv, stdin, n in ((self.ours, ours, 250), (self.peer, peer, 64)):
                if argv is self.peer and not THE_PEER.met():
                    pair_of.append(1.0)
                    continue
                pair_of.append(spawn.rate(spawn.runs(argv, environment("ADD"), stdin, n, 32, offset)))
                spawn.run(argv, environment("DEL"), stdin, n, 8, offset)
            rates.append(pair_of)
        a, b = (statistics.median(column) for column in zip(*rates, strict=True))
        work = f"250 ADDs, 32 callers, one node, {self.site.name} (calls/s)"
        return Row(work, f"{a:,.0f}/s", f"{b:,.0f}/s", a / b, reach, low=False)

    def flat(self) -> Row:
        """Measure our ADD on a node with 20 blocks against one with one block, in turns."""
        one, many = self.config("node7", self.pool()), self.config("node8", self.pool())
        self.pair(self.ours, one, 3, 90_000)
        self.add(many, 64 * 19 + 1, 50_000)
        rounds = [
            [self.pair(self.ours, stdin, 30, turn * 100)[0] for stdin in (many, one)] for turn in range(2 * ROUNDS)
        ]
        a, b = (statistics.median(column) for column in zip(*rounds, strict=True))
        return Row(f"our ADD on a node with 20 blocks / with one, {self.site.name}", us(a), us(b), a / b, 1.2)

    def cold(self) -> Iterator[Row]:
        """Measure ADD without an agent beside the original."""
        ours, peer = self.config("node9", self.pool()), self.config("node10", self.pool())
        self.pair(self.ours, ours, 2, 90_000)
        self.pair(self.peer, peer, 2, 90_000)
        rounds = [
            (self.pair(self.ours, ours, 10, turn * 100)[0], self.pair(self.peer, peer, 10, turn * 100)[0])
            for turn in range(ROUNDS)
        ]
        a, b = (statistics.median(column) for column in zip(*rounds, strict=True))
        yield Row(f"cold ADD (no agent), {self.site.name}", us(a), us(b), a / b, 1.0)
        yield self._floor(b)

    def _floor(self, peer: float) -> Row:
        """Measure what no cold call in Python goes below, of which the original's took so long: Python with msgspec."""
        command = launcher.cold()
        code = command[-1].partition(" from ")[0] + " import unipam.cold"
        a = statistics.median(spawn.run([*command[:-1], code], {}, b"", 25))
        return Row("of which Python and msgspec alone", us(a), us(peer), a / peer, None)


def footprint(site: Site, root: Path) -> Row:
    """Measure the memory of an agent with 100 pools and 1,000 leases in a cluster that has nothing else."""
    node = Node(root)
    bench = Bench(node, site)
    _create_node(site, "node1", {"kind": "Node", "metadata": {"name": "node1"}})
    pools = [bench.pool() for _ in range(100)]
    stdin = bench.config("node1", pools[-1])
    with node.agent() as pid:
        bench.add(stdin, 1000, 60_000)
        bench.pair(bench.ours, stdin, 100, 0)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    megabytes = int(status.split("VmRSS:")[1].split()[0]) / 1000
    work = f"agent with 100 pools and 1,000 leases, {site.name} (MB)"
    return Row(work, f"{megabytes:.0f} MB", "", megabytes, 70)


NODES, PODS, PEER_NODES, AT_ONCE = 1000, 30, 10, 20


def fleet(bench: Bench) -> Iterator[Row]:
    """Start 30 pods on each of 1,000 nodes, 20 nodes at a time, each with an agent's view of its own in this process.

    The original's figure is that of a few nodes, times as many as there are.
    """
    site, pool = bench.site, bench.pool()
    for number in range(NODES):
        _create_node(site, f"fleet{number}", {"kind": "Node", "metadata": {"name": f"fleet{number}"}})
    config = json.loads(bench.config("", pool))
    before = site.requests()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        times = [each for found in threads.map(partial(_start_pods, config), range(NODES)) for each in found]
    ours = site.requests() - before
    p99 = statistics.quantiles(times, n=100)[98]
    yield Row(f"ADD, {NODES:,} nodes, {site.name}: median and p99", us(statistics.median(times)), us(p99), 0, None)
    if not THE_PEER.met():
        return
    before = site.requests()
    for number in range(PEER_NODES):
        stdin = bench.config(f"node{number + 1}", bench.pool())
        spawn.run(bench.peer, environment("ADD"), stdin, PODS, offset=70_000)
    theirs = (site.requests() - before) * NODES // PEER_NODES
    work = f"requests of {NODES:,} nodes that start {PODS} pods each, {site.name}"
    yield Row(work, f"{ours:,}", f"{theirs:,}", ours / theirs, 1 / 8)


def _start_pods(config: dict[str, object], number: int) -> list[int]:
    """Be the agent of a node that starts; the nanoseconds of each ADD."""
    node = f"fleet{number}"
    network = calico_config.load({**config, "nodename": node})
    store = connection.datastore(network.where)
    watched = connection.Watched(WatchedDatastore(store, node), Combiner(), set())
    requested = [parse_prefix(network.pools[4][0])]
    times = []
    for pod in range(PODS):
        begun = time.perf_counter_ns()
        session = Session(
            watched.datastore, time.monotonic() + 60, combiner=watched.combiner, namespaces=watched.namespaces
        )
        wanted = Request(1, 4, node, f"{node}.{pod}", {"node": node, "pod": f"pod-{pod}"}, requested, WORKLOAD)
        found = auto_assign(session, wanted)
        assert len(found.addresses) == 1, found
        times.append(time.perf_counter_ns() - begun)
    watched.datastore.close()
    return times


def rows(site: Site, root: Path, times: float, requests: float, storm: float | None) -> Iterator[Row]:
    """Yield every row of a datastore."""
    node = Node(root)
    bench = Bench(node, site)
    for number in range(1, 12):
        document: dict[str, object] = {"kind": "Node", "metadata": {"name": f"node{number}"}}
        _create_node(site, f"node{number}", document)
    with node.agent():
        yield from bench.counted(0, requests)
        yield from bench.counted(1000, requests)
        if THE_PEER.met():
            yield from bench.beside(0, 26, times)
            yield from bench.beside(1000, 26, times)
            yield from bench.beside(1000, 22, times)
        yield bench.storm(storm if THE_PEER.met() else None)
        yield bench.flat()
    if THE_PEER.met():
        yield from bench.cold()
    if site.name == "etcd":
        yield from fleet(bench)


def _create_node(site: Site, name: str, document: dict[str, object]) -> None:
    if site.name == "etcd":
        document = {"apiVersion": "projectcalico.org/v3", **document, "spec": {}}
        site.store.create(NodeKey(name), document, etcd.soon())
        return
    api = KubernetesApi(str(kube_apiserver.shared(STORED).kubeconfig))
    with contextlib.closing(api), contextlib.suppress(Refusal):
        api.create("/api/v1/nodes", {"apiVersion": "v1", **document}, etcd.soon())


def main() -> None:
    """Print the rows."""
    if not NEEDS[0].met():
        return
    title = "calico-ipam on {}: medians, launcher and agent beside the original"
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as root, on_etcd() as site:
        show(title.format(site.name), rows(site, Path(root), 1 / 15, 1.1, 30))
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as root, on_etcd() as site:
        show(title.format(site.name), [footprint(site, Path(root))])
    if not NEEDS[2].met():
        return
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as root, on_kubernetes() as site:
        show(title.format(site.name), [footprint(site, Path(root))])
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as root, on_kubernetes() as site:
        show(title.format(site.name), rows(site, Path(root), 1 / 8, 2.1, None))
