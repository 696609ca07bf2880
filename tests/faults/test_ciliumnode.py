"""A node's pods by its CiliumNode, while agents, the API server and the operator are killed, and people edit.

UNIPAM_STORM_SEED gives the order of events again that a failure names.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.azure import azure
from tests.fakes.azure_compute import Compute
from tests.real import cilium_nodes, etcd, kube_apiserver
from tests.real.cilium_nodes import Site
from tests.real.node import Node

from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.dialects.cilium.node import PATH
from unipam.model.errors import SourceFailed

pytestmark = pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY)
ROUNDS, PODS = 12, 16
SEED = int(os.environ.get("UNIPAM_STORM_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)


class Cluster:
    """An API server and an operator that can be killed, a site, and agents: one, or two at once."""

    def __init__(self, tmp_path: Path, server: kube_apiserver.ApiServer, stack: contextlib.ExitStack) -> None:
        self.server, self._stack = server, stack
        self.node = Node(tmp_path)
        self.node.install(name="unipam")
        self._log = tmp_path / "controller.log"
        self._azure = stack.enter_context(azure(tmp_path))
        self._subscription = self._azure.subscribe()
        group = f"/subscriptions/{self._subscription}/resourceGroups/MC_g"
        compute = Compute(self._azure.arm, group=group)
        (machine,) = compute.scale_set("np", 1)
        self.api = stack.enter_context(contextlib.closing(KubernetesApi(str(server.kubeconfig))))
        cilium_nodes.define(self.api)
        spec = {"providerID": f"azure://{machine}"}
        self.api.create("/api/v1/nodes", {"kind": "Node", "metadata": {"name": "n1"}, "spec": spec}, etcd.soon())
        self.site = Site(self.node, compute, machine, server.kubeconfig, "")
        self.agents: list[subprocess.Popen[bytes]] = []
        self._operator = contextlib.ExitStack()
        stack.callback(self._operator.close)
        stack.callback(self.kill_agents)
        self.restart_operator()

    def restart_operator(self) -> None:
        """Kill it at whatever it does, and start another."""
        self._operator.close()
        options = ("--azure-release-excess-ips", "--excess-ip-release-delay", "1")
        running = cilium_nodes.operator(self._azure, self._subscription, self.server.kubeconfig, self._log, *options)
        self._operator.enter_context(running)

    def kill_agents(self) -> None:
        for each in self.agents:
            each.kill()
            each.wait()
        self.agents = []

    def start_agent(self) -> None:
        """Start one more; where one runs, the socket is the new one's."""
        self.agents.append(self.node.start_agent("--sweep", "0"))

    def meddle(self, dice: random.Random) -> None:
        """Edit the CiliumNode as people do."""
        with contextlib.suppress(SourceFailed, Refusal):
            now = self.api.get(f"{PATH}/n1", etcd.soon(2))
            ip = dice.choice(sorted(now["spec"]["ipam"].get("pool") or ["10.240.0.9"]))
            patch, where = dice.choice(
                [
                    ({"status": {"ipam": {"release-ips": None}}}, "/status"),
                    ({"status": {"ipam": {"used": None}}}, "/status"),
                    ({"status": {"azure": None}}, "/status"),
                    ({"spec": {"ipam": {"pool": {ip: None}}}}, ""),
                ]
            )
            self.api.merge(f"{PATH}/n1{where}", patch, etcd.soon(2))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with kube_apiserver.api_server("crd.projectcalico.org/v1") as server, contextlib.ExitStack() as stack:
        yield Cluster(tmp_path, server, stack)


def churn(site: Site, dice: random.Random, pods: list[str], until: threading.Event) -> None:
    """Start and end pods, as many as a kubelet does at once."""
    while not until.is_set():
        if pods and (len(pods) >= PODS // 2 or dice.random() < 0.5):
            site.delete(pods.pop(dice.randrange(len(pods))), "unipam")
        elif site.add(name := f"p{dice.randrange(1 << 40):x}", "unipam", tries=4):
            pods.append(name)


def test_nothing_that_a_pod_uses_is_taken_whatever_is_killed(cluster: Cluster) -> None:
    dice, until = random.Random(SEED), threading.Event()
    running: list[list[str]] = [[], []]
    workers = [
        threading.Thread(target=churn, args=(cluster.site, random.Random(SEED + number), pods, until))
        for number, pods in enumerate(running)
    ]
    cluster.start_agent()
    for each in workers:
        each.start()
    deeds: list[Callable[[], None]] = [
        cluster.kill_agents, cluster.start_agent, cluster.restart_operator,
        lambda: cluster.meddle(dice), lambda: cluster.meddle(dice), lambda: bounce(cluster.server),
    ]  # fmt: skip
    for _ in range(ROUNDS):
        time.sleep(dice.uniform(0.3, 2.0))
        dice.choice(deeds)()
        if not cluster.agents:
            cluster.start_agent()
    until.set()
    for each in workers:
        each.join()
    site = cluster.site
    assert site.broken == [], f"UNIPAM_STORM_SEED={SEED}"
    pods = [pod for each in running for pod in each]
    assert set(site.users) == cluster.node.held().keys(), f"UNIPAM_STORM_SEED={SEED}"
    assert set(site.users) <= site.addresses, f"UNIPAM_STORM_SEED={SEED}"
    for pod in pods[3:]:
        site.delete(pod, "unipam")
    cilium_nodes.until(lambda: len(site.addresses) == min(3, len(pods)) + 8)
    assert site.broken == [], f"UNIPAM_STORM_SEED={SEED}"


def bounce(server: kube_apiserver.ApiServer) -> None:
    server.kill()
    time.sleep(0.5)
    server.run()
