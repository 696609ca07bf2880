"""Pods that have a network interface's addresses: real `ptp` and `bridge`, a genuine API server, our operator.

Azure is the fake. Whatever is killed meanwhile: nothing that a pod uses is ever taken from the machine, no two pods
have one address, and in the end the machine has what it needs and no more.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.azure import azure
from tests.fakes.azure_compute import Compute
from tests.real import cilium_nodes, etcd, kube_apiserver
from tests.real.cilium_nodes import Site
from tests.real.kube_apiserver import ApiServer
from tests.real.node import Node, missing

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.cilium.node import PATH

_MISSING = missing({"containernetworking-plugins": "/usr/lib/cni/ptp", "iputils-ping": "ping"})
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(_MISSING), reason=_MISSING),
    pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY),
]
PODS = 40


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with cilium_nodes.defined() as made:
        yield made
        with contextlib.suppress(Exception):
            made.delete("/api/v1/nodes/n1", {}, etcd.soon())


@pytest.fixture
def server() -> ApiServer:
    return kube_apiserver.shared("crd.projectcalico.org/v1")


@pytest.fixture
def site(api: KubernetesApi, server: ApiServer, tmp_path: Path, namespace: Callable[[], str]) -> Iterator[Site]:
    node = Node(tmp_path)
    node.install(["bridge", "ptp"], "unipam")
    with azure(tmp_path) as fake:
        subscription = fake.subscribe()
        compute = Compute(fake.arm, group=f"/subscriptions/{subscription}/resourceGroups/MC_g")
        (machine,) = compute.scale_set("np", 1)
        spec = {"providerID": f"azure://{machine.replace('mc_g', 'MC_g')}"}
        api.create("/api/v1/nodes", {"kind": "Node", "metadata": {"name": "n1"}, "spec": spec}, etcd.soon())
        releasing = ("--azure-release-excess-ips", "--excess-ip-release-delay", "2")
        with cilium_nodes.operator(fake, subscription, server.kubeconfig, tmp_path / "controller.log", *releasing):
            yield Site(node, compute, machine, server.kubeconfig, namespace())


def test_forty_pods_come_and_go_with_their_addresses(
    site: Site, api: KubernetesApi, namespace: Callable[[], str]
) -> None:
    with site.node.agent("--sweep", "0"):
        pods = {namespace(): "bridge" if i % 4 == 0 else "ptp" for i in range(PODS)}
        addresses = {pod: site.add(pod, plugin) for pod, plugin in pods.items()}
        assert len(set(addresses.values())) == PODS
        assert set(addresses.values()) <= site.addresses

        def used() -> dict[str, Any]:
            ipam = api.get(f"{PATH}/n1", etcd.soon())["status"]["ipam"]
            return dict(ipam.get("used") or {})

        cilium_nodes.until(lambda: set(used()) == set(addresses.values()))
        first, second = [pod for pod, plugin in pods.items() if plugin == "ptp"][:2]
        assert used()[addresses[first]]["owner"] == f"default/{first}"
        assert ping(site.host, first, addresses[second]), "two pods reach each other through the machine"

        gone = list(pods)[: PODS - 5]
        for pod in gone:
            site.delete(pod, pods[pod])
        kept = {addresses[pod] for pod in pods if pod not in gone}
        cilium_nodes.until(lambda: len(site.addresses) == 5 + 8)
        assert kept <= site.addresses
        assert site.node.held().keys() == kept
        cilium_nodes.until(lambda: not api.get(f"{PATH}/n1", etcd.soon())["status"]["ipam"].get("release-ips"))
        assert site.add(namespace()) in site.addresses
    assert site.broken == []


def ping(host: str, pod: str, address: str) -> bool:
    subprocess.run(["ip", "netns", "exec", host, "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
    command = ["ip", "netns", "exec", pod, "ping", "-n", "-c3", "-i0.2", "-w20", address]
    return " 3 received" in subprocess.run(command, capture_output=True, text=True, check=False).stdout
