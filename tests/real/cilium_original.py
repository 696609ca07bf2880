"""The genuine cilium-operator-azure, where somebody brought it (UNIPAM_CILIUM_OPERATOR), on a fake Azure.

It knows Azure by its real names alone, so it runs in a network namespace in which these lead to the fake:
management.azure.com is loopback, and 169.254.169.254 tells what a machine is told and gives tokens.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from tests.fakes.azure import FakeAzure, azure
from tests.fakes.azure_compute import Compute
from tests.fakes.azure_http import Answer, LoopbackServer, Request
from tests.faults.proxy import proxy
from tests.real import etcd, kube_apiserver
from tests.real.cilium_nodes import until
from tests.real.conftest import ip
from tests.real.kube_apiserver import ApiServer
from tests.real.node import missing

from unipam.addr.prefix import parse_address
from unipam.clients.azure.imds import ADDRESS
from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.dialects.calico.datastore.resources import STORED
from unipam.dialects.cilium.node import MARKED, PATH, READY, RELEASED

BINARY = os.environ.get("UNIPAM_CILIUM_OPERATOR", "")


def _why() -> str:
    """Return what is missing here, if anything."""
    if not os.path.exists(BINARY):
        return "UNIPAM_CILIUM_OPERATOR names no cilium-operator-azure (1.20.2 was met)"
    if why := kube_apiserver.WHY or missing({"iproute2": "ip", "util-linux": "nsenter"}):
        return why
    said = subprocess.run([kube_apiserver.BINARY, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"v1\.(\d+)", said)
    if not version or int(version[1]) < 21:
        return f"UNIPAM_KUBE_APISERVER is {said.strip()}: the original wants 1.21"
    return "network namespaces need root" if os.getuid() else ""


WHY = _why()
brought = [pytest.mark.real, pytest.mark.brought, pytest.mark.skipif(bool(WHY), reason=WHY)]
"""The marks of a test that needs it."""

_FLAGS = (
    "--azure-resource-group=MC_g", "--azure-user-assigned-identity-id=00000000-0000-0000-0000-000000000001",
    "--k8s-namespace=default", "--nodes-gc-interval=0", "--synchronize-k8s-nodes=false",
    "--remove-cilium-node-taints=false", "--set-cilium-is-up-condition=false", "--unmanaged-pod-watcher-interval=0",
    "--leader-election-lease-duration=6s", "--leader-election-renew-deadline=4s",
    "--leader-election-retry-period=1s", "--operator-prometheus-serve-addr=127.0.0.1:9963",
)  # fmt: skip
"""Its own defaults, but for its other tasks, and for a lease that a test can wait for."""
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


class Where(NamedTuple):
    """An API server, and a client of it."""

    server: ApiServer
    api: KubernetesApi


@contextlib.contextmanager
def api_server() -> Iterator[Where]:
    """A server of one's own with the definitions that the original makes there."""
    with contextlib.ExitStack() as opened:
        server = opened.enter_context(kube_apiserver.api_server(STORED))
        api = opened.enter_context(contextlib.closing(KubernetesApi(str(server.kubeconfig))))
        fake = opened.enter_context(azure(server.directory))
        log = server.directory / "definitions.log"
        with original(fake, fake.subscribe(), server.kubeconfig, log):
            until(lambda: _defined(api), log)
        yield Where(server, api)


def _defined(api: KubernetesApi) -> bool:
    with contextlib.suppress(Refusal):
        return bool(api.get(PATH, etcd.soon()))
    return False


def calls_by_kind(fake: FakeAzure) -> Counter[str]:
    """Count what was asked of the Resource Manager: the verb, the type, and `[]` where it is a list of these."""
    return Counter(_kind(call) for call in list(fake.calls) if call.path.startswith("/subscriptions/"))


def _kind(call: Request) -> str:
    parts = call.path.rpartition("/providers/")[2].split("/")
    return f"{call.method} {'/'.join(parts[1::2])}{'[]' if len(parts) % 2 == 0 else ''}"


