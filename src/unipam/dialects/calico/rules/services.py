"""Which Services of type LoadBalancer have their addresses from Calico (spec §1.16)."""

from __future__ import annotations

from typing import Any

_CLASS = "calico"
_ASKING = tuple(f"projectcalico.org/{name}" for name in ("ipv4pools", "ipv6pools", "loadBalancerIPs"))


def are_calicos(service: dict[str, Any], assign: str) -> bool:
    """Return whether a Service's addresses are Calico's to assign; `assign` is `assignIPs` of the controller."""
    spec = service.get("spec") or {}
    if spec.get("type") != "LoadBalancer" or spec.get("loadBalancerClass") not in {None, _CLASS}:
        return False
    if assign != "RequestedServicesOnly" or spec.get("loadBalancerClass") == _CLASS:
        return True
    annotations = (service.get("metadata") or {}).get("annotations") or {}
    return bool(spec.get("loadBalancerIP")) or any(annotations.get(name) for name in _ASKING)
