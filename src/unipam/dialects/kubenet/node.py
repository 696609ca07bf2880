"""A Kubernetes Node, as far as its pods' addresses go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, family, parse_address, parse_interface

UNMANAGED = "kubernetes.azure.com/managed"
"""A label: `false` means that the machine is none of Azure's (spec kubenet §2.2)."""
CONDITION = "NetworkUnavailable"


class Node(NamedTuple):
    """`ranges` are its podCIDRs as they are written, `addresses` its internal ones on the line."""

    name: str
    uid: str = ""
    ranges: tuple[str, ...] = ()
    addresses: tuple[int, ...] = ()
    created: float = 0.0
    managed: bool = True
    condition: tuple[str, str] = ("", "")
    """Status and reason of NetworkUnavailable; empty where nobody has set it."""
    machine: str = ""
    """Azure's id of its machine, in lower case; empty where its cloud provider has not told it."""

    @property
    def prefixes(self) -> list[Prefix]:
        """Return its ranges that can be read; host bits that somebody left in them do not count."""
        return [found for text in self.ranges if (found := _prefix(text))]

    def address(self, of_family: int) -> int | None:
        """Return its first internal address of a family."""
        return next((each for each in self.addresses if family(each) == of_family), None)


def node_of(document: Mapping[str, Any]) -> Node:
    """Return the node that a document of the API describes."""
    metadata, spec, status = (document.get(part) or {} for part in ("metadata", "spec", "status"))
    labels = metadata.get("labels") or {}
    return Node(
        str(metadata.get("name", "")),
        str(metadata.get("uid", "")),
        tuple(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else ())),
        tuple(_internal(status.get("addresses") or ())),
        _moment(str(metadata.get("creationTimestamp") or "")),
        labels.get(UNMANAGED) != "false",
        _condition(status.get("conditions") or ()),
        str(spec.get("providerID") or "").removeprefix("azure://").lower(),
    )


def _internal(addresses: Iterable[Mapping[str, Any]]) -> Iterable[int]:
    for each in addresses:
        if each.get("type") == "InternalIP":
            try:
                yield parse_address(str(each.get("address")))
            except ValueError:
                continue


def _condition(conditions: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    for each in conditions:
        if each.get("type") == CONDITION:
            return str(each.get("status", "")), str(each.get("reason", ""))
    return "", ""


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _prefix(text: str) -> Prefix | None:
    try:
        return parse_interface(text)[1]
    except ValueError:
        return None
