"""`unipam controller --kubenet` as a process, with a genuine kube-apiserver and a fake Azure over TLS."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.conftest import UNIPAM
from tests.fakes.azure import FakeAzure, azure, resource_id
from tests.real import etcd, kube_apiserver

from unipam.clients.kubernetes.api import KubernetesApi, Refusal

NODES = "/api/v1/nodes"
WITHIN = 60.0


class Nodes:
    """The nodes of a cluster, as kubelets and administrators make and remove them."""

    def __init__(self, api: KubernetesApi) -> None:
        self.api = api

    def add(self, name: str, ip: str = "", *ranges: str, **metadata: Any) -> None:
        """A kubelet registers; `ranges` are those that its object has from its beginning."""
        spec = {"podCIDR": ranges[0], "podCIDRs": list(ranges)} if ranges else {}
        self.api.create(NODES, {"metadata": {"name": name, **metadata}, "spec": spec}, etcd.soon())
        if ip:
            status = {
                "addresses": [{"type": "InternalIP", "address": each} for each in ip.split(",")],
                "conditions": [{"type": "Ready", "status": "True"}],
            }
            self.api.merge(f"{NODES}/{name}/status", {"status": status}, etcd.soon())

    def remove(self, name: str) -> None:
        """Somebody deletes it."""
        self.api.delete(f"{NODES}/{name}", {}, etcd.soon())

    def release(self, name: str) -> None:
        """Take away its finalizers."""
        self.api.merge(f"{NODES}/{name}", {"metadata": {"finalizers": None}}, etcd.soon())

    def node(self, name: str) -> dict[str, Any]:
        return self.api.get(f"{NODES}/{name}", etcd.soon())

    def ranges(self) -> dict[str, list[str]]:
        """The ranges of all nodes, by their names."""
        items = self.api.get(NODES, etcd.soon())["items"]
        return {each["metadata"]["name"]: list(each["spec"].get("podCIDRs", ())) for each in items}

    def reason(self, name: str) -> str:
        """What NetworkUnavailable says."""
        conditions = self.node(name).get("status", {}).get("conditions", [])
        return next((each["reason"] for each in conditions if each["type"] == "NetworkUnavailable"), "")

    def events(self, reason: str) -> list[tuple[str, str]]:
        """About whom there are events of this reason, and what they say."""
        items = self.api.get("/api/v1/namespaces/default/events", etcd.soon())["items"]
        return [(each["involvedObject"]["name"], each["message"]) for each in items if each["reason"] == reason]

    def forget(self) -> None:
        """Remove every node, every event and the lease."""
        self.api.delete(NODES, {}, etcd.soon())
        self.api.delete("/api/v1/namespaces/default/events", {}, etcd.soon())
        self.forget_lease()

    def forget_lease(self) -> None:
        with contextlib.suppress(Refusal):
            self.api.delete(
                "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/unipam-controller", {}, etcd.soon()
            )


class Running(Nodes):
    """The process, its API server and its Azure."""

    def __init__(self, api: KubernetesApi, fake: FakeAzure, kubeconfig: Path, directory: Path) -> None:
        super().__init__(api)
        self.fake, self._kubeconfig = fake, kubeconfig
        self.log = directory / "controller.log"
        self.table = resource_id(fake.subscribe(), "Microsoft.Network/routeTables/rt")
        fake.arm.put(self.table, {"routes": []}, location="westeurope")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, cluster_cidr: str = "10.244.0.0/16") -> None:
        """Start it anew."""
        command = [
            str(UNIPAM), "controller", "--kubenet", "--kubeconfig", str(self._kubeconfig), "--listen", "",
            "--cluster-cidr", cluster_cidr, "--route-table", self.table, "--route-settling", "0", *options,
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=log, env={**os.environ, **environment(self.fake)}
            )

    def stop(self) -> int:
        """End it in good order."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def close(self) -> None:
        """End it if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.stop()

    def hops(self) -> dict[str, str]:
        """The table."""
        found: Any = self.fake.arm.get(self.table)
        routes = found["properties"]["routes"]
        return {each["properties"]["addressPrefix"]: each["properties"]["nextHopIpAddress"] for each in routes}

    def await_(self, what: Callable[[], bool]) -> None:
        """Wait for what must come while the process lives."""
        deadline = time.monotonic() + WITHIN
        while not what():
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(0.1)


def environment(fake: FakeAzure) -> dict[str, str]:
    """Where a process finds this Azure, and as whom it asks."""
    entra = fake.entra
    return {
        "AZURE_TENANT_ID": entra.tenant, "AZURE_CLIENT_ID": entra.client, "AZURE_CLIENT_SECRET": entra.secret,
        "AZURE_AUTHORITY_HOST": fake.base, "UNIPAM_AZURE_ENDPOINT": fake.base, "UNIPAM_AZURE_CA_FILE": str(fake.ca),
    }  # fmt: skip


@contextlib.contextmanager
def kubenet(directory: Path) -> Iterator[Running]:
    """One that is not started yet, and a cluster without nodes."""
    server = kube_apiserver.shared("crd.projectcalico.org/v1")
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api, azure(directory) as fake:
        made = Running(api, fake, server.kubeconfig, directory)
        made.forget()
        try:
            yield made
        finally:
            made.close()
            made.forget()
