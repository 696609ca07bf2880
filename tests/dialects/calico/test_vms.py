"""KubeVirt VMs keep their addresses (spec §1.17): pods that come again, that a VM moves to, and that go."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.dialects.calico.cluster import Cluster

from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.dialects import registry
from unipam.dialects.calico import connection
from unipam.dialects.calico.datastore.keys import ConfigKey
from unipam.dialects.calico.where import Where
from unipam.ledger.open import Ledgers
from unipam.model.errors import NotFound

HANDLE = "k8s-pod-network.vmi.d.vm1"
API = "/apis/kubevirt.io/v1/namespaces/d"
VM, VMI = f"{API}/virtualmachines/vm1", f"{API}/virtualmachineinstances/vm1"


def owned(name: str, kind: str, uid: str) -> list[dict[str, Any]]:
    """Owner references."""
    return [{"apiVersion": "kubevirt.io/v1", "kind": kind, "name": name, "uid": uid, "controller": True}]


def pod(name: str, uid: str = "u1", **labels: str) -> dict[str, Any]:
    """A pod of the VM."""
    about = {"name": name, "ownerReferences": owned("vm1", "VirtualMachineInstance", uid), "labels": labels}
    return {f"/api/v1/namespaces/d/pods/{name}": {"metadata": about}}


class Kubevirt:
    """A cluster with a VM, and its objects."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.node("node1")
        cluster.pool("v4", "10.0.0.0/24")
        cluster.pool("v6", "fd00::/120")
        instance = {"name": "vm1", "uid": "u1", "ownerReferences": owned("vm1", "VirtualMachine", "m1")}
        self.objects: dict[str, Any] = {
            **pod("virt-launcher-a"),
            VMI: {"metadata": instance},
            VM: {"metadata": {"name": "vm1", "uid": "m1"}},
        }

    def get(self, where: Where, path: str, deadline: float) -> Any:
        if path not in self.objects:
            raise NotFound(f"{path} not found")
        return self.objects[path]

    def call(self, verb: str, pod_name: str, container: str, **ipam: Any) -> Answer:
        network = {
            "cniVersion": "1.0.0", "name": "k8s-pod-network", "nodename": "node1", "datastore_type": "kubernetes",
            "ipam": {"type": "calico-ipam", **ipam},
        }  # fmt: skip
        environment = {
            "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": "/n", "CNI_IFNAME": "eth0",
            "CNI_PATH": "/opt/cni/bin",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=d;K8S_POD_NAME={pod_name}",
        }  # fmt: skip
        call = Call("calico-ipam", environment, json.dumps(network).encode())
        return registry.answer(call, Context(Ledgers()))

    def add(self, pod_name: str, container: str, **ipam: Any) -> Any:
        answer = self.call("ADD", pod_name, container, **ipam)
        found = json.loads(answer.stdout)
        assert answer.code == 0, found
        return [ip["address"] for ip in found["ips"]], len(found.get("routes", []))

    def fail(self, verb: str, pod_name: str, container: str = "c") -> str:
        answer = self.call(verb, pod_name, container)
        assert answer.code == 1
        return str(json.loads(answer.stdout)["msg"])

    def noted(self) -> list[tuple[str | None, str | None]]:
        """The pods noted with each address: who uses it, who may next."""
        return [
            ((a.get("secondary") or {}).get("pod"), (a.get("alternateOwnerAttrs") or {}).get("pod"))
            for block in self.cluster.blocks().values()
            for a in block.attributes
        ]