class Nodes:
    """Machines in a fake Azure, of a scale set or alone, and their CiliumNodes in a genuine API server."""

    def __init__(
        self, fake: FakeAzure, api: KubernetesApi, specs: Sequence[dict[str, Any]], *, alone: bool = False
    ) -> None:
        """Make a node for each `spec.ipam`. A write has ended when the next request comes, as in the captures."""
        self.fake, self._api, self.subscription = fake, api, fake.subscribe()
        fake.arm.clock, fake.arm.retry_after = time.monotonic, "1"  # Azure's SDK for Go takes "0" for nothing said
        self.compute = Compute(fake.arm, group=f"/subscriptions/{self.subscription}/resourceGroups/MC_g")
        count = len(specs)
        machines = (
            [self.compute.alone(f"vm{n}") for n in range(count)] if alone else self.compute.scale_set("np", count)
        )
        self.machines = {f"n{index}": machine for index, machine in enumerate(machines)}
        for (name, machine), ipam in zip(self.machines.items(), specs, strict=True):
            spec = {"instance-id": machine, "ipam": ipam, "azure": {}}
            document = {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": name}, "spec": spec}
            api.create(PATH, document, etcd.soon())

    def document(self, name: str) -> dict[str, Any]:
        """A CiliumNode."""
        return dict(self._api.get(f"{PATH}/{name}", etcd.soon()))

    def documents(self) -> dict[str, dict[str, Any]]:
        """All of them, by their names."""
        return {name: self.document(name) for name in self.machines}

    def use(self, name: str, count: int) -> None:
        """The node's agent tells that pods have so many addresses of the pool."""
        before = self.document(name)
        had = before.get("status", {}).get("ipam", {}).get("used", {})
        keep = sorted(before["spec"]["ipam"]["pool"], key=parse_address)[:count]
        used = {ip: {"owner": "default/pod"} for ip in keep} | dict.fromkeys(set(had) - set(keep))
        self._api.merge(f"{PATH}/{name}/status", {"status": {"ipam": {"used": used}}}, etcd.soon())

    def handshake(self, name: str) -> dict[str, str]:
        """The addresses that are being taken from a node, and how far that is."""
        return dict(self.document(name)["status"]["ipam"].get("release-ips", {}))

    def agree(self, name: str) -> bool:
        """The node's agent does its part of the handshake: what is marked may go, and what has gone is forgotten."""
        answers = {MARKED: READY, RELEASED: None}
        said = {ip: answers[state] for ip, state in self.handshake(name).items() if state in answers}
        self._api.merge(f"{PATH}/{name}/status", {"status": {"ipam": {"release-ips": said}}}, etcd.soon())
        return not said

    def sizes(self) -> list[int]:
        """How many addresses each node's pool has; 0 where the status or Azure has others than the pool."""
        return [self._size(document) for document in self.documents().values()]

    def at_azure(self) -> dict[str, set[str]]:
        """The addresses that each node's machine has for pods."""
        self.fake.arm.settle()
        return {name: self.compute.addresses(machine) for name, machine in self.machines.items()}

    def writes(self) -> Counter[str]:
        """How often the machine of each node was written at Azure, or its interface; but for what was refused."""
        owner = {machine: name for name, machine in self.machines.items()}
        owner |= {nic: name for machine, name in list(owner.items()) for nic in self.compute.interfaces(machine)}
        return Counter(
            owner[call.path.lower()] for call, status in self.fake.answered if call.method == "PUT" and status < 300
        )

    @property
    def refused(self) -> int:
        """How many requests were told that they are too many."""
        return sum(status == 429 for _, status in self.fake.answered)

    def _size(self, document: dict[str, Any]) -> int:
        pool = document["spec"]["ipam"].get("pool", {})
        interfaces = document.get("status", {}).get("azure", {}).get("interfaces", [])
        told = {each["ip"] for one in interfaces for each in one.get("addresses", ())}
        return len(pool) if set(pool) == told == self.compute.addresses(document["spec"]["instance-id"]) else 0


@contextlib.contextmanager
def original(
    fake: FakeAzure, subscription: str, kubeconfig: Path, log: Path, *options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """The operator of the resource group MC_g, killed at the end."""
    hosts = log.with_suffix(".hosts")
    hosts.write_text("127.0.0.1 localhost management.azure.com\n")
    with _machine(fake, _port(kubeconfig)) as namespace:
        command = [
            "nsenter", f"--net=/run/netns/{namespace}", "unshare", "--mount", "sh", "-c",
            'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", str(hosts),
            BINARY, *_FLAGS, f"--azure-subscription-id={subscription}", f"--k8s-kubeconfig-path={kubeconfig}",
            *options,
        ]  # fmt: skip
        environment = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": fake.ca}
        with log.open("ab") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _port(kubeconfig: Path) -> int:
    (cluster,) = yaml.safe_load(kubeconfig.read_text())["clusters"]
    return int(cluster["cluster"]["server"].rpartition(":")[2])


@contextlib.contextmanager
def _machine(fake: FakeAzure, api_server: int) -> Iterator[str]:
    """A network namespace as a machine of Azure's sees the world, gone at the end."""
    name = f"unipam-cilium-{os.getpid()}-{next(_numbers)}"
    azure = int(fake.base.rpartition(":")[2])
    metadata = LoopbackServer(lambda request: _tell(fake, request))
    doors = [
        ("127.0.0.1", 443, azure), ("127.0.0.1", azure, azure), ("127.0.0.1", api_server, api_server),
        (ADDRESS, 80, metadata.port),
    ]  # fmt: skip
    with contextlib.ExitStack() as opened:
        opened.callback(metadata.close)
        ip("netns", "add", name)
        opened.callback(ip, "netns", "del", name)
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "address", "add", f"{ADDRESS}/32", "dev", "lo")
        for address, port, target in doors:
            opened.enter_context(proxy(target, _listening(name, address, port)))
        yield name


def _listening(namespace: str, address: str, port: int) -> socket.socket:
    """A socket that listens in another namespace: it stays there, whoever has it."""

    def enter() -> socket.socket:
        with open(f"/run/netns/{namespace}") as there:
            if ctypes.CDLL(None, use_errno=True).setns(there.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {namespace}")
        return socket.create_server((address, port))

    with ThreadPoolExecutor(1) as thread:  # a namespace is a thread's: this one goes there, and ends there
        return thread.submit(enter).result()


def _tell(fake: FakeAzure, request: Request) -> Answer:
    """The metadata service: the cloud's name, and tokens for the Resource Manager, which is the fake here."""
    if request.path == "/metadata/instance/compute/azEnvironment":
        return Answer(200, b"AzurePublicCloud")
    if request.path == "/metadata/identity/oauth2/token":
        return fake.entra.machine_token(replace(request, query={**request.query, "resource": fake.base}))
    return Answer(404)
