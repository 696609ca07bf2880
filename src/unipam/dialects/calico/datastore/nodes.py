"""Kubernetes' nodes as Calico sees them: most of what it knows of one stands in annotations (spec calico-ipam §4.5)."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from unipam.dialects.calico.datastore.api import Document

_LABELS, _ANNOTATIONS = "projectcalico.org/labels", "projectcalico.org/annotations"
_FIELDS: dict[str, tuple[str, ...]] = {
    "projectcalico.org/IPv4Address": ("spec", "bgp", "ipv4Address"),
    "projectcalico.org/IPv6Address": ("spec", "bgp", "ipv6Address"),
    "projectcalico.org/RouteReflectorClusterID": ("spec", "bgp", "routeReflectorClusterID"),
    "projectcalico.org/IPv4IPIPTunnelAddr": ("spec", "bgp", "ipv4IPIPTunnelAddr"),
    "projectcalico.org/IPv4VXLANTunnelAddr": ("spec", "ipv4VXLANTunnelAddr"),
    "projectcalico.org/VXLANTunnelMACAddr": ("spec", "vxlanTunnelMACAddr"),
    "projectcalico.org/IPv6VXLANTunnelAddr": ("spec", "ipv6VXLANTunnelAddr"),
    "projectcalico.org/VXLANTunnelMACAddrV6": ("spec", "vxlanTunnelMACAddrV6"),
    "projectcalico.org/IPv4WireguardInterfaceAddr": ("spec", "wireguard", "interfaceIPv4Address"),
    "projectcalico.org/IPv6WireguardInterfaceAddr": ("spec", "wireguard", "interfaceIPv6Address"),
    "projectcalico.org/WireguardPublicKey": ("status", "wireguardPublicKey"),
    "projectcalico.org/WireguardPublicKeyV6": ("status", "wireguardPublicKeyV6"),
}
"""Where in a Node of projectcalico.org/v3 an annotation's value stands."""


def show(node: Document) -> Document:
    """Return the Node of projectcalico.org/v3 that a node of Kubernetes is."""
    metadata, annotations = node["metadata"], node["metadata"].get("annotations") or {}
    shown: Document = {
        "kind": "Node",
        "apiVersion": "projectcalico.org/v3",
        "metadata": _metadata(metadata, annotations),
        "spec": {"orchRefs": [{"nodeName": metadata["name"], "orchestrator": "k8s"}]},
        "status": {},
    }
    for annotation, where in _FIELDS.items():
        if annotation in annotations:
            _put(shown, where, annotations[annotation])
    if ranges := (node.get("spec") or {}).get("podCIDRs"):
        shown["status"]["podCIDRs"] = list(ranges)
    return shown


def changes(before: Document, after: Document) -> dict[str, str | None]:
    """Return the annotations that a node of Kubernetes gets for what was changed in the Node; None: it loses it."""
    values = ((name, _value(before, where), _value(after, where)) for name, where in _FIELDS.items())
    return {name: new for name, old, new in values if new != old}


def _metadata(metadata: Document, annotations: dict[str, str]) -> Document:
    """Return the metadata: Kubernetes' labels go before those that Calico keeps in an annotation."""
    shown = {name: metadata[name] for name in ("name", "uid", "creationTimestamp") if name in metadata}
    labels = {**_texts(annotations, _LABELS), **(metadata.get("labels") or {})}
    kept = _texts(annotations, _ANNOTATIONS)
    return shown | ({"labels": labels} if labels else {}) | ({"annotations": kept} if kept else {})


def _texts(annotations: dict[str, str], name: str) -> dict[str, str]:
    """Return the object in an annotation; nothing when it is none."""
    with contextlib.suppress(ValueError):
        return msgspec.json.decode(annotations.get(name, "{}"), type=dict[str, str])
    return {}


def _put(document: Document, where: tuple[str, ...], value: str) -> None:
    for step in where[:-1]:
        document = document.setdefault(step, {})
    document[where[-1]] = value


def _value(document: Document, where: tuple[str, ...]) -> str | None:
    found: Any = document
    for step in where:
        found = found.get(step) if isinstance(found, dict) else None
    return found or None
