"""Whether a lease is somebody's still (spec §3.5). What cannot be told counts as somebody's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from unipam.dialects.calico.documents.pod import Pod
from unipam.dialects.calico.rules.leases import Kind, Lease

PodName = tuple[str, str]
"""Namespace and name."""


class Living(NamedTuple):
    """Who lives in the cluster.

    `nodes` are those of Kubernetes by the names that Calico has for them, `foreign` are Calico's nodes that are no
    nodes of Kubernetes; `vms` are None where nobody knows which there are.
    """

    pods: Mapping[PodName, Pod]
    nodes: frozenset[str]
    foreign: frozenset[str] = frozenset()
    vms: frozenset[PodName] | None = None

    def has_node(self, name: str) -> bool:
        """Return whether a node is there, or is none that Kubernetes would know of."""
        return name in self.nodes or name in self.foreign


def why_gone(lease: Lease, living: Living) -> str:
    """Say why a lease is nobody's any more; empty for one that is somebody's, or that cannot be told.

    A tunnel's is its node's: whether that one may be given up is decided by all that the node holds (`garbage`).
    """
    if lease.kind is Kind.POD:
        return _why_no_pod(lease, living.pods.get((lease.namespace, lease.name)))
    if lease.kind is Kind.VM:
        return _why_no_vm(lease, living)
    return ""


def _why_no_pod(lease: Lease, pod: Pod | None) -> str:
    """Say why a pod does not use a lease.

    Its addresses are compared and not its node: what a lease notes of its node may be out of date.
    """
    if pod is None:
        return "its pod is gone"
    if pod.finished:
        return "its pod has ended"
    if not pod.node:
        return "its pod is gone, and another one of that name waits for a node"
    if not pod.addresses or lease.address in pod.addresses:
        return ""
    return "its pod has other addresses"


def _why_no_vm(lease: Lease, living: Living) -> str:
    if not lease.name or living.vms is None or (lease.namespace, lease.name) in living.vms:
        return ""
    return "its virtual machine is gone"
