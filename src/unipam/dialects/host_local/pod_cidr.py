"""`usePodCidr` in the place of a subnet: the range that the node's cluster gave it (spec calico-ipam §2.1).

Calico's CNI plugin puts the range there itself before it calls host-local; where another plugin calls, host-local does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from unipam.addr.prefix import family, parse_address
from unipam.model.errors import BadConfig

V4, V6 = "usepodcidr", "usepodcidripv6"
ALL = "usePodCidrs"
"""In the place of `subnet`: a range set for each range of the node, and default routes unless there are routes."""
_DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
_FAMILIES = {V4: 4, V6: 6}
_NAMES = {4: "usePodCidr", 6: "usePodCidrIPv6"}


class Node(NamedTuple):
    """Whose ranges are meant, and by which kubeconfig the API server is reached (empty: as a pod does)."""

    name: str
    kubeconfig: str


def wanted(document: dict[str, Any]) -> Node | None:
    """Return the node whose ranges a configuration wants; None for most, which want none."""
    return named(document) if V4 in str(document.get("ipam", "")).casefold() else None


def named(document: dict[str, Any]) -> Node:
    """Return the node that a configuration is for, as Calico's configurations name it; else this machine."""
    kubernetes = document.get("kubernetes") if isinstance(document.get("kubernetes"), dict) else {}
    name = (kubernetes or {}).get("node_name") or document.get("nodename") or os.uname().nodename.strip().lower()
    return Node(str(name), str((kubernetes or {}).get("kubeconfig") or ""))


Ranges = Callable[[], tuple[str, ...]]
"""Gives the ranges of the node. Raises UnipamError."""


def replaced(document: dict[str, Any], node: str, ranges: Ranges) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the configuration with the node's ranges in it, and what is said of that. Raises BadConfig."""
    said: list[str] = []

    def subnet(found: object) -> object:
        wish = _FAMILIES.get(found.casefold()) if isinstance(found, str) else None
        if wish is None:
            return found
        range_ = _by_family(node, ranges()).get(wish, "")
        if not range_:
            raise BadConfig(f"{_NAMES[wish]} found but there is no IPv{wish} CIDR configured", node=node)
        said.append(f"Calico CNI passing podCidr{'v6' if wish == 6 else ''} to host-local IPAM: {range_}")
        return range_

    ipam = document["ipam"]
    if not isinstance(ipam, dict):
        raise BadConfig(f"failed to parse host-local IPAM data; was expecting a dict, not: {ipam}")
    if ipam.get("subnet") == ALL:
        return {**document, "ipam": _with_all(ipam, _by_family(node, ranges()))}, ()
    changed = _with_subnet(ipam, subnet)
    if changed.get("ranges") is not None:
        changed["ranges"] = [
            [_with_subnet(each, subnet) if isinstance(each, dict) else each for each in _list(ranges_, "range set")]
            for ranges_ in _list(changed["ranges"], "ranges section")
        ]
    return {**document, "ipam": changed}, tuple(said)


def _with_subnet(of: dict[str, Any], subnet: Callable[[object], object]) -> dict[str, Any]:
    return {**of, "subnet": subnet(of["subnet"])} if "subnet" in of else dict(of)


def _with_all(ipam: dict[str, Any], ranges: dict[int, str]) -> dict[str, Any]:
    routes = {"routes": [{"dst": _DEFAULT[each]} for each in ranges]}
    given = {key: value for key, value in ipam.items() if key != "subnet"}
    return {**routes, **given, "ranges": [[{"subnet": each}] for each in ranges.values()]}


def _list(found: object, what: str) -> list[Any]:
    if not isinstance(found, list):
        raise BadConfig(f"failed to parse host-local IPAM {what}; was expecting a list, not: {found}")
    return found


def _by_family(node: str, ranges: tuple[str, ...]) -> dict[int, str]:
    """Return the node's range of each family. Raises BadConfig."""
    if not ranges:
        raise BadConfig(f"no podCidr for node {node}", node=node)
    found: dict[int, str] = {}
    for each in ranges:
        try:
            found.setdefault(family(parse_address(each.partition("/")[0])), each)
        except ValueError as error:
            raise BadConfig(f"node {node} has a podCIDR that is none: {error}", node=node) from None
    if len(ranges) > 1 and len(found) == 1:
        raise BadConfig("ClusterCIDR contains two ranges of the same type", node=node)
    return found
