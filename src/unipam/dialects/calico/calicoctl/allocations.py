"""What blocks say of single addresses: who holds each, and what a report tells of it (spec §3.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from unipam.addr.prefix import format_address
from unipam.dialects.calico.documents.block import WINDOWS_HANDLE, Attribute, Block
from unipam.dialects.calico.rules.blocks import handle_of


class Allocation(NamedTuple):
    """An address that a block does not count as free, and what is noted of it."""

    address: int
    block: Block
    ordinal: int

    @property
    def attribute(self) -> Attribute:
        """What the block notes of its holder."""
        found = self.block.attribute(self.ordinal)
        assert found is not None
        return found

    @property
    def noted(self) -> dict[str, str]:
        """The attributes of whoever uses it."""
        return self.attribute.get("secondary") or {}

    @property
    def handle(self) -> str:
        """The handle of its holder; empty for none, and for what a Windows host keeps."""
        return "" if self.is_windows else handle_of(self.attribute)

    @property
    def is_windows(self) -> bool:
        """Whether a Windows host keeps it for itself."""
        return (self.attribute.get("handle_id") or "").lower() == WINDOWS_HANDLE

    @property
    def cools(self) -> bool:
        """Whether it was released, and is not handed out again yet."""
        return self.attribute.get("releasedAt") is not None

    @property
    def owner(self) -> str:
        """The node that owns the block; empty for none."""
        kind, _, host = (self.block.affinity or "").partition(":")
        return host if kind == "host" else ""

    @property
    def node(self) -> str:
        """The node that it is used on, as noted, or else the block's."""
        return self.noted.get("node") or self.owner

    @property
    def sequence(self) -> int:
        """The number of the write that handed it out."""
        return self.block.sequences.get(self.ordinal, 0)

    @property
    def text(self) -> str:
        """The address as people write it."""
        return format_address(self.address)

    def described(self) -> str:
        """Return handle and attributes on one line, as calicoctl prints them."""
        text = f"Main:{self.attribute.get('handle_id') or '<none>'} Extra:{_pairs(self.noted)}"
        alternate = self.attribute.get("alternateOwnerAttrs")
        return f"{text} Alternate:{_pairs(alternate)}" if alternate else text

    def reported(self, owners: list[str]) -> dict[str, Any]:
        """Return what a report of `ipam check` says of it, given who uses it."""
        noted = self.noted
        texts = {
            "pod": noted.get("pod"), "namespace": noted.get("namespace"), "node": self.node, "type": noted.get("type"),
            "creationTimestamp": noted.get("timestamp"),
        }  # fmt: skip
        flags = {"borrowed": self.node != self.owner, "coolingDown": self.cools}
        return {
            "ip": self.text,
            **({"handle": self.handle} if self.handle else {}),
            "sequenceNumber": self.sequence,
            **{name: text for name, text in texts.items() if text},
            "inUse": bool(owners),
            **{name: True for name, flag in flags.items() if flag},
            "owners": owners or None,
        }


def of_blocks(blocks: Iterable[Block]) -> Iterator[Allocation]:
    """Yield every address that is handed out or cools, block by block."""
    for block in blocks:
        for ordinal, index in enumerate(block.allocations):
            if index is not None:
                yield Allocation(block.address(ordinal), block, ordinal)


def _pairs(attributes: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(attributes.items()))
