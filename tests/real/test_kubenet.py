"""`unipam controller --kubenet` as a process, against a genuine kube-apiserver and a fake Azure over TLS."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import UNIPAM
from tests.fakes.azure import FakeAzure, azure, resource_id
from tests.real import etcd, kube_apiserver

from unipam.clients.kubernetes.api import KubernetesApi, Refusal

pytestmark = pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY)
NODES = "/api/v1/nodes"
_WITHIN = 60.0


class Running:
    """The process, its API server and its Azure."""

    def __init__(self, api: KubernetesApi, fake: FakeAzure, kubeconfig: Path, directory: Path) -> None:
        self.api, self.fake, self._kubeconfig = api, fake, kubeconfig
        self.log = directory / "controller.log"
        self.table = resource_id(fake.subscribe(), "Microsoft.Network/routeTables/rt")
        fake.arm.put(self.table, {"routes": []}, location="westeurope")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it anew."""
        entra = self.fake.entra
        given = {
            "AZURE_TENANT_ID": entra.tenant, "AZURE_CLIENT_ID": entra.client, "AZURE_CLIENT_SECRET": entra.secret,
            "AZURE_AUTHORITY_HOST": self.fake.base, "UNIPAM_AZURE_ENDPOINT": self.fake.base,
            "UNIPAM_AZURE_CA_FILE": self.fake.ca,
        }  # fmt: skip
        command = [
            str(UNIPAM), "controller", "--kubenet", "--kubeconfig", str(self._kubeconfig), "--listen", "",
            "--cluster-cidr", "10.244.0.0/16", "--route-table", self.table, "--route-settling", "0", *options,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, env={**os.environ, **given})

    def stop(self) -> int:
        """End it in good order."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def add(self, name: str, ip: str) -> None:
        """A kubelet registers."""
        made = self.api.create(NODES, {"metadata": {"name": name}, "spec": {}}, etcd.soon())
        status = {
            "addresses": [{"type": "InternalIP", "address": ip}],
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        self.api.merge(f"{NODES}/{made['metadata']['name']}/status", {"status": status}, etcd.soon())

    def node(self, name: str) -> dict[str, Any]:
        return self.api.get(f"{NODES}/{name}", etcd.soon())

    def reason(self, name: str) -> str:
        """What NetworkUnavailable says."""
        conditions = self.node(name).get("status", {}).get("conditions", [])
        return next((each["reason"] for each in conditions if each["type"] == "NetworkUnavailable"), "")

    def hops(self) -> dict[str, str]:
        """The table."""
        found: Any = self.fake.arm.get(self.table)
        routes = found["properties"]["routes"]
        return {each["properties"]["addressPrefix"]: each["properties"]["nextHopIpAddress"] for each in routes}

    def await_(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _WITHIN
        while not what():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.1)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    server = kube_apiserver.shared("crd.projectcalico.org/v1")
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api, azure(tmp_path) as fake:
        _forget(api)
        made = Running(api, fake, server.kubeconfig, tmp_path)
        try:
            yield made
        finally:
            if made.process is not None and made.process.poll() is None:
                made.stop()
            _forget(api)


def _forget(api: KubernetesApi) -> None:
    api.delete(NODES, {}, etcd.soon())
    with contextlib.suppress(Refusal):
        api.delete("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/unipam-controller", {}, etcd.soon())


def test_nodes_get_ranges_routes_and_conditions(running: Running) -> None:
    for index in range(5):
        running.add(f"n{index}", f"10.240.0.{index + 4}")
    running.start()
    running.await_(lambda: all(running.reason(f"n{i}") == "RouteCreated" for i in range(5)))
    ranges = [running.node(f"n{i}")["spec"]["podCIDRs"] for i in range(5)]
    assert sorted(ranges) == [[f"10.244.{i}.0/24"] for i in range(5)]
    assert running.hops() == {cidrs[0]: f"10.240.0.{i + 4}" for i, cidrs in enumerate(ranges)}
    assert len([call for call in running.fake.calls if call.method == "PUT"]) == 1
    others = [each["type"] for each in running.node("n0")["status"]["conditions"]]
    assert others.count("Ready") == 1, "other conditions are left alone"
    running.api.delete(f"{NODES}/n0", {}, etcd.soon())
    running.await_(lambda: len(running.hops()) == 4)
    assert running.stop() == 0


def test_a_killed_one_is_followed_by_another_that_changes_nothing(running: Running) -> None:
    running.add("n0", "10.240.0.4")
    running.start()
    running.await_(lambda: running.reason("n0") == "RouteCreated")
    assert running.process is not None
    running.process.kill()
    running.process.wait()
    before = running.hops()
    _forget_lease(running.api)
    running.start()
    running.add("n1", "10.240.0.5")
    running.await_(lambda: running.reason("n1") == "RouteCreated")
    assert running.hops() == {**before, running.node("n1")["spec"]["podCIDR"]: "10.240.0.5"}


def _forget_lease(api: KubernetesApi) -> None:
    api.delete("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/unipam-controller", {}, etcd.soon())


def test_events_are_written_to_the_node(running: Running) -> None:
    """K3 against the genuine API server: the second node of a cluster of one."""
    running.start("--node-cidr-mask-size", "16")
    running.add("n0", "10.240.0.4")
    running.await_(lambda: bool(running.node("n0")["spec"].get("podCIDR")))
    running.add("n1", "10.240.0.5")

    def told() -> bool:
        events = running.api.get("/api/v1/namespaces/default/events", etcd.soon())["items"]
        return any(
            (each["involvedObject"]["name"], each["reason"], each["message"])
            == ("n1", "CIDRNotAvailable", "Node n1 status is now: CIDRNotAvailable")
            for each in events
        )

    running.await_(told)