@pytest.fixture
def kubevirt(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Kubevirt:
    made = Kubevirt(cluster)
    monkeypatch.setattr(connection, "datastore", lambda _where: cluster.store)
    monkeypatch.setattr(connection, "kubernetes", made.get)
    return made


def test_a_vm_keeps_its_addresses_while_pods_come_and_go(kubevirt: Kubevirt) -> None:
    first, routes = kubevirt.add("virt-launcher-a", "c1", assign_ipv6="true")
    assert ([address.rpartition("/")[2] for address in first], routes) == (["26", "122"], 2)
    assert set(kubevirt.cluster.handles()) == {HANDLE}
    assert kubevirt.call("DEL", "virt-launcher-a", "c1").code == 0
    assert kubevirt.noted() == [(None, None)] * 2
    kubevirt.objects |= pod("virt-launcher-b")
    again, routes = kubevirt.add("virt-launcher-b", "c2", assign_ipv6="true")
    assert [a.partition("/")[0] for a in again] == [a.partition("/")[0] for a in first]
    assert ([address.rpartition("/")[2] for address in again], routes) == (["32", "128"], 2)
    assert kubevirt.noted() == [("virt-launcher-b", None)] * 2
    attributes = next(iter(kubevirt.cluster.blocks().values())).attributes[0]["secondary"]
    assert attributes is not None
    assert {name: attributes[name] for name in ("vmi-name", "vmi-uid", "vm-uid", "node")} == {
        "vmi-name": "vm1", "vmi-uid": "u1", "vm-uid": "m1", "node": "node1",
    }  # fmt: skip


def test_a_vm_moves(kubevirt: Kubevirt) -> None:
    """The pod that it moves to gets the same address, and no route yet."""
    kubevirt.objects |= pod("virt-launcher-b", **{"kubevirt.io/migrationJobUID": "j1"})
    assert kubevirt.fail("ADD", "virt-launcher-b") == (
        f"migration target pod but no IP allocated to VM handle {HANDLE}"
    )
    first, _ = kubevirt.add("virt-launcher-a", "c1")
    moved, routes = kubevirt.add("virt-launcher-b", "c2")
    assert (moved[0].partition("/")[0], routes) == (first[0].partition("/")[0], 0)
    assert kubevirt.noted() == [("virt-launcher-a", "virt-launcher-b")]
    assert kubevirt.call("DEL", "virt-launcher-b", "c2").code == 0
    assert kubevirt.noted() == [("virt-launcher-a", None)]


def test_a_vm_goes(kubevirt: Kubevirt) -> None:
    """Its addresses go with the last pod, and not before."""
    kubevirt.add("virt-launcher-a", "c1")
    kubevirt.objects |= pod("virt-launcher-b", **{"kubevirt.io/migrationJobUID": "j1"})
    kubevirt.add("virt-launcher-b", "c2")
    kubevirt.objects[VM]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert kubevirt.call("DEL", "virt-launcher-a", "c1").code == 0
    assert kubevirt.cluster.handles()
    assert kubevirt.call("DEL", "virt-launcher-b", "c2").code == 0
    assert kubevirt.call("DEL", "virt-launcher-b", "c2").code == 0
    assert kubevirt.cluster.handles() == kubevirt.cluster.recounted() == {}


def test_an_instance_without_a_vm_goes(kubevirt: Kubevirt) -> None:
    del kubevirt.objects[VMI]["metadata"]["ownerReferences"]
    kubevirt.add("virt-launcher-a", "c1")
    kubevirt.objects[VMI]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    kubevirt.call("DEL", "virt-launcher-a", "c1")
    assert kubevirt.cluster.handles() == {}


def test_where_vms_keep_nothing(kubevirt: Kubevirt) -> None:
    config = {"auto_allocate_blocks": True, "kubeVirtVMAddressPersistence": "Disabled"}
    kubevirt.cluster.store.put(ConfigKey(), json.dumps(config).encode())
    kubevirt.add("virt-launcher-a", "c1")
    assert set(kubevirt.cluster.handles()) == {"k8s-pod-network.c1"}
    kubevirt.objects |= pod("virt-launcher-b", **{"kubevirt.io/migrationJobUID": "j1"})
    assert kubevirt.fail("ADD", "virt-launcher-b") == (
        "live migration target pod is not allowed when KubeVirtVMAddressPersistence is disabled"
    )
    kubevirt.call("DEL", "virt-launcher-a", "c1")
    assert kubevirt.cluster.handles() == {}


def test_what_is_not_as_it_must_be(kubevirt: Kubevirt) -> None:
    assert kubevirt.fail("ADD", "virt-launcher-none") == "failed to get VMI info: pod not found"
    assert kubevirt.call("DEL", "virt-launcher-none", "c").code == 0
    kubevirt.objects |= pod("virt-launcher-old", uid="u0")
    assert kubevirt.fail("ADD", "virt-launcher-old") == (
        "failed to get VMI info: VMI UID mismatch: pod ownerReference has u0 but VMI resource has u1"
    )
    del kubevirt.objects[VMI]
    assert kubevirt.fail("DEL", "virt-launcher-a").startswith(
        "failed to get VMI info: failed to query VMI resource d/vm1"
    )
    assert kubevirt.cluster.handles() == {}


def test_a_pod_that_is_only_called_so(kubevirt: Kubevirt) -> None:
    kubevirt.objects["/api/v1/namespaces/d/pods/virt-launcher-x"] = {"metadata": {"name": "virt-launcher-x"}}
    kubevirt.add("virt-launcher-x", "c9")
    assert set(kubevirt.cluster.handles()) == {"k8s-pod-network.c9"}
    assert kubevirt.call("DEL", "virt-launcher-x", "c9").code == 0
    assert kubevirt.cluster.handles() == {}


# Nobody hears an answer --------------------------------------------------------------------------------------


def take_back(answer: Answer) -> None:
    """Do what an agent does whose launcher has gone."""
    if answer.undo:
        answer.undo(Context(Ledgers()))


def test_what_a_vm_was_given_first_is_taken_back(kubevirt: Kubevirt) -> None:
    take_back(kubevirt.call("ADD", "virt-launcher-a", "c1", assign_ipv6="true"))
    assert kubevirt.cluster.handles() == kubevirt.cluster.recounted() == {}


def test_what_a_vm_had_before_stays(kubevirt: Kubevirt) -> None:
    """Another pod of it was about to have its addresses: the VM keeps them, for the pod that comes next."""
    kubevirt.add("virt-launcher-a", "c1", assign_ipv6="true")
    before = kubevirt.cluster.handles()
    kubevirt.objects |= pod("virt-launcher-b")
    take_back(kubevirt.call("ADD", "virt-launcher-b", "c2", assign_ipv6="true"))
    assert kubevirt.cluster.handles() == kubevirt.cluster.recounted() == before
    assert len(kubevirt.noted()) == 2


@pytest.mark.parametrize("name", ["virt-launcher-a", "virt-launcher-b"])
def test_what_was_told_again_since_stays(kubevirt: Kubevirt, name: str) -> None:
    """The undo comes late: the runtime has asked again, or for another pod, and was told the VM's addresses."""
    late = kubevirt.call("ADD", "virt-launcher-a", "c1", assign_ipv6="true")
    kubevirt.objects |= pod(name)
    kubevirt.add(name, "c2", assign_ipv6="true")
    before = kubevirt.cluster.handles()
    take_back(late)
    assert kubevirt.cluster.handles() == kubevirt.cluster.recounted() == before
    assert kubevirt.noted() == [(name, None)] * 2


def test_nor_is_it_taken_from_a_pod_to_which_the_vm_moves(kubevirt: Kubevirt) -> None:
    late = kubevirt.call("ADD", "virt-launcher-a", "c1")
    kubevirt.objects |= pod("virt-launcher-b", **{"kubevirt.io/migrationJobUID": "j1"})
    kubevirt.add("virt-launcher-b", "c2")
    take_back(late)
    assert kubevirt.noted() == [("virt-launcher-a", "virt-launcher-b")]
