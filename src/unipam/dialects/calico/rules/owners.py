"""Pods of one KubeVirt VM share its addresses, and change places when it moves to another node (spec §1.17)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from unipam.addr.prefix import format_address
from unipam.dialects.calico.documents.block import Attribute, Block
from unipam.dialects.calico.rules.blocks import handle_of
from unipam.model.errors import Conflict, Mismatch, Missing


class Owners(NamedTuple):
    """Who uses an address now, and who may use it next (spec §1.17): pods of one VM that moves between nodes."""

    active: dict[str, str] | None
    alternate: dict[str, str] | None


def owners_of(attribute: Attribute) -> Owners:
    """Return who uses the addresses that an attribute is of."""
    return Owners(attribute.get("secondary") or None, attribute.get("alternateOwnerAttrs") or None)


Change = Callable[[Owners], Owners]
"""Says who uses an address, given who did."""


def set_owners(block: Block, address: int, handle: str, change: Change) -> None:
    """Write down who uses an address of a handle. Raises Missing or Mismatch, or what `change` raises."""
    ordinal, text = address - block.prefix.first, format_address(address)
    index = block.allocations[ordinal]
    if index is None:
        raise Missing(f"resource does not exist: {text} with error: IP is unassigned", address=text)
    attribute = block.attributes[index]
    if not handle or handle_of(attribute) != handle:
        raise Mismatch(f"IP {text} is not assigned to handle {handle}", address=text, handle=handle)
    block.attributes[index] = _with_owners(attribute, change(owners_of(attribute)))


def _with_owners(attribute: Attribute, owners: Owners) -> Attribute:
    others = {k: v for k, v in attribute.items() if k not in {"handle_id", "secondary", "alternateOwnerAttrs"}}
    found: dict[str, object] = {"handle_id": attribute.get("handle_id")}
    if owners.active:
        found["secondary"] = dict(sorted(owners.active.items()))
    if owners.alternate:
        found["alternateOwnerAttrs"] = dict(sorted(owners.alternate.items()))
    return {**found, **others}  # type: ignore[typeddict-item]  # fields that are not known stay


class Pod(NamedTuple):
    """Who uses an address."""

    namespace: str
    name: str

    def is_in(self, attributes: dict[str, str] | None) -> bool:
        """Return whether attributes are this pod's."""
        found = attributes or {}
        return (found.get("namespace"), found.get("pod")) == self


def without(pod: Pod, owners: Owners) -> Owners:
    """Return the owners once a pod is gone."""
    if pod.is_in(owners.active):
        return owners._replace(active=None)
    return owners._replace(alternate=None) if pod.is_in(owners.alternate) else owners


def require(pod: Pod, attributes: dict[str, str] | None, address: str, what: str) -> None:
    """Raise Conflict, in the original's words, unless attributes are a pod's."""
    if pod.is_in(attributes):
        return
    found = attributes or {}
    raise Conflict(
        f"update conflict: {address}",
        address=address,
        details=f"cannot set {what}: expected pod={pod.name} namespace={pod.namespace} but found"
        f" pod={found.get('pod', '')} namespace={found.get('namespace', '')}",
    )
