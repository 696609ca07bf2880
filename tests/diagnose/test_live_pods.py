"""Lists of what lives, in every form that kubectl and crictl print them, against what an IPAM has on record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from unipam.diagnose import diagnose
from unipam.diagnose.report import Report

LIVING, GONE = "a" * 64, "b" * 64
Read = Callable[[str], Report]


def state(*owners: str) -> str:
    records = {
        f"10.224.0.{number}": {"ID": owner, "Addr": f"10.224.0.{number}", "InUse": bool(owner)}
        for number, owner in enumerate(owners, 5)
    }
    pool = {"Id": "10.224.0.0/16", "Subnet": {"IP": "10.224.0.0", "Mask": "//8AAA=="}, "Addresses": records}
    return json.dumps({"IPAM": {"AddressSpaces": {"local": {"Pools": {"10.224.0.0/16": pool}}}}}, indent=1)


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-1", "namespace": "shop"},
    "spec": {"nodeName": "node-1"},
    "status": {"phase": "Running", "hostIP": "10.224.0.4", "podIP": "10.224.0.5", "podIPs": [{"ip": "10.224.0.5"}]},
}
SANDBOXES = {
    "crictl pods": "POD ID          CREATED       STATE   NAME    NAMESPACE  ATTEMPT  RUNTIME\n"
    f"{LIVING[:13]}   2 hours ago   Ready   web-1   shop   0   (default)\n",
    "crictl pods -q": f"{LIVING}\n",
    "crictl pods -o json": json.dumps(
        {"items": [{"id": LIVING, "metadata": {"name": "web-1", "namespace": "shop"}, "state": "SANDBOX_READY"}]},
        indent=2,
    ),
    "crictl ps": "CONTAINER       IMAGE           CREATED       STATE     NAME   ATTEMPT   POD ID          POD\n"
    f"0f1e2d3c4b5a6   3b8a1f2c3d4e5   2 hours ago   Running   web    0         {LIVING[:13]}   web-1\n",
    "crictl ps -o json": json.dumps({"containers": [{"podSandboxId": LIVING, "state": "CONTAINER_RUNNING"}]}, indent=2),
}
PODS = {
    "kubectl get pods -A -o wide": "NAMESPACE   NAME    READY   STATUS    RESTARTS      AGE   IP           NODE\n"
    "shop        web-1   1/1     Running   2 (3h ago)    2d    10.224.0.5   node-1\n",
    "kubectl get pods -o wide": "NAME    READY   STATUS    RESTARTS   AGE   IP           NODE\nweb-1   1/1     "
                                "Running   0   2d   10.224.0.5   node-1\n",
    "kubectl get pods -o json": json.dumps({"kind": "List", "items": [POD]}, indent=2),
    "kubectl get pods -o yaml": yaml.safe_dump({"kind": "List", "items": [POD]}),
    "kubectl describe pod": "Name:             web-1\nNamespace:        shop\nNode:             node-1/10.224.0.4\n"
    "Status:           Running\nIP:               10.224.0.5\n",
}  # fmt: skip


@pytest.mark.parametrize("form", SANDBOXES)
def test_owners_without_a_sandbox_are_leaked(tmp_path: Path, form: str) -> None:
    (tmp_path / "azure-vnet-ipam.json").write_text(state(LIVING, GONE))
    (tmp_path / "list.txt").write_text(SANDBOXES[form])
    (found,) = diagnose([tmp_path]).findings
    assert (found.kind, found.entities["addresses"]) == ("leaked", ["10.224.0.6"])
    assert found.cause.startswith("1 of 2 addresses of pool 10.224.0.0/16 look leaked")


@pytest.mark.parametrize("form", PODS)
def test_addresses_that_are_no_pods_are_told(tmp_path: Path, form: str) -> None:
    (tmp_path / "azure-vnet-ipam.json").write_text(state(LIVING, GONE))
    (tmp_path / "list.txt").write_text(PODS[form])
    kinds = {each.kind: each for found in diagnose([tmp_path]).findings for each in found.every()}
    assert kinds["reservations-without-pod"].entities["addresses"] == ["10.224.0.6"]


@pytest.mark.parametrize("namespace", ["shop    ", ""])
def test_two_running_pods_with_one_address_are_a_fault(read: Read, namespace: str) -> None:
    rows = [
        f"{namespace}web-{number}   1/1     Running   2          5d      10.241.0.22    node-1" for number in (1, 2)
    ]
    (found,) = read("\n".join(rows)).findings
    assert (found.kind, found.subject, found.count) == ("duplicate-holder", "10.241.0.22", 1)
    assert [name.rpartition("/")[2] for name in found.entities["pods"]] == ["web-1", "web-2"]


def test_pods_on_the_hosts_network_share_its_address(read: Read) -> None:
    rows = [
        f"kube-system   {name}   1/1   Running   0   5d   10.224.0.4   node-1"
        for name in ("kube-proxy-x7k2p", "agent-1", "agent-2")
    ]
    assert not read("\n".join(rows)).findings
    nodes = (
        "NAME     STATUS   ROLES   AGE   VERSION   INTERNAL-IP   EXTERNAL-IP\n"
        "node-1   Ready    agent   5d    v1.30.1   10.224.0.4    <none>\n\n"
    )
    assert not read(nodes + "\n".join(rows[1:])).findings


def test_a_pod_that_has_ended_shares_with_nobody(read: Read) -> None:
    rows = (
        "shop   web-1   1/1   Running   0   5d   10.241.0.22   node-1\n"
        "shop   job-1   0/1   Completed   0   6d   10.241.0.22   node-1\n"
    )
    assert not read(rows).findings


def test_events_as_json_name_pod_node_and_number(read: Read) -> None:
    event = {
        "kind": "Event",
        "type": "Warning",
        "reason": "FailedCreatePodSandBox",
        "message": "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
        f'"{GONE}": plugin type="azure-vnet" failed (add): Failed to allocate pool: Failed to delegate: Failed to '
        f"allocate "
        "address: No available addresses",
        "count": 16,
        "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "cart-1"},
        "source": {"component": "kubelet", "host": "node-7"},
        "lastTimestamp": "2025-03-01T18:20:18Z",
    }
    (found,) = read(json.dumps({"kind": "List", "items": [event, {**event, "kind": "Event"}]}, indent=1)).findings
    assert (found.kind, found.entities["pods"], found.entities["nodes"]) == (
        "azure-exhausted",
        ["shop/cart-1"],
        ["node-7"],
    )
    assert (found.refused, found.last) == (1, "2025-03-01 18:20:18")


def test_a_pod_refused_is_counted_once_whoever_reports_it(tmp_path: Path) -> None:
    stamp = "2025/03/01 18:20:18 [9] "
    text = "Failed to allocate address: No available addresses"
    (tmp_path / "azure-vnet-ipam.log").write_text(
        f"{stamp}Acquiring process lock\n{stamp}[cni-ipam] Processing ADD command with args {{ContainerID:{GONE} "
        f"Netns: "
        f"Args:K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-1 Path:}}.\n{stamp}[azure-vnet-ipam] "
        f"{text}.\n{stamp}Released process lock\n"
    )
    line = f'failed to setup network for sandbox \\"{GONE}\\": plugin type=\\"azure-vnet\\" failed (add): {text}'
    (tmp_path / "syslog").write_text(
        f'Mar  1 18:20:18 node-7 containerd[8]: time="2025-03-01T18:20:18.1Z" level=error msg="RunPodSandbox failed, '
        f'error" error="{line}"\n'
        f'Mar  1 18:20:18 node-7 kubelet[9]: E0301 18:20:18.6 9 pod_workers.go:1] "Error syncing pod" err="{line}" '
        f'pod="shop/cart-1"\n' * 3
    )
    (found,) = diagnose([tmp_path]).findings
    assert (found.kind, found.refused) == ("azure-exhausted", 1)
    assert "1 pod was refused since 2025-03-01 18:20" in found.cause


def test_lists_of_two_hours_are_not_held_against_each_other(tmp_path: Path) -> None:
    for name in ("web-1", "web-2"):
        (tmp_path / f"{name}.txt").write_text(f"shop   {name}   1/1   Running   0   5d   10.241.0.22   node-1\n")
    (tmp_path / "later.txt").write_text("web-2   1/1   Running   0   5d   10.241.0.22   node-1\n")
    assert not diagnose([tmp_path]).findings


@pytest.mark.parametrize(("age", "outcome"), [("2d", "not understood"), ("6m52s", "not understood"), ("4s", "healthy")])
def test_a_pod_that_is_created_for_minutes_is_no_sign_of_health(read: Read, age: str, outcome: str) -> None:
    rows = (
        "NAME    READY   STATUS              RESTARTS   AGE   IP           NODE\n"
        f"web-1   0/1     ContainerCreating   0          {age}    <none>       node-1\n"
        "web-2   1/1     Running             0          2d    10.224.0.5   node-1\n"
    )
    assert read(rows).outcome == outcome


def test_a_pod_that_waits_is_no_riddle_when_its_refusal_is_told(read: Read) -> None:
    event = (
        f'Failed to create pod sandbox: rpc error: failed to set up sandbox container "{GONE}" network for pod "web-1":'
        ' networkPlugin cni failed to set up pod "web-1_shop" network: no IP ranges specified\n\n'
    )
    report = read(event + "web-1   0/1     ContainerCreating   0   6m52s   <none>   node-1   <none>   <none>\n")
    assert [found.kind for found in report.findings] == ["no-ranges"]


def test_a_cilium_node_that_uses_all_it_has_is_full(read: Read) -> None:
    ipam = {address: {} for address in ("10.0.0.5", "10.0.0.6")}
    used = {address: {"owner": f"shop/web-{address[-1]}"} for address in ipam}
    node = {
        "kind": "CiliumNode",
        "metadata": {"name": "n1"},
        "spec": {"ipam": {"pool": ipam}},
        "status": {"ipam": {"used": used}},
    }
    (found,) = read(yaml.safe_dump({"kind": "List", "items": [node]})).findings
    assert (found.kind, found.values["in_use"], found.values["capacity"]) == ("pool-full", 2, 2)


def test_a_manifest_amid_other_text_is_read(read: Read) -> None:
    node = {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNode",
        "metadata": {"name": "n1"},
        "spec": {"ipam": {"pool": {"10.0.0.5": {}}}},
        "status": {"ipam": {"used": {"10.0.0.5": {"owner": "shop/web-5"}}}},
    }
    event = (
        'Failed to create pod sandbox: rpc error: failed to setup network for sandbox "a": plugin type="cilium-cni" '
        "failed (add): unable to allocate IP via local cilium agent: [POST /ipam][502] postIpamFailure "
        '"No more IPs available"\n'
    )
    for text in (event + yaml.safe_dump(node), yaml.safe_dump(node, sort_keys=False) + event):
        (found,) = read(text).findings
        assert (found.kind, [effect.kind for effect in found.consequences]) == ("cilium-exhausted", ["pool-full"])
        assert "1 of 1 in CiliumNode n1" in found.title
