"""The controllers with the rights that deploy/ gives them: all that they need, and nothing else.

Every verb that an API server with RBAC was asked for is granted by the manifests, and every verb that they grant was
asked for; the same of Azure's actions and the roles in deploy/azure.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from tests.fakes.azure import azure
from tests.fakes.azure_compute import Compute
from tests.real import cilium_nodes, etcd, kube_apiserver
from tests.real.cilium_nodes import until
from tests.real.kubenet import Running
from tests.real.rights import NAMESPACE, Right, actions, guarded, role

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.dialects.cilium.node import PATH

pytestmark = [
    pytest.mark.real, pytest.mark.skipif(bool(kube_apiserver.WHY), reason=kube_apiserver.WHY),
]  # fmt: skip
JOINS = {"Microsoft.Network/virtualNetworks/subnets/join/action"}
"""Asked for by Azure where a body refers to a subnet; no request shows it."""
WATCHES = Right("coordination.k8s.io", "leases", "watch")
"""What the replica asks for that does not lead. The audit tells of a watch when it has ended, and a little later."""
STANDS_BY = '"standing by"'
SUBNET = "virtualNetworks/vnet/subnets/nodes"


def test_kubenet_has_the_rights_that_it_uses(tmp_path: Path) -> None:
    """Ranges, routes, conditions, events, a hand-over between two replicas: all with the account's rights."""
    with guarded("controller/kubenet") as (server, api), azure(tmp_path) as fake:
        first, second = (Running(api, fake, server.kubeconfig, _made(tmp_path / name)) for name in ("one", "two"))
        network = first.table.replace("routeTables/rt", SUBNET)
        fake.arm.put(network.rpartition("/subnets/")[0], {"addressSpace": {"addressPrefixes": ["10.240.0.0/16"]}})
        options = ("--namespace", NAMESPACE, "--node-cidr-mask-size", "24", "--node-subnet", network)
        for one in (first, second):
            one.start(*options, "--identity", one.log.parent.name, cluster_cidr="10.244.0.0/24")
        for name in ("n0", "n1"):
            first.add(name, "10.240.0.4")
        first.await_(lambda: {first.reason("n0"), first.reason("n1")} == {"RouteCreated", ""})
        first.await_(lambda: bool(first.events("CIDRNotAvailable")))
        leader, other = (first, second) if '"leading"' in first.log.read_text() else (second, first)
        other.await_(lambda: STANDS_BY in other.log.read_text())
        assert leader.stop() == 0
        other.await_(lambda: '"leading"' in other.log.read_text())
        other.await_(lambda: WATCHES in server.used())
        assert other.stop() == 0
        assert server.refused() == set()
        # a node is read by itself only where it could not be given its range three times (controllers.kubenet.ranges)
        assert server.used() | {Right("", "nodes", "get")} == server.granted
        assert actions(fake.calls) == role("kubenet-role")


def test_cilium_has_the_rights_that_it_uses(tmp_path: Path) -> None:
    """Pools of machines in a scale set and alone, growing, problems told, a hand-over between two replicas."""
    with guarded("controller/cilium") as (server, api), azure(tmp_path) as fake, contextlib.ExitStack() as running:
        cilium_nodes.define(api)
        subscription = fake.subscribe()
        compute = Compute(fake.arm, group=f"/subscriptions/{subscription}/resourceGroups/MC_g")
        machines = [*compute.scale_set("np", 1), compute.alone("single")]
        for index, machine in enumerate(machines):
            spec = {"instance-id": machine, "ipam": {}, "azure": {}}
            node = {"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": f"n{index}"}, "spec": spec}
            api.create(PATH, node, etcd.soon())
        _pod(api, "n0", compute.give(machines[0], "azure-vnet"))
        options = ("--namespace", NAMESPACE, "--lease", "unipam-controller")
        logs = [tmp_path / name for name in ("one.log", "two.log")]
        processes = [
            running.enter_context(
                cilium_nodes.operator(fake, subscription, server.kubeconfig, log, *options, "--identity", log.stem)
            )
            for log in logs
        ]

        def pool(index: int) -> set[str]:
            return set(api.get(f"{PATH}/n{index}", etcd.soon())["spec"]["ipam"].get("pool", {}))

        until(lambda: all(len(pool(index)) == 8 for index in range(2)), logs[0])
        compute.fill(0)
        used = {ip: {"owner": "default/pod"} for ip in pool(0)}
        api.merge(f"{PATH}/n0/status", {"status": {"ipam": {"used": used}}}, etcd.soon())
        until(lambda: bool(api.get("/api/v1/namespaces/default/events", etcd.soon())["items"]), logs[0])
        leader = 0 if '"leading"' in logs[0].read_text() else 1
        until(lambda: STANDS_BY in logs[1 - leader].read_text(), logs[1 - leader])
        processes[leader].terminate()
        assert processes[leader].wait(20) == 0
        until(lambda: '"leading"' in logs[1 - leader].read_text(), logs[1 - leader])
        until(lambda: WATCHES in server.used(), logs[1 - leader])
        assert server.refused() == set()
        assert server.used() == server.granted
        assert actions(fake.calls) | JOINS == role("cilium-role")


def _pod(api: KubernetesApi, node: str, ip: str) -> None:
    """One that has an address of a machine, and that Cilium has no endpoint of."""
    path = "/api/v1/namespaces/default/pods"
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "c"}]}
    api.create(path, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "old"}, "spec": spec}, etcd.soon())
    status = {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}
    api.merge(f"{path}/old/status", {"status": status}, etcd.soon())


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
