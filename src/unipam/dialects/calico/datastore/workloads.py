"""Pods of Kubernetes as Calico's WorkloadEndpoints: which addresses they use."""

from __future__ import annotations

from typing import Any

from unipam.dialects.calico.datastore.api import Document

_POD_IP, _POD_IPS = "cni.projectcalico.org/podIP", "cni.projectcalico.org/podIPs"
_OVER = frozenset(("Failed", "Succeeded", "Completed"))


def show(pod: Document) -> Document:
    """Return the WorkloadEndpoint that a pod is. One that uses no address of its own, or none any more, has none.

    Its status, which Calico's own have not, tells a pod that has ended from one that has no address yet, and has what
    Calico noted before the kubelet reported it.
    """
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    node, name = str(spec.get("nodeName") or ""), str(metadata["name"])
    of_calico = node and not spec.get("hostNetwork")
    return {
        "kind": "WorkloadEndpoint",
        "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": _name(node, name), "namespace": metadata["namespace"]},
        "spec": {"node": node, "pod": name, "ipNetworks": addresses(pod) if of_calico and not is_over(pod) else []},
        "status": {"ended": is_over(pod), "noted": _noted(pod)},
    }


def addresses(pod: Document) -> list[str]:
    """Return the addresses that a pod has: as its status says, else as Calico noted in its annotations."""
    status = pod.get("status") or {}
    found = [str(each["ip"]) for each in status.get("podIPs") or () if each.get("ip")]
    if found or status.get("podIP"):
        return found or [str(status["podIP"])]
    return _noted(pod)


def _noted(pod: Document) -> list[str]:
    annotations = pod["metadata"].get("annotations") or {}
    noted = annotations.get(_POD_IPS) or annotations.get(_POD_IP) or ""
    return [each.strip() for each in noted.split(",") if each.strip()]


def is_over(pod: Document) -> bool:
    """Return whether a pod has lost its network: it ended, or is on its way out and Calico emptied its annotation."""
    metadata: dict[str, Any] = pod["metadata"]
    annotations = metadata.get("annotations") or {}
    emptied = metadata.get("deletionTimestamp") and annotations.get(_POD_IP) == ""
    return bool(emptied) or (pod.get("status") or {}).get("phase") in _OVER


def _name(node: str, pod: str) -> str:
    """Return what Calico calls the endpoint of a pod: `node1-k8s-web--0-eth0`."""
    return f"{node.replace('-', '--')}-k8s-{pod.replace('-', '--')}-eth0"
