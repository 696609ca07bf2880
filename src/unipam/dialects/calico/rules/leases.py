"""Blocks and handles as a collector of garbage keeps them: who holds what, and nothing else.

Of sixty thousand leases a document each would be too much to keep.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from unipam.dialects.calico.documents.block import WINDOWS_HANDLE, Attribute, Block
from unipam.dialects.calico.documents.handle import Handle
from unipam.dialects.calico.documents.times import parse_rfc3339
from unipam.dialects.calico.rules.blocks import handle_of
from unipam.dialects.calico.rules.names import Tunnel

_TUNNELS = frozenset(tunnel.attribute for tunnel in Tunnel)


class Kind(Enum):
    """Who holds a lease: a pod, a node's tunnel, a KubeVirt VM, or somebody of whom nobody here can tell."""

    POD = "pod"
    TUNNEL = "tunnel"
    VM = "vm"
    OTHER = "other"


class Lease(NamedTuple):
    """An address that is held. `name` is the pod's or the VM's; `sequence` is that of this very allocation."""

    address: int
    handle: str
    sequence: int
    kind: Kind
    node: str
    namespace: str
    name: str


class SeenBlock(NamedTuple):
    """A block: its owner as it is stored, its leases, and when the first of its cooling addresses was released.

    `cooling` is in epoch nanoseconds. A block is `empty` when nobody but a Windows host holds anything, and nothing
    cools.
    """

    cidr: str
    affinity: str | None
    sequence: int
    leases: tuple[Lease, ...]
    cooling: int | None
    empty: bool


class SeenHandle(NamedTuple):
    """A handle: how many addresses it counts in which blocks, and the revision at which it does."""

    counts: tuple[tuple[str, int], ...]
    revision: str


def of_block(block: Block) -> SeenBlock:
    """Return what is kept of a block."""
    return SeenBlock(
        sys.intern(block.cidr),
        sys.intern(block.affinity) if block.affinity else None,
        block.sequence,
        tuple(_leases(block)),
        min(_released(block), default=None),
        block.empty,
    )


def of_handle(handle: Handle, revision: str) -> SeenHandle:
    """Return what is kept of a handle."""
    return SeenHandle(tuple((sys.intern(cidr), number) for cidr, number in handle.blocks.items()), revision)


def _leases(block: Block) -> Iterator[Lease]:
    holders = [_holder(attribute) for attribute in block.attributes]
    for ordinal, index in enumerate(block.allocations):
        if index is not None and (holder := holders[index]):
            handle, kind, node, namespace, name = holder
            sequence = block.sequences.get(ordinal, 0)
            yield Lease(block.address(ordinal), handle, sequence, kind, node, namespace, name)


def _holder(attribute: Attribute) -> tuple[str, Kind, str, str, str] | None:
    """Return handle, kind, node, namespace and name; None for what is reserved for a Windows host, or cools."""
    handle, found = sys.intern(handle_of(attribute)), attribute.get("secondary") or {}
    if attribute.get("releasedAt") is not None or handle.lower() == WINDOWS_HANDLE:
        return None
    node, namespace = sys.intern(str(found.get("node", ""))), sys.intern(str(found.get("namespace", "")))
    if found.get("type") in _TUNNELS:
        return handle, Kind.TUNNEL, node, "", ""
    if ".vmi." in handle:
        return handle, Kind.VM, node, *_vm(handle, found)
    if namespace and found.get("pod"):
        return handle, Kind.POD, node, namespace, str(found["pod"])
    return handle, Kind.OTHER, node, "", ""


def _vm(handle: str, found: dict[str, str]) -> tuple[str, str]:
    """Return namespace and name of a VM, by its handle where no pod is noted (`names.vm`); empty where none tells."""
    if found.get("namespace") and found.get("vmi-name"):
        return sys.intern(found["namespace"]), found["vmi-name"]
    namespace, _, name = handle.partition(".vmi.")[2].partition(".")
    return (sys.intern(namespace), name) if name else ("", "")


def _released(block: Block) -> Iterator[int]:
    for attribute in block.attributes:
        if (released := attribute.get("releasedAt")) is not None:
            try:
                yield parse_rfc3339(released)
            except ValueError:
                continue
