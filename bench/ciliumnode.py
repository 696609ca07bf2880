"""The node's side of a CiliumNode: an ADD by its pool beside our own host-local's, and the real one's."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.dialects.native.cluster import cluster

from bench import spawn
from bench.host_local import PEER, THE_PEER, V4, Node, adding, config, environment, in_turns, us
from bench.needs import Need
from bench.table import Row, show
from unipam.cni import install
from unipam.dialects.native.dialect import NAME

NEEDS: tuple[Need, ...] = (THE_PEER,)
POOL = [f"10.240.{third}.{last}" for third in range(4) for last in range(5, 255, 4)]
"""Scattered over the subnet, as Azure gives them: no two of 252 addresses stand side by side."""


def by_ciliumnode(kubeconfig: Path, data_dir: Path) -> bytes:
    """Return a network configuration as ptp would hand it on."""
    ipam = {"type": NAME, "source": "ciliumnode", "dataDir": str(data_dir)}
    access = {"node_name": "n1", "kubeconfig": str(kubeconfig)}
    return json.dumps(
        {"cniVersion": "1.0.0", "name": "bench", "type": "ptp", "ipam": ipam, "kubernetes": access}
    ).encode()


def rows(node: Node, kubeconfig: Path) -> Iterator[Row]:
    """Yield the rows, with few leases and with many of the pool's addresses taken."""
    ours = [str(node.bin / NAME)]
    stdin = by_ciliumnode(kubeconfig, node.root / "pods")
    ranges = config(node.fill("ranges", 0, "10.0.0.2"), V4)
    for held in (0, 150):
        spawn.run(ours, environment("ADD", "held"), stdin, held)
        mine, plain, *peers = in_turns(_adding(ours, stdin), adding(node, ranges), *_peers(node))
        what = f"ADD by a CiliumNode, {held} leases"
        yield Row(f"{what} / our host-local", us(mine), us(plain), mine / plain, 1.5)
        for peer in peers:
            yield Row(f"{what} / real host-local", us(mine), us(peer), mine / peer, 1 / 4)


def _peers(node: Node) -> Iterator[Callable[[int], list[int]]]:
    if THE_PEER.met():
        yield _adding([PEER], config(node.root / "peer", V4))


def _adding(argv: list[str], stdin: bytes) -> Callable[[int], list[int]]:
    def work(offset: int) -> list[int]:
        adds = spawn.run(argv, environment("ADD"), stdin, 50, offset=offset)
        spawn.run(argv, environment("DEL"), stdin, 50, offset=offset)
        return adds

    return work


def cold(node: Node, kubeconfig: Path) -> Row:
    """Measure an ADD without an agent, which asks the API server first, beside one of our host-local's."""
    asking, plain = by_ciliumnode(kubeconfig, node.root / "cold"), config(node.root / "cold-ranges", V4)
    pairs = [
        [statistics.median(spawn.run(argv, environment("ADD"), stdin, 5, offset=5 * turn)) for argv, stdin in each]
        for turn in range(5)
        for each in [[([str(node.bin / NAME)], asking), (node.ours, plain)]]
    ]
    ours, peer = map(statistics.median, zip(*pairs, strict=True))
    return Row("cold ADD by a CiliumNode / by our host-local", us(ours), us(peer), ours / peer, None)


def main() -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory(prefix="unipam-bench-") as root, cluster(Path(root), *POOL) as server:
        node = Node(Path(root))
        install.install(node.bin, node.socket, (NAME,))

        def measured() -> Iterator[Row]:
            with node.agent("--sweep", "0"):
                yield from rows(node, server.server.kubeconfig)
            yield cold(node, server.server.kubeconfig)

        show("CiliumNode: medians, launcher and agent, 252 addresses of one interface", measured())
