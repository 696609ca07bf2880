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
from tests.real.node import Node, missing

from unipam.addr.prefix import parse_address
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.cilium.node import PATH

_MISSING = missing({"containernetworking-plugins": "/usr/lib/cni/ptp", "iputils-ping": "ping"})
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(bool(_MISSING), reason=_MISSING),
    pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY),
]
PODS = 40
RELEASING = ("--azure-release-excess-ips", "--excess-ip-release-delay", "2")


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with cilium_nodes.defined() as made:
        yield made
        with contextlib.suppress(Exception):
            made.delete("/api/v1/nodes/n1", {}, etcd.soon())


@contextlib.contextmanager
def made(api: KubernetesApi, directory: Path, host: str, *options: str, alone: bool = False) -> Iterator[Site]:
    """A machine of a scale set, or one that stands alone, with the operator beside it."""
    server = kube_apiserver.shared("crd.projectcalico.org/v1")
    node = Node(directory)
    node.install(["bridge", "ptp"], "unipam")
    with azure(directory) as fake:
        subscription = fake.subscribe()
        compute = Compute(fake.arm, group=f"/subscriptions/{subscription}/resourceGroups/MC_g")
        machine = compute.alone("vm") if alone else compute.scale_set("np", 1)[0]
        spec = {"providerID": f"azure://{machine.replace('mc_g', 'MC_g')}"}
        api.create("/api/v1/nodes", {"kind": "Node", "metadata": {"name": "n1"}, "spec": spec}, etcd.soon())
        log = directory / "controller.log"
        with cilium_nodes.operator(fake, subscription, server.kubeconfig, log, *RELEASING, *options):
            yield Site(node, compute, machine, server.kubeconfig, host)


def test_forty_pods_come_and_go_with_their_addresses(
    api: KubernetesApi, tmp_path: Path, namespace: Callable[[], str]
) -> None:
    with made(api, tmp_path, namespace()) as site, site.node.agent("--sweep", "0"):
        pods = {namespace(): "bridge" if i % 4 == 0 else "ptp" for i in range(PODS)}
        addresses = {pod: site.add(pod, plugin) for pod, plugin in pods.items()}
        assert len(set(addresses.values())) == PODS
        assert set(addresses.values()) <= site.addresses

        def used() -> dict[str, Any]:
            return dict(ipam(api).get("used") or {})

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
        cilium_nodes.until(lambda: not ipam(api).get("release-ips"))
        assert site.add(namespace()) in site.addresses
    assert site.broken == []


def test_blocks_go_as_a_whole(api: KubernetesApi, tmp_path: Path, namespace: Callable[[], str]) -> None:
    """A machine that stands alone has ranges of sixteen: one with a pod in it stays, the others go at one write."""
    with made(api, tmp_path, namespace(), "--azure-blocks", alone=True) as site, site.node.agent("--sweep", "0"):
        addresses = {pod: site.add(pod) for pod in (namespace() for _ in range(20))}
        cilium_nodes.until(lambda: len(site.addresses) == 32)
        assert site.compute.configurations(site.machine) == 2
        kept = max(addresses, key=lambda pod: parse_address(addresses[pod]))
        for pod in addresses.keys() - {kept}:
            site.delete(pod)
        cilium_nodes.until(lambda: len(site.addresses) == 16)
        assert addresses[kept] in site.addresses
        cilium_nodes.until(lambda: not ipam(api).get("release-ips"))
        assert site.add(namespace()) in site.addresses
    assert site.broken == []


def ipam(api: KubernetesApi) -> dict[str, Any]:
    """What the CiliumNode says of its addresses."""
    return dict(api.get(f"{PATH}/n1", etcd.soon())["status"]["ipam"])


def ping(host: str, pod: str, address: str) -> bool:
    subprocess.run(["ip", "netns", "exec", host, "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)
    command = ["ip", "netns", "exec", pod, "ping", "-n", "-c3", "-i0.2", "-w20", address]
    return " 3 received" in subprocess.run(command, capture_output=True, text=True, check=False).stdout
