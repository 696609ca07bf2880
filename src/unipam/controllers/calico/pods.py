"""Pods and nodes of Kubernetes as mirrors keep them."""

from __future__ import annotations

import sys

from unipam.clients.kubernetes.api import KubernetesApi, Object, Refusal
from unipam.clients.kubernetes.objects import Objects
from unipam.dialects.calico.documents import pod as documents
from unipam.dialects.calico.documents.pod import Pod
from unipam.dialects.calico.rules.liveness import PodName

PODS, NODES = "/api/v1/pods", "/api/v1/nodes"


def pods(api: KubernetesApi) -> Objects[PodName, Pod]:
    """Return all pods of a cluster."""
    return Objects(api, PODS, pod_name, documents.read)


def nodes(api: KubernetesApi) -> Objects[str, bool]:
    """Return all nodes of a cluster; of each only that it is there."""
    return Objects(api, NODES, lambda found: sys.intern(found["metadata"]["name"]), lambda _: True)


def pod_name(found: Object) -> PodName:
    """Return what a pod is called."""
    return sys.intern(found["metadata"]["namespace"]), found["metadata"]["name"]


def pair(found: Object) -> tuple[PodName, Pod]:
    """Return what a pod is called, and what is kept of it."""
    return pod_name(found), documents.read(found)


def find_pod(api: KubernetesApi, name: PodName, deadline: float) -> Pod | None:
    """Read a pod as it is now; None when there is none. Raises SourceFailed, Refusal."""
    from urllib.parse import quote

    namespace, pod = name
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}"
    try:
        return documents.read(api.get(path, deadline))
    except Refusal as error:
        if error.status == 404:
            return None
        raise
