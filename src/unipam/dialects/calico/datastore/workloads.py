"""Pods of Kubernetes as Calico's WorkloadEndpoints: which addresses they use."""

from __future__ import annotations

from unipam.addr.prefix import format_address
from unipam.dialects.calico.datastore.api import Document
from unipam.dialects.calico.documents import pod as pods


def show(pod: Document) -> Document:
    """Return the WorkloadEndpoint that a pod is. One that uses no address of its own, or none any more, has none.

    Its status, which Calico's own have not, tells a pod that has ended from one that has no address yet, and has every
    address that anybody notes of it.
    """
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    node, name = str(spec.get("nodeName") or ""), str(metadata["name"])
    read = pods.read(pod)
    of_calico = node and not spec.get("hostNetwork") and not read.finished
    return {
        "kind": "WorkloadEndpoint",
        "apiVersion": "projectcalico.org/v3",
        "metadata": {"name": _name(node, name), "namespace": metadata["namespace"]},
        "spec": {"node": node, "pod": name, "ipNetworks": pods.addresses(pod) if of_calico else []},
        "status": {"ended": read.finished, "addresses": list(map(format_address, read.addresses))},
    }


def _name(node: str, pod: str) -> str:
    """Return what Calico calls the endpoint of a pod: `node1-k8s-web--0-eth0`."""
    return f"{node.replace('-', '--')}-k8s-{pod.replace('-', '--')}-eth0"
