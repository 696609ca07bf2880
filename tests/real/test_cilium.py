"""`unipam controller --cilium` as a process, against a genuine kube-apiserver and a fake Azure over TLS."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.azure import azure
from tests.fakes.azure_compute import Compute
from tests.real import etcd, kube_apiserver
from tests.real.cilium_nodes import defined, operator, until

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.cilium.node import PATH

pytestmark = pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY)


@pytest.fixture
def api() -> Iterator[KubernetesApi]:
    with defined() as made:
        yield made


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
        process = running.enter_context(operator(fake, subscription, server.kubeconfig, log))

        def pool(index: int) -> set[str]:
            return set(api.get(f"{PATH}/n{index}", etcd.soon())["spec"]["ipam"].get("pool", {}))

        until(lambda: all(len(pool(i)) == 8 for i in range(5)), log)
        assert [pool(i) for i in range(5)] == [compute.addresses(each) for each in machines]
        first = api.get(f"{PATH}/n0", etcd.soon())
        assert first["spec"]["ipam"]["pre-allocate"] == 8
        (interface,) = first["status"]["azure"]["interfaces"]
        assert (interface["cidr"], interface["gateway"]) == ("10.240.0.0/16", "10.240.0.1")
        used = {ip: {"owner": "default/pod"} for ip in pool(0)}
        api.merge(f"{PATH}/n0/status", {"status": {"ipam": {"used": used}}}, etcd.soon())
        until(lambda: len(pool(0)) == 16, log)
        assert api.get(f"{PATH}/n0", etcd.soon())["status"]["ipam"]["used"] == used, "the agent's part is left alone"
        writes = [call for call in fake.calls if call.method == "PUT"]
        assert len(writes) == 6
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        told = [json.loads(line)["event"] for line in log.read_text().splitlines()]
        assert told.count("addresses changed") == 6
        assert told[-1] == "stopped"
