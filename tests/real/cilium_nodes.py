"""CiliumNodes in a genuine API server, and `unipam controller --cilium` beside it on a fake Azure.

The CiliumNodes' definition is the tests' own: it keeps what it is given, and has the status apart, as the genuine one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.conftest import UNIPAM
from tests.fakes.azure import FakeAzure
from tests.fakes.azure_compute import Compute, addresses_of
from tests.real import etcd, kube_apiserver
from tests.real.calico_crds import ANY
from tests.real.node import Node

from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.dialects.cilium.node import PATH

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "ciliumnodes.cilium.io"},
    "spec": {
        "group": "cilium.io", "scope": "Cluster", "names": {"kind": "CiliumNode", "plural": "ciliumnodes"},
        "versions": [{
            "name": "v2", "served": True, "storage": True, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": ANY, "status": ANY}}},
        }],
    },
}  # fmt: skip


class Site:
    """One machine with its pods, and what must hold of them at every moment."""

    def __init__(self, node: Node, compute: Compute, machine: str, kubeconfig: Path, host: str) -> None:
        self.node, self.compute, self.machine, self.host = node, compute, machine, host
        self.conf: dict[str, Any] = {
            "cniVersion": "1.0.0", "name": "pods",
            "ipam": {"type": "unipam", "source": "ciliumnode", "dataDir": str(node.data_dir), "pre-allocate": 8},
            "kubernetes": {"node_name": "n1", "kubeconfig": str(kubeconfig)},
        }  # fmt: skip
        self.users: dict[str, str] = {}
        self.refusals: list[str] = []
        self.broken: list[str] = []
        self._lock = threading.Lock()
        self._take = compute._take
        compute._take = self._taking  # type: ignore[method-assign]

    def _taking(self, nic: str, configuration: dict[str, Any]) -> None:
        """Watch what leaves the machine's interface."""
        with self._lock:
            used = [ip for ip in addresses_of(configuration) if ip in self.users]
            self.broken += [f"{ip} was taken from {self.users[ip]}" for ip in used]
        self._take(nic, configuration)

    def add(self, pod: str, plugin: str = "ptp", tries: int = 60) -> str:
        """Start a pod as a kubelet does: again and again until it has its address; empty where it gives up."""
        for _ in range(tries):
            said = self._call("ADD", pod, plugin)
            if said.code == 0:
                (address,) = said.addresses
                with self._lock:
                    if address in self.users:
                        self.broken.append(f"{address} was given to {pod}, and {self.users[address]} has it")
                    self.users[address] = pod
                return str(address)
            self._call("DEL", pod, plugin)
            time.sleep(0.3)
        self.refusals.append(said.stdout.decode())
        return ""

    def delete(self, pod: str, plugin: str = "ptp") -> None:
        """End a pod."""
        with self._lock:
            self.users = {ip: each for ip, each in self.users.items() if each != pod}
        assert self._call("DEL", pod, plugin).code == 0

    def _call(self, verb: str, pod: str, plugin: str) -> Any:
        conf = {**self.conf, "type": plugin}
        conf |= {"bridge": "br0"} if plugin == "bridge" else {}
        where = f"/run/netns/{pod}"
        args = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod}"
        return self.node.call(verb, conf, f"c-{pod}", plugin=plugin, netns=where, args=args, inside=self.host)

    @property
    def addresses(self) -> set[str]:
        """The addresses that the machine has for pods."""
        return self.compute.addresses(self.machine)


def until(what: Callable[[], bool], log: Path | None = None, within: float = 60.0) -> None:
    """Wait for what must come; the log is shown when it does not."""
    deadline = time.monotonic() + within
    while not what():
        assert time.monotonic() < deadline, log.read_text()[-4000:] if log else "it took too long"
        time.sleep(0.1)


def define(api: KubernetesApi) -> None:
    """Let the API server know CiliumNodes."""
    with contextlib.suppress(Refusal):
        api.create(_CRDS, _DEFINITION, etcd.soon())

    def served() -> bool:
        with contextlib.suppress(Refusal):
            return bool(api.get(PATH, etcd.soon()))
        return False

    until(served)


@contextlib.contextmanager
def defined() -> Iterator[KubernetesApi]:
    """The API server that tests share, with no CiliumNode before and after."""
    server = kube_apiserver.shared("crd.projectcalico.org/v1")
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as made:
        define(made)
        yield made
        made.delete(PATH, {}, etcd.soon())


@contextlib.contextmanager
def operator(
    fake: FakeAzure, subscription: str, kubeconfig: Path, log: Path, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """The operator of the resource group MC_g, killed at the end."""
    given = {
        "AZURE_TENANT_ID": fake.entra.tenant, "AZURE_CLIENT_ID": fake.entra.client,
        "AZURE_CLIENT_SECRET": fake.entra.secret, "AZURE_AUTHORITY_HOST": fake.base,
        "UNIPAM_AZURE_ENDPOINT": fake.base, "UNIPAM_AZURE_CA_FILE": fake.ca,
    }  # fmt: skip
    command = [
        str(UNIPAM), "controller", "--cilium", "--kubeconfig", str(kubeconfig), "--listen", "",
        "--lease", "unipam-cilium", "--azure-subscription-id", subscription, "--azure-resource-group", "MC_g", *options,
    ]  # fmt: skip
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=out, env={**os.environ, **given})
    try:
        yield process
    finally:
        process.kill()
        process.wait()
