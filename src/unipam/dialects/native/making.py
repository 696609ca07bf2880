"""The CiliumNode of a node that has none, as Cilium's agent makes it in Azure mode (spec cilium §1.1); purely."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from unipam.dialects.cilium.node import section
from unipam.model.errors import BadConfig

_AZURE = "azure://"
_IPAM = ("min-allocate", "pre-allocate", "max-allocate", "max-above-watermark")


def wanted(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a network configuration asks for in a CiliumNode that is made. Raises BadConfig."""
    ipam, found = section(document, "ipam"), dict[str, Any]()
    for name in _IPAM:
        if name in ipam:
            if not isinstance(ipam[name], int) or isinstance(ipam[name], bool) or ipam[name] < 0:
                raise BadConfig(f"ipam.{name} is {ipam[name]!r}: a whole number, 0 or more")
            found[name] = ipam[name]
    interface = section(document, "azure").get("interface-name")
    return {"ipam": found} | ({"azure": {"interface-name": str(interface)}} if interface else {})


def machine(node: Mapping[str, Any]) -> str:
    """Return the machine of a Node, in lower case: Kubernetes and Azure write it differently. Empty: it has none."""
    provider = str(section(node, "spec").get("providerID") or "")
    return provider.removeprefix(_AZURE).lower() if provider.startswith(_AZURE) else ""


def made(node: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the CiliumNode of a Node, which goes with it."""
    about, addresses = section(node, "metadata"), section(node, "status").get("addresses") or ()
    owner = {"apiVersion": "v1", "kind": "Node", "name": about.get("name"), "uid": about.get("uid")}
    found = [
        {"ip": each["address"], "type": each["type"]}
        for each in addresses
        if each.get("type") in {"InternalIP", "ExternalIP"}
    ]
    spec = {"instance-id": machine(node), "ipam": {}, **({"addresses": found} if found else {}), **asked}
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNode",
        "metadata": {"name": about.get("name"), "ownerReferences": [owner]},
        "spec": spec,
    }
