"""A pod as far as addresses go: of Kubernetes, or as a WorkloadEndpoint of Calico's has it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from unipam.addr.prefix import parse_address

_CALICO = ("cni.projectcalico.org/podIPs", "cni.projectcalico.org/podIP")
"""Where Calico's CNI plugin notes a pod's addresses, which it does before the kubelet reports them."""
_NETWORKS = "k8s.v1.cni.cncf.io/network-status"
"""Where Multus notes the addresses that a pod has in further networks."""
_ENDED = frozenset(("Succeeded", "Failed", "Completed"))


class Pod(NamedTuple):
    """A pod: its node (empty: none yet), its addresses as the cluster knows them, and whether it runs no more."""

    node: str
    addresses: tuple[int, ...]
    finished: bool


def read(found: dict[str, Any]) -> Pod:
    """Return what a pod of Kubernetes says: every address that anybody notes of it."""
    node = sys.intern((found.get("spec") or {}).get("nodeName") or "")
    annotations = found["metadata"].get("annotations") or {}
    texts = [*reported(found), *(each for name in _CALICO for each in annotations.get(name, "").split(","))]
    return Pod(node, _numbers((*texts, *_of_networks(annotations.get(_NETWORKS)))), is_over(found))


def of_workloads(documents: Iterable[dict[str, Any]]) -> Pod:
    """Return what the WorkloadEndpoints of one pod say together: it has ended when all of them have."""
    specs = [document.get("spec") or {} for document in documents]
    statuses = [document.get("status") or {} for document in documents]
    texts = [str(each) for spec in specs for each in spec.get("ipNetworks") or ()]
    texts += [str(each) for status in statuses for each in status.get("addresses") or ()]
    node = next((str(spec["node"]) for spec in specs if spec.get("node")), "")
    return Pod(node, _numbers(texts), all(status.get("ended") for status in statuses))


def is_over(found: dict[str, Any]) -> bool:
    """Return whether a pod has lost its network: it ended, or is on its way out and Calico emptied its annotation."""
    metadata = found["metadata"]
    annotations = metadata.get("annotations") or {}
    emptied = metadata.get("deletionTimestamp") and annotations.get(_CALICO[1]) == ""
    return bool(emptied) or (found.get("status") or {}).get("phase") in _ENDED


def addresses(found: dict[str, Any]) -> list[str]:
    """Return the addresses that a pod has in Calico's eyes: as its status says, else as Calico has noted."""
    annotations = found["metadata"].get("annotations") or {}
    noted = next((annotations[name] for name in _CALICO if annotations.get(name)), "")
    return reported(found) or [each.strip() for each in noted.split(",") if each.strip()]


def reported(found: dict[str, Any]) -> list[str]:
    """Return the addresses that the kubelet reports."""
    status = found.get("status") or {}
    every = [str(each["ip"]) for each in status.get("podIPs") or () if each.get("ip")]
    return every or [str(ip) for ip in (status.get("podIP"),) if ip]


def _of_networks(text: str | None) -> list[str]:
    try:
        return [ip for each in msgspec.json.decode(text or "[]", type=list[_Network]) for ip in each.ips]
    except msgspec.MsgspecError:
        return []


class _Network(msgspec.Struct):
    ips: list[str] = []


def _numbers(texts: Iterable[str]) -> tuple[int, ...]:
    """Return the addresses in order, each once. What is none, nobody has."""
    return tuple(sorted(set(_parsed(texts))))


def _parsed(texts: Iterable[str]) -> Iterator[int]:
    for text in texts:
        try:
            yield parse_address(text.partition("/")[0].strip())
        except ValueError:
            continue
