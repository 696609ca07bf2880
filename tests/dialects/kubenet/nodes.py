"""Nodes and routes as tests make them."""

from __future__ import annotations

from typing import Any

from unipam.addr.prefix import parse_address
from unipam.dialects.kubenet.node import Node


def node(name: str, *ranges: str, ip: str = "", created: float = 0.0, **fields: Any) -> Node:
    """A node with these ranges; its UID is its name's."""
    addresses = tuple(map(parse_address, ip.split(","))) if ip else ()
    return Node(name, f"uid-{name}", ranges, addresses, created, **fields)


def nodes(count: int, base: str = "aks-np-1-vmss") -> list[Node]:
    """So many nodes, each with a range and an address."""
    return [
        node(f"{base}{i:06}", f"10.244.{i}.0/24", ip=f"10.1.{i // 250}.{i % 250 + 4}", created=float(i))
        for i in range(count)
    ]


def route(name: str, prefix: str, hop: str = "", kind: str = "VirtualAppliance", **more: Any) -> dict[str, Any]:
    """A route as Azure gives it."""
    properties = {"provisioningState": "Succeeded", "addressPrefix": prefix, "nextHopType": kind, **more}
    if hop:
        properties["nextHopIpAddress"] = hop
    return {"name": name, "id": f"/rt/routes/{name}", "etag": 'W/"1"', "properties": properties}
