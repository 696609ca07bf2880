"""`unipam controller --cilium` as a process, against a genuine kube-apiserver and a fake Azure over TLS."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.azure import FakeAzure, azure
from tests.fakes.azure_compute import Compute
from tests.real import etcd, kube_apiserver
from tests.real.cilium_nodes import LASTING, defined, events, hand_over, operator, until

from unipam.addr.prefix import format_address, parse_address, parse_interface, parse_prefix
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.cilium.node import PATH

pytestmark = pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY)
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/unipam-cilium"


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with defined() as made:
        yield made


def _node(name: str, machine: str) -> dict[str, Any]:
    spec = {"instance-id": machine, "ipam": {}, "azure": {}}
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": name}, "spec": spec}


class Cluster:
    """Machines, their CiliumNodes, and the operators beside them."""

    def __init__(self, api: KubernetesApi, fake: FakeAzure, running: contextlib.ExitStack) -> None:
        self.api, self.fake, self._running = api, fake, running
        self.subscription = fake.subscribe()
        self.compute = Compute(fake.arm, group=f"/subscriptions/{self.subscription}/resourceGroups/MC_g")

    def start(self, log: Path, *options: str) -> subprocess.Popen[bytes]:
        """One more operator."""
        kubeconfig = kube_apiserver.shared("crd.projectcalico.org/v1").kubeconfig
        return self._running.enter_context(operator(self.fake, self.subscription, kubeconfig, log, *options))

    def add(self, name: str, machine: str) -> None:
        """One more node."""
        self.api.create(PATH, _node(name, machine), etcd.soon())

    def node(self, name: str) -> dict[str, Any]:
        return self.api.get(f"{PATH}/{name}", etcd.soon())

    def pool(self, name: str) -> set[str]:
        return set(self.node(name)["spec"]["ipam"].get("pool", {}))


@pytest.fixture
def cluster(api: KubernetesApi, tmp_path: Path) -> Iterator[Cluster]:
    with azure(tmp_path) as fake, contextlib.ExitStack() as running:
        yield Cluster(api, fake, running)


def test_nodes_get_their_pools_and_grow(cluster: Cluster, tmp_path: Path) -> None:
    log = tmp_path / "controller.log"
    machines = cluster.compute.scale_set("np", 5)
    for index, machine in enumerate(machines):
        cluster.add(f"n{index}", machine)
    process = cluster.start(log)
    until(lambda: all(len(cluster.pool(f"n{i}")) == 8 for i in range(5)), log)
    assert [cluster.pool(f"n{i}") for i in range(5)] == [cluster.compute.addresses(each) for each in machines]
    first = cluster.node("n0")
    assert first["spec"]["ipam"]["pre-allocate"] == 8
    (interface,) = first["status"]["azure"]["interfaces"]
    assert (interface["cidr"], interface["gateway"]) == ("10.240.0.0/16", "10.240.0.1")
    used = {ip: {"owner": "default/pod"} for ip in cluster.pool("n0")}
    cluster.api.merge(f"{PATH}/n0/status", {"status": {"ipam": {"used": used}}}, etcd.soon())
    until(lambda: len(cluster.pool("n0")) == 16, log)
    assert cluster.node("n0")["status"]["ipam"]["used"] == used, "the agent's part is left alone"
    writes = [call for call in cluster.fake.calls if call.method == "PUT"]
    assert len(writes) == 6
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    told = events(log)
    assert told.count("addresses changed") == 6
    assert told[-1] == "stopped"


def test_another_process_leads_when_one_ends(cluster: Cluster, tmp_path: Path) -> None:
    """The lease lasts for ten minutes: who follows earlier was let."""
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    machines = cluster.compute.scale_set("np", 2)
    cluster.add("n0", machines[0])
    first = cluster.start(logs[0], *LASTING, "--identity", "one")
    until(lambda: len(cluster.pool("n0")) == 8, logs[0])
    second = cluster.start(logs[1], *LASTING, "--identity", "two")
    until(lambda: "standing by" in events(logs[1]), logs[1])
    print(f"hand-over: {hand_over(first, logs[1]):.2f} s from the signal on")  # noqa: T201 (read with pytest -s)
    assert "leading no more" in events(logs[0])
    assert cluster.api.get(LEASE, etcd.soon())["spec"]["holderIdentity"] == "two"
    cluster.add("n1", machines[1])
    until(lambda: len(cluster.pool("n1")) == 8, logs[1])
    assert len([call for call in cluster.fake.calls if call.method == "PUT"]) == 2, "what n0 has is not asked for again"
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0


def test_an_agent_that_is_not_asked_gives_ranges_up(cluster: Cluster, tmp_path: Path) -> None:
    """One of the newer kind says which ranges it holds, here as it would for blocks and for single addresses."""
    log, compute = tmp_path / "controller.log", cluster.compute
    machines = {"n0": compute.scale_set("np", 1)[0], "vm": compute.alone("vm")}
    for name, machine in machines.items():
        cluster.add(name, machine)
        hold(cluster, name, [], 24)
    cluster.start(log, "--azure-release-excess-ips", "--excess-ip-release-delay", "1", "--azure-blocks")
    until(lambda: [len(cluster.pool(each)) for each in machines] == [24, 32], log)
    held = {name: ranges_of(cluster.pool(name), name == "vm")[:1] for name in machines}
    for name, cidrs in held.items():
        hold(cluster, name, cidrs, 9)
    until(lambda: [len(compute.addresses(each)) for each in machines.values()] == [9, 16], log, 240.0)
    for name, machine in machines.items():
        until(lambda: cluster.pool(name) == compute.addresses(machine), log)  # noqa: B023 (at once)
        assert covered(held[name]) <= cluster.pool(name), "what the agent holds stays"
        assert "release-ips" not in cluster.node(name).get("status", {}).get("ipam", {}), "nobody was asked"


def hold(cluster: Cluster, name: str, cidrs: list[str], needed: int) -> None:
    """Say as an agent of the newer kind which ranges it holds, and how many addresses it needs."""
    pools = {
        "allocated": [{"pool": "default", "cidrs": cidrs}],
        "requested": [{"pool": "default", "needed": {"ipv4-addrs": needed}}],
    }
    cluster.api.merge(f"{PATH}/{name}", {"spec": {"ipam": {"pools": pools}}}, etcd.soon())


def ranges_of(pool: set[str], blocks: bool) -> list[str]:
    """The ranges that a pool is made of, in order."""
    length = 28 if blocks else 32
    return list(dict.fromkeys(str(parse_interface(f"{ip}/{length}")[1]) for ip in sorted(pool, key=parse_address)))


def covered(cidrs: list[str]) -> set[str]:
    """The addresses of ranges."""
    found = map(parse_prefix, cidrs)
    return {format_address(each) for prefix in found for each in range(prefix.first, prefix.last + 1)}
