"""Pods and nodes of Kubernetes as mirrors keep them."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import msgspec

from unipam.addr.prefix import parse_address
from unipam.clients.kubernetes.api import KubernetesApi, Object, Refusal
from unipam.clients.kubernetes.objects import Objects
from unipam.dialects.calico.rules.liveness import Pod, PodName

PODS, NODES = "/api/v1/pods", "/api/v1/nodes"

_CALICO = ("cni.projectcalico.org/podIPs", "cni.projectcalico.org/podIP")
"""Where Calico's CNI plugin notes a pod's addresses, which it does before the kubelet reports them."""
_NETWORKS = "k8s.v1.cni.cncf.io/network-status"
"""Where Multus notes the addresses that a pod has in further networks."""
_ENDED = frozenset(("Succeeded", "Failed"))


def pods(api: KubernetesApi) -> Objects[PodName, Pod]:
    """Return all pods of a cluster."""
    return Objects(api, PODS, pod_name, read_pod)


def nodes(api: KubernetesApi) -> Objects[str, bool]:
    """Return all nodes of a cluster; of each only that it is there."""
    return Objects(api, NODES, lambda found: sys.intern(found["metadata"]["name"]), lambda _: True)


def pod_name(found: Object) -> PodName:
    """Return what a pod is called."""
    return sys.intern(found["metadata"]["namespace"]), found["metadata"]["name"]


def read_pod(found: Object) -> Pod:
    """Return what is kept of a pod."""
    spec, status = found.get("spec") or {}, found.get("status") or {}
    node = sys.intern(spec.get("nodeName") or "")
    return Pod(node, tuple(sorted(_addresses(found["metadata"], status))), status.get("phase") in _ENDED)


def _addresses(metadata: Object, status: Object) -> set[int]:
    texts = {each.get("ip") for each in status.get("podIPs") or ()} | {status.get("podIP")}
    annotations = metadata.get("annotations") or {}
    for name in _CALICO:
        texts.update(each.partition("/")[0] for each in annotations.get(name, "").split(","))
    if _NETWORKS in annotations:
        texts.update(_of_networks(annotations[_NETWORKS]))
    return set(_parsed(text for text in texts if text))


def _of_networks(text: str) -> list[str]:
    try:
        return [ip for each in msgspec.json.decode(text, type=list[_Network]) for ip in each.ips]
    except msgspec.MsgspecError:
        return []


class _Network(msgspec.Struct):
    ips: list[str] = []


def _parsed(texts: Iterator[str]) -> Iterator[int]:
    for text in texts:
        try:
            yield parse_address(text)
        except ValueError:
            continue


def pair(found: Object) -> tuple[PodName, Pod]:
    """Return what a pod is called, and what is kept of it."""
    return pod_name(found), read_pod(found)


def find_pod(api: KubernetesApi, name: PodName, deadline: float) -> Pod | None:
    """Read a pod as it is now; None when there is none. Raises SourceFailed, Refusal."""
    from urllib.parse import quote

    namespace, pod = name
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}"
    try:
        return read_pod(api.get(path, deadline))
    except Refusal as error:
        if error.status == 404:
            return None
        raise
