"""azure-vnet-ipam on a warm pool against host-local on the same engine, and how often many pods ask the wireserver."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.dialects.azure_vnet.azure import PLUGIN, AzureNode, azure_node, one_pool

from bench import spawn
from bench.host_local import environment, pair, us
from bench.needs import ROOT, program
from bench.table import Row, show

NEEDS = (ROOT, program("ip", "iproute2", "every row"), program("nsenter", "util-linux", "every row"))
ROUNDS = 7
PODS = 250
SUBNET = "10.224.0.0/16"


def host_local(node: AzureNode) -> bytes:
    """Return a configuration of host-local with as many addresses as the learned pool has."""
    ranges = [[{"subnet": SUBNET, "rangeStart": "10.224.0.5", "rangeEnd": "10.224.0.254"}]]
    ipam = {"type": "host-local", "dataDir": str(node.root / "host-local-data"), "ranges": ranges}
    return json.dumps({"cniVersion": "0.3.0", "name": "azure", "type": "azure-vnet", "ipam": ipam}).encode()


def warm(node: AzureNode) -> Row:
    """Measure a pod's ADD, in turns, each the median of as many as the pool has addresses."""
    plugins = [
        ([str(node.bin_dir / PLUGIN)], node.conf(subnet=SUBNET)),
        ([str(node.bin_dir / "host-local")], host_local(node)),
    ]
    for argv, stdin in plugins:
        pair(argv, stdin, PODS, 0)
    rounds = [[pair(argv, stdin, PODS, i * PODS)[0] for argv, stdin in plugins] for i in range(ROUNDS)]
    a, b = (statistics.median(column) for column in zip(*rounds, strict=True))
    return Row("ADD on a warm pool of 250 / host-local's ADD", us(a), us(b), a / b, 1.2)


def cold_storm(node: AzureNode, interval: int = 2) -> Row:
    """Start and end 250 pods at once, again and again for some intervals, on a node that knows nothing yet."""
    argv, stdin = [str(node.bin_dir / PLUGIN)], node.conf(subnet=SUBNET, queryInterval=str(interval))
    before, begun, rounds = node.calls, time.monotonic(), 0
    while rounds < 3 or time.monotonic() - begun < 4 * interval:
        for verb in ("ADD", "DEL"):
            spawn.run(argv, environment(verb), stdin, PODS, PODS, rounds * PODS)
        rounds += 1
    calls, intervals = node.calls - before, int((time.monotonic() - begun) / interval) + 1
    work = f"wireserver calls / intervals, 250 pods at once, {rounds} times"
    return Row(work, f"{calls}", f"{intervals}", calls / intervals, 1)


def main() -> None:
    """Print the rows."""
    if not all(need.met() for need in NEEDS):
        return
    with (
        tempfile.TemporaryDirectory(prefix="unipam-bench-") as root,
        azure_node(Path(root), f"bench-{os.getpid()}") as node,
    ):
        node.answer(one_pool(PODS))
        with node.wireserver(), node.agent():
            measured = (row(node) for row in (cold_storm, warm))
            show("azure-vnet-ipam: medians, launcher and agent, the same engine", measured)
