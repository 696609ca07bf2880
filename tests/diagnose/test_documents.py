"""State files, configurations and dumps that the published excerpts do not hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unipam.diagnose import diagnose
from unipam.diagnose.report import Report

Read = Callable[[str], Report]
A, B = "a" * 64, "b" * 64


def kinds(report: Report) -> dict[str, str]:
    return {found.kind: found.subject for found in report.findings}


def ipam_state(addresses: dict[str, tuple[str, bool]], pool: str = "10.0.0.0/16") -> str:
    records = {ip: {"ID": owner, "Addr": ip, "InUse": in_use} for ip, (owner, in_use) in addresses.items()}
    subnet = {"IP": "10.0.0.0", "Mask": "//8AAA=="}
    pools = {pool: {"Id": pool, "IfName": "eth0", "Subnet": subnet, "Addresses": records, "RefCount": 1}}
    space = {"Id": "local", "Scope": 0, "Pools": pools}
    return json.dumps(
        {"IPAM": {"Version": "v1.4.59", "TimeStamp": "x", "AddressSpaces": {"local": space}}}, indent="\t"
    )


def net_state(*containers: str) -> str:
    endpoints = {
        f"{container[:8]}-eth0": {
            "Id": f"{container[:8]}-eth0",
            "IPAddresses": [{"IP": f"10.0.0.{number}", "Mask": "//8AAA=="}],
            "ContainerID": container,
            "PODName": f"web-{number}",
            "PODNameSpace": "default",
        }
        for number, container in enumerate(containers, 5)
    }
    subnets = [{"Prefix": {"IP": "10.0.0.0", "Mask": "//8AAA=="}, "Gateway": "10.0.0.1"}]
    network = {"Id": "azure", "Mode": "transparent", "Subnets": subnets, "Endpoints": endpoints}
    interface = {"Name": "eth0", "Networks": {"azure": network}, "Subnets": ["10.0.0.0/16"]}
    return json.dumps({"Network": {"Version": "v1", "TimeStamp": "x", "ExternalInterfaces": {"eth0": interface}}})


def test_the_captured_states_are_read(shared: Path) -> None:
    report = diagnose([shared / "fixtures/azure-vnet-ipam/state_v1459.json"])
    assert kinds(report) == {"pool-full": "10.224.0.0/16"} | {"pool-full": "10.225.0.0/24"}
    assert {(pool.name, pool.in_use, pool.capacity) for pool in report.pools} == {
        ("10.224.0.0/16", 3, 3),
        ("10.225.0.0/24", 1, 1),
    }


def test_an_owner_without_an_endpoint_is_leaked(tmp_path: Path) -> None:
    (tmp_path / "azure-vnet-ipam.json").write_text(
        ipam_state({"10.0.0.5": (A, True), "10.0.0.6": (B, True), "10.0.0.7": ("", False)})
    )
    (tmp_path / "azure-vnet.json").write_text(net_state(A))
    (found,) = diagnose([tmp_path]).findings
    assert (found.kind, found.entities["addresses"], found.values["leaked"], found.values["of"]) == (
        "leaked",
        ["10.0.0.6"],
        1,
        2,
    )
    (tmp_path / "azure-vnet.json").write_text(net_state(A, B))
    assert not diagnose([tmp_path]).findings


def test_a_list_of_another_node_proves_nothing(tmp_path: Path) -> None:
    (tmp_path / "azure-vnet-ipam.json").write_text(ipam_state({"10.0.0.5": (A, True), "10.0.0.7": ("", False)}))
    (tmp_path / "azure-vnet.json").write_text(net_state(B))
    assert not diagnose([tmp_path]).findings


@pytest.mark.parametrize(
    ("addresses", "pool", "kind"),
    [
        ({"10.0.0.5": (A, True)}, "10.0.0.0/16", "pool-full"),
        ({"10.0.0.5": ("", True), "10.0.0.6": ("", False)}, "10.0.0.0/16", "unowned"),
        ({"10.0.0.5": (A, False), "10.0.0.6": ("", False)}, "10.0.0.0/16", "tagged-free"),
        ({"10.0.0.5": (A, True), "10.0.0.6": (A, True), "10.0.0.7": ("", False)}, "10.0.0.0/16", "several-addresses"),
        ({"10.9.0.5": ("", False)}, "10.0.0.0/16", "pool-mismatch"),
        ({"10.0.0.5": ("", False)}, "10.0.0.0/24", "pool-mismatch"),
    ],
)
def test_what_a_state_can_have(read: Read, addresses: dict[str, tuple[str, bool]], pool: str, kind: str) -> None:
    assert list(kinds(read(ipam_state(addresses, pool)))) == [kind]


def test_one_address_of_two_pods_in_cnss_endpoints(read: Read) -> None:
    def endpoint(name: str) -> dict[str, Any]:
        return {"PodName": name, "PodNamespace": "ns", "IfnameToIPMap": {"eth0": {"IPv4": [{"IP": "10.241.0.17"}]}}}

    report = read(json.dumps({"Endpoints": {A: endpoint("one"), B: endpoint("two")}}))
    (found,) = report.findings
    assert (found.kind, found.subject, found.entities["pods"]) == (
        "duplicate-holder",
        "10.241.0.17",
        ["ns/one", "ns/two"],
    )


def block(**changes: Any) -> str:
    plain = {
        "cidr": "10.1.0.0/30",
        "affinity": "host:n1",
        "allocations": [0, 1, None, None],
        "unallocated": [2, 3],
        "attributes": [
            {"handle_id": "k8s-pod-network.a", "secondary": {"namespace": "ns", "pod": "a", "timestamp": "2025-01-01"}},
            {"handle_id": "k8s-pod-network.b", "secondary": {"namespace": "ns", "pod": "b", "timestamp": "2025-01-02"}},
        ],
    }
    return json.dumps({**plain, **changes})


def test_a_sound_block_is_no_finding(read: Read) -> None:
    report = read(block())
    assert not report.findings
    assert "Block 10.1.0.0/30 of n1: 2 of 4 addresses allocated, 2 free." in [fact.text for fact in report.facts]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"allocations": [0, 5, None, None]}, "allocation 1 indexes attribute 5, which does not exist"),
        ({"allocations": [0, None, None, None], "unallocated": [1, 2, 3]}, "attribute 1 belongs to no allocation"),
        ({"unallocated": [1, 2, 3]}, "ordinal 1 is both allocated and free"),
        ({"unallocated": [2, 3, 9]}, "ordinal 9 is outside the block"),
        ({"unallocated": [2, 3, 3]}, "an ordinal is free twice"),
        ({"unallocated": [2]}, "1 free and 2 allocated do not make 4"),
    ],
)
def test_a_block_that_contradicts_itself(read: Read, changes: dict[str, Any], reason: str) -> None:
    (found,) = read(block(**changes)).findings
    assert found.kind == "block-inconsistent"
    assert reason in found.title


def test_an_older_address_of_the_same_pod_is_leaked(read: Read) -> None:
    twins = json.loads(block())
    twins["attributes"][1]["secondary"]["pod"] = "a"
    (found,) = read(json.dumps(twins)).findings
    assert (found.kind, found.entities["addresses"], found.entities["pods"]) == ("leaked", ["10.1.0.0"], ["ns/a"])


def node_config(requested: int, count: int, status: str = "", mode: str = "dynamic", kind: str = "vnet") -> str:
    lines = [f"    - ip: 10.241.0.{number}\n      name: id-{number}" for number in range(5, 5 + count)]
    return (
        "apiVersion: acn.azure.com/v1alpha\nkind: NodeNetworkConfig\nmetadata:\n  name: node-1\n"
        f"spec:\n  requestedIPCount: {requested}\nstatus:\n  assignedIPCount: {count}\n  networkContainers:\n"
        f"  - assignmentMode: {mode}\n    type: {kind}\n    status: {status or 'NCUpdateSuccess'}\n"
        "    subnetName: pods\n"
        "    ipAssignments:\n" + "\n".join(lines) + "\n"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (node_config(16, 16), {}),
        (node_config(32, 16), {"nnc-shortage": "node-1"}),
        (node_config(16, 16, "NCUpdateSubnetFullError"), {"subnet-full": "pods"}),
        (node_config(0, 1, mode="static", kind="overlay"), {}),
    ],
)
def test_node_network_configs(read: Read, text: str, expected: dict[str, str]) -> None:
    assert kinds(read(text)) == expected


def test_a_ciliumnode_whose_operator_reports_an_error(read: Read) -> None:
    text = (
        "kind: CiliumNode\nmetadata:\n  name: n1\nstatus:\n  azure:\n    interfaces:\n    - name: nic\n"
        "      addresses:\n"
        "      - ip: 10.0.0.9\n        state: failed\n"
        "  ipam:\n    operator-status:\n      error: LinkedAuthorizationFailed\n    used: {}\n"
    )
    report = read(text)
    assert kinds(report) == {"cilium-operator-error": "CiliumNode n1", "cilium-ip-state": "nic"}


CONFLISTS = [
    ({"type": "azure-vnet", "ipam": {"type": "azure-vnet-ipam"}}, "azure-cni"),
    ({"type": "azure-vnet", "ipam": {"type": "azure-cns", "mode": "v4overlay"}}, "azure-cni-overlay"),
    ({"type": "azure-vnet", "ipam": {"type": "azure-cns", "mode": "dualStackOverlay"}}, "azure-cni-overlay"),
    ({"type": "azure-vnet", "ipam": {"type": "azure-cns"}}, "azure-cni-podsubnet"),
    ({"type": "cilium-cni", "ipam": {"type": "azure-ipam"}}, "azure-cilium"),
    ({"type": "cilium-cni"}, "cilium"),
    ({"type": "calico", "ipam": {"type": "calico-ipam"}}, "calico"),
    ({"type": "calico", "ipam": {"type": "host-local", "subnet": "usePodCidr"}}, "kubenet-calico"),
    ({"type": "calico", "ipam": {"type": "host-local", "ranges": [[{"subnet": "usePodCidr"}]]}}, "kubenet-calico"),
    (
        {"type": "bridge", "bridge": "cbr0", "ipam": {"type": "host-local", "subnet": "10.0.0.0/24", "routes": [{}]}},
        "kubenet",
    ),
    ({"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.0.0.0/24"}}, "host-local"),
    ({"type": "flannel", "delegate": {}}, "flannel"),
]


@pytest.mark.parametrize(("plugin", "variant"), CONFLISTS)
def test_the_variant_is_read_from_the_configuration(read: Read, plugin: dict[str, Any], variant: str) -> None:
    report = read(json.dumps({"cniVersion": "0.3.1", "name": "kubenet", "plugins": [plugin, {"type": "portmap"}]}))
    assert [found.name for found in report.variants] == [variant]
    assert not report.findings


def test_a_configuration_in_a_configmap_is_read(read: Read) -> None:
    inner = json.dumps({"name": "n", "plugins": [{"type": "calico", "ipam": {"type": "calico-ipam"}}]})
    report = read(f"apiVersion: v1\nkind: ConfigMap\ndata:\n  cni_network_config: |-\n    {inner}\n")
    assert [found.name for found in report.variants] == ["calico"]


def test_yaml_that_would_unfold_without_end_is_left(read: Read) -> None:
    bomb = "a: &a [x, x, x]\n" + "".join(
        f"{name}: &{name} [*{last}, *{last}, *{last}]\n"
        for last, name in zip("abcdefghijk", "bcdefghijkl", strict=True)
    )
    assert read(f"kind: IPAMBlock\n{bomb}end:\n").outcome == "not understood"


def test_calicos_pods_beside_azure_cni_make_it_azure_cni_with_calico(read: Read) -> None:
    conflist = json.dumps({"name": "azure", "plugins": [{"type": "azure-vnet", "ipam": {"type": "azure-vnet-ipam"}}]})
    pod = "calico-system   calico-node-x7k2p   1/1   Running   0   2h   10.224.0.4   aks-1   <none>   <none>"
    assert [found.name for found in read(conflist).variants] == ["azure-cni"]
    (variant,) = read(f"{conflist}\n{pod}\n").variants
    assert (variant.name, len(variant.evidence)) == ("azure-cni-calico", 2)


def test_a_row_of_calicoctl_whose_prefix_is_none_is_not_understood(read: Callable[[str], Report]) -> None:
    row = "| IP Pool  | {}/16 | 65536 | 18 (0%) | 65518 (100%) |\n"
    assert [pool.capacity for pool in read(row.format("10.244.0.0")).pools] == [65536]
    assert read(row.format("999.244.0.0")).pools == []
