"""Pods and nodes in a real API server without kubelets: the tests say what they report."""

from __future__ import annotations

import contextlib
from typing import Any

from tests.real.etcd import soon

from unipam.clients.kubernetes.api import KubernetesApi, Refusal

PODS = "/api/v1/namespaces/default/pods"
NOW = {"gracePeriodSeconds": 0}


def await_namespaces(api: KubernetesApi) -> None:
    """Make the namespaces that a server makes some time after it has started, unless it has."""
    for name in ("default", "kube-system"):
        with contextlib.suppress(Refusal):
            api.create("/api/v1/namespaces", {"metadata": {"name": name}}, soon())


def make_node(api: KubernetesApi, name: str) -> None:
    """A node."""
    api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}, soon())


def remove_node(api: KubernetesApi, name: str) -> None:
    """A node no more."""
    api.delete(f"/api/v1/nodes/{name}", {}, soon())


def make_pod(api: KubernetesApi, name: str, node: str, *addresses: str, phase: str = "Running") -> None:
    """A pod that reports these addresses."""
    containers = [{"name": "c", "image": "none"}]
    spec: dict[str, Any] = {"nodeName": node, "containers": containers} if node else {"containers": containers}
    made = api.create(PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}, soon())
    report(api, made, *addresses, phase=phase)


def report(api: KubernetesApi, pod: dict[str, Any], *addresses: str, phase: str = "Running") -> None:
    """Let a pod report these addresses."""
    status = {
        "phase": phase,
        **({"podIP": addresses[0], "podIPs": [{"ip": ip} for ip in addresses]} if addresses else {}),
    }
    api.merge(f"{PODS}/{pod['metadata']['name']}/status", {"status": status}, soon())


def remove_pod(api: KubernetesApi, name: str) -> None:
    """A pod no more, at once."""
    api.delete(f"{PODS}/{name}", NOW, soon())


def empty(api: KubernetesApi) -> None:
    """Remove every pod and every lease."""
    for pod in api.get(PODS, soon())["items"]:
        with contextlib.suppress(Refusal):
            remove_pod(api, pod["metadata"]["name"])
    api.delete("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", {}, soon())
