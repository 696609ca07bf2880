"""`unipam controller --cilium` as a process, against a genuine kube-apiserver and a fake Azure over TLS.

The CiliumNodes' definition is the tests' own: it keeps what it is given, and has the status apart, as the genuine one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import UNIPAM
from tests.fakes.azure import azure
from tests.fakes.azure_compute import Compute
from tests.real import etcd, kube_apiserver
from tests.real.calico_crds import ANY

from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.dialects.cilium.node import PATH

pytestmark = pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY)
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


def _await(what: Callable[[], bool], log: Path | None = None) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, log.read_text()[-4000:] if log else "it took too long"
        time.sleep(0.1)


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    server = kube_apiserver.shared("crd.projectcalico.org/v1")
    with contextlib.closing(KubernetesApi(str(server.kubeconfig))) as made:
        with contextlib.suppress(Refusal):
            made.create(_CRDS, _DEFINITION, etcd.soon())

        def served() -> bool:
            with contextlib.suppress(Refusal):
                return bool(made.get(PATH, etcd.soon()))
            return False

        _await(served)
        yield made
        made.delete(PATH, {}, etcd.soon())


def _node(name: str, machine: str) -> dict[str, Any]:
    spec = {"instance-id": machine, "ipam": {}, "azure": {}}
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": name}, "spec": spec}


def test_nodes_get_their_pools_and_grow(api: KubernetesApi, tmp_path: Path) -> None:
    server = kube_apiserver.shared("crd.projectcalico.org/v1")
    log = tmp_path / "controller.log"
    with azure(tmp_path) as fake, contextlib.ExitStack() as running:
        subscription = fake.subscribe()
        compute = Compute(fake.arm, group=f"/subscriptions/{subscription}/resourceGroups/MC_g")
        machines = compute.scale_set("np", 5)
        for index, machine in enumerate(machines):
            api.create(PATH, _node(f"n{index}", machine), etcd.soon())
        given = {
            "AZURE_TENANT_ID": fake.entra.tenant, "AZURE_CLIENT_ID": fake.entra.client,
            "AZURE_CLIENT_SECRET": fake.entra.secret, "AZURE_AUTHORITY_HOST": fake.base,
            "UNIPAM_AZURE_ENDPOINT": fake.base, "UNIPAM_AZURE_CA_FILE": fake.ca,
        }  # fmt: skip
        command = [
            str(UNIPAM), "controller", "--cilium", "--kubeconfig", str(server.kubeconfig), "--listen", "",
            "--lease", "unipam-cilium", "--azure-subscription-id", subscription, "--azure-resource-group", "MC_g",
        ]  # fmt: skip
        with log.open("wb") as out:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=out, env={**os.environ, **given})
        running.callback(process.kill)

        def pool(index: int) -> set[str]:
            return set(api.get(f"{PATH}/n{index}", etcd.soon())["spec"]["ipam"].get("pool", {}))

        _await(lambda: all(len(pool(i)) == 8 for i in range(5)), log)
        assert [pool(i) for i in range(5)] == [compute.addresses(each) for each in machines]
        first = api.get(f"{PATH}/n0", etcd.soon())
        assert first["spec"]["ipam"]["pre-allocate"] == 8
        (interface,) = first["status"]["azure"]["interfaces"]
        assert (interface["cidr"], interface["gateway"]) == ("10.240.0.0/16", "10.240.0.1")
        used = {ip: {"owner": "default/pod"} for ip in pool(0)}
        api.merge(f"{PATH}/n0/status", {"status": {"ipam": {"used": used}}}, etcd.soon())
        _await(lambda: len(pool(0)) == 16, log)
        assert api.get(f"{PATH}/n0", etcd.soon())["status"]["ipam"]["used"] == used, "the agent's part is left alone"
        writes = [call for call in fake.calls if call.method == "PUT"]
        assert len(writes) == 6
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        told = [json.loads(line)["event"] for line in log.read_text().splitlines()]
        assert told.count("addresses changed") == 6
        assert told[-1] == "stopped"
