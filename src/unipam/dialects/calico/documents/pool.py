"""IPPool: a CIDR, and who may have addresses out of it (spec §1.2). Read, never written here."""

from __future__ import annotations

from typing import Any

import msgspec

from unipam.addr.prefix import Prefix, line_length, parse_prefix, truncate
from unipam.dialects.calico.documents.fields import broken, field

WORKLOAD, TUNNEL, LOAD_BALANCER = "Workload", "Tunnel", "LoadBalancer"
AUTOMATIC, MANUAL = "Automatic", "Manual"


class Pool(msgspec.Struct, frozen=True):
    """A pool. `block_bits` is the length of its blocks as people write it; selectors are as written, empty for all.

    `enabled` says whether it may hand anything out: it is neither disabled, nor being deleted, nor set aside because it
    overlaps another one.
    """

    name: str
    prefix: Prefix
    block_bits: int
    node_selector: str = ""
    namespace_selector: str = ""
    uses: tuple[str, ...] = (WORKLOAD, TUNNEL)
    mode: str = AUTOMATIC
    enabled: bool = True
    ipip: str = "Never"
    vxlan: str = "Never"

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.prefix.family

    @property
    def cidr(self) -> str:
        """Its CIDR as text."""
        return str(self.prefix)

    @property
    def block_length(self) -> int:
        """The length of its blocks on the line."""
        return line_length(self.block_bits, self.family)

    def holds(self, address: int) -> bool:
        """Return whether an address lies in it; IPv4 does not lie in ::/0."""
        return self.prefix.first <= address <= self.prefix.last and (self.family == 4) == (address >> 32 == 0xFFFF)

    def block_of(self, address: int) -> Prefix:
        """Return the block that an address of it lies in."""
        return truncate(address, self.block_length)


def read(document: dict[str, Any]) -> Pool:
    """Read the pool in a v3 resource, with the defaults of what it does not say. Raises Unreadable, naming it."""
    metadata = field(document, "metadata", dict, {}, "a pool")
    name = field(metadata, "name", str, "", "a pool")
    of = f"pool {name}"
    spec = field(document, "spec", dict, {}, of)
    prefix = _prefix(spec, of)
    uses = tuple(field(spec, "allowedUses", list, [], of)) or (WORKLOAD, TUNNEL)
    if not all(isinstance(use, str) for use in uses):
        raise broken(of, "its allowedUses are not all text", "allowedUses")
    return Pool(
        name,
        prefix,
        _block_bits(spec, prefix, of),
        field(spec, "nodeSelector", str, "", of),
        field(spec, "namespaceSelector", str, "", of),
        uses,
        field(spec, "assignmentMode", str, AUTOMATIC, of),
        _enabled(document, metadata, spec, of),
        field(spec, "ipipMode", str, "Never", of) or "Never",
        field(spec, "vxlanMode", str, "Never", of) or "Never",
    )


def _prefix(spec: dict[str, Any], of: str) -> Prefix:
    try:
        return parse_prefix(field(spec, "cidr", str, "", of))
    except ValueError as error:
        raise broken(of, str(error), "cidr") from None


def _block_bits(spec: dict[str, Any], prefix: Prefix, of: str) -> int:
    width, default = (32, 26) if prefix.family == 4 else (128, 122)
    bits = field(spec, "blockSize", int, 0, of) or default
    if not width - 12 <= bits <= width:
        raise broken(of, f"its blockSize {bits} is not from {width - 12} to {width}", "blockSize")
    return bits


def _enabled(document: dict[str, Any], metadata: dict[str, Any], spec: dict[str, Any], of: str) -> bool:
    conditions = field(field(document, "status", dict, {}, of), "conditions", list, [], of)
    set_aside = any(
        isinstance(each, dict) and each.get("type") == "Allocatable" and each.get("status") == "False"
        for each in conditions
    )
    return not (field(spec, "disabled", bool, False, of) or metadata.get("deletionTimestamp") or set_aside)
