"""What cloud-provider-azure calls a node's route, and which routes are a cluster's own (spec kubenet §2.2).

A route has no tags: its name is the only mark. So ours is one whose name *and* prefix are what we would have written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from unipam.addr.prefix import Prefix, parse_interface
from unipam.dialects.kubenet.policy import Policy

SEPARATOR = "____"
HOP = "VirtualAppliance"
_DROPPED = str.maketrans("", "", ":./")
_AKS = re.compile(r"(?:aks|k8s)[a-z0-9]*-.+-(?:vmss[0-9a-z]{6}|\d+)", re.IGNORECASE)
"""Names that AKS gives to its machines: so a dead node's route is known as one after a restart, too."""


def route_name(node: str, cidr: str, *, dual: bool) -> str:
    """Return the name of a node's route to one of its ranges."""
    return f"{node}{SEPARATOR}{cidr.translate(_DROPPED)}" if dual else node


def node_of(name: str) -> str:
    """Return the node that a route's name names."""
    return name.partition(SEPARATOR)[0]


def prefix_of(route: Mapping[str, Any]) -> Prefix | None:
    """Return where a route leads to; None where it is no prefix (a service tag)."""
    try:
        return parse_interface(str((route.get("properties") or {}).get("addressPrefix")))[1]
    except ValueError:
        return None


def is_ours(route: Mapping[str, Any], policy: Policy, known: Collection[str]) -> bool:
    """Return whether a route is a node's, living or gone. `known` are names of nodes, in lower case."""
    name, prefix = str(route.get("name", "")), prefix_of(route)
    properties = route.get("properties") or {}
    if properties.get("nextHopType") != HOP or prefix is None:
        return False
    if SEPARATOR in name:
        written = name.endswith(SEPARATOR + str(properties["addressPrefix"]).translate(_DROPPED))
        return written and (is_slot(prefix, policy) or node_of(name).lower() in known)
    return is_slot(prefix, policy) and (name.lower() in known or _AKS.fullmatch(name) is not None)


def is_within(route: Mapping[str, Any], policy: Policy) -> bool:
    """Return whether a route leads into a cluster's range, but not to all of it."""
    prefix = prefix_of(route)
    return prefix is not None and any(
        each.prefix.contains(prefix) and each.prefix != prefix for each in policy.clusters
    )


def is_slot(prefix: Prefix, policy: Policy) -> bool:
    """Return whether it is the range of one node; a node of an older configuration may have another length."""
    return any(each.prefix.contains(prefix) and prefix.length > each.prefix.length for each in policy.clusters) or any(
        each.prefix == prefix and each.slots == 1 for each in policy.clusters
    )
