"""IPAMBlock: a slice of a pool, with who holds each of its addresses (spec §1.4, §4.2). The unit of compare-and-swap.

An address of a block is called by its ordinal: how far it is behind the block's first one. What may be done with a
block is in `rules`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import repeat
from typing import Any, TypedDict

import msgspec

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.dialects.calico.documents.fields import broken, field, rest

WINDOWS_HANDLE = "windows-reserved-ipam-handle"
"""The handle of addresses that a Windows host needs for itself; a block that holds nothing else is empty."""


class Attribute(TypedDict, total=False):
    """Who holds addresses of a block: several of them share one. A released one that still cools has `releasedAt` only.

    Fields stand in the order in which Go writes them; others are kept.
    """

    handle_id: str | None
    secondary: dict[str, str] | None
    alternateOwnerAttrs: dict[str, str] | None
    releasedAt: str | None


_get: Callable[[Attribute, str], object] = dict.get  # type: ignore[assignment]
"""Not a method of each: every call looks at all the full blocks of its node."""


class Block(msgspec.Struct):
    """A block. `allocations` has for each ordinal None or an index into `attributes`; `unallocated` is a queue.

    `sequence` grows with each write and is never used twice, `sequences` has for each allocated ordinal the one at
    which it was handed out, and `claimed` is when its owner claimed it (RFC 3339).
    """

    prefix: Prefix
    affinity: str | None
    claimed: str | None
    allocations: list[int | None]
    unallocated: list[int]
    attributes: list[Attribute]
    sequence: int
    sequences: dict[int, int]
    deleted: bool = False
    rest: dict[str, Any] = {}

    @property
    def cidr(self) -> str:
        """The block's CIDR as text, which is its name."""
        return str(self.prefix)

    def address(self, ordinal: int) -> int:
        """Return the address of an ordinal, as an integer."""
        return self.prefix.first + ordinal

    def attribute(self, ordinal: int) -> Attribute | None:
        """Return what is known of the holder of an ordinal; None for one that is free."""
        index = self.allocations[ordinal]
        return None if index is None else self.attributes[index]

    @property
    def empty(self) -> bool:
        """Whether nobody but a Windows host holds anything. What cools counts as held."""
        return all(
            (attribute.get("handle_id") or "").lower() == WINDOWS_HANDLE
            for index in self.allocations
            if index is not None
            for attribute in (self.attributes[index],)
        )

    @property
    def cooling(self) -> bool:
        """Whether anything in it was released and is not free yet."""
        return any(map(_get, self.attributes, repeat("releasedAt")))

    def document(self) -> dict[str, Any]:
        """Return the block as it is stored, in Go's order of fields: no affinity is null, no time of one is absent."""
        return {
            "cidr": self.cidr,
            "affinity": self.affinity,
            **({} if self.claimed is None else {"affinity_claim_time": self.claimed}),
            "allocations": self.allocations,
            "unallocated": self.unallocated,
            "attributes": self.attributes,
            "sequenceNumber": self.sequence,
            "sequenceNumberForAllocation": _by_text(self.sequences, len(self.allocations)),
            "deleted": self.deleted,
            **self.rest,
        }


def _by_text(sequences: dict[int, int], size: int) -> dict[str, int]:
    """Return numbers by the texts of their ordinals, in Go's order."""
    found = {text: sequences[ordinal] for ordinal, text in _ordinals(size) if ordinal in sequences}
    if len(found) == len(sequences):
        return found
    return dict(sorted((str(ordinal), number) for ordinal, number in sequences.items()))  # some lie outside the block


@functools.cache
def _ordinals(size: int) -> list[tuple[int, str]]:
    """Return the ordinals of a block with their texts, in Go's order: that of the texts."""
    return sorted(enumerate(map(str, range(size))), key=lambda each: each[1])


def copied(block: Block) -> Block:
    """Return a copy that the rules may change: they replace attributes, and change none."""
    return Block(
        block.prefix,
        block.affinity,
        block.claimed,
        block.allocations[:],
        block.unallocated[:],
        block.attributes[:],
        block.sequence,
        block.sequences.copy(),
        block.deleted,
        block.rest,
    )


_KNOWN = frozenset(
    (
        "cidr", "affinity", "affinity_claim_time", "allocations", "unallocated", "attributes", "sequenceNumber",
        "sequenceNumberForAllocation", "deleted",
    )
)  # fmt: skip


def read(document: dict[str, Any]) -> Block:
    """Read the block in a document. Raises Unreadable, naming it, for one that cannot be worked with safely.

    What is merely untidy (`rules.checking.problems` lists it) is read, as the original does.
    """
    prefix = _prefix(document)
    of = f"block {prefix}"
    block = Block(
        prefix,
        field(document, "affinity", str, "", of) or None,
        field(document, "affinity_claim_time", str, "", of) or None,
        field(document, "allocations", list, [], of),
        field(document, "unallocated", list, [], of),
        field(document, "attributes", list, [], of),
        field(document, "sequenceNumber", int, 0, of),
        _sequences(document, of),
        field(document, "deleted", bool, False, of),
        rest(document, _KNOWN),
    )
    _check(block, of)
    return block


def _prefix(document: dict[str, Any]) -> Prefix:
    cidr = field(document, "cidr", str, "", "a block")
    try:
        prefix = parse_prefix(cidr)
    except ValueError as error:
        raise broken(f"block {cidr}", str(error), "cidr") from None
    if prefix.size > MOST_ADDRESSES:
        raise broken(f"block {cidr}", f"it has more than {MOST_ADDRESSES} addresses", "cidr")
    return prefix


MOST_ADDRESSES = 1 << 12
"""The most that a block can have: that of a pool whose blockSize is 20 or 116 (spec §1.2)."""


def _sequences(document: dict[str, Any], of: str) -> dict[int, int]:
    found = field(document, "sequenceNumberForAllocation", dict, {}, of)
    try:
        return {int(ordinal): _whole(number) for ordinal, number in found.items()}
    except (TypeError, ValueError):
        raise broken(of, "sequenceNumberForAllocation is not made of numbers", "sequenceNumberForAllocation") from None


def _whole(number: object) -> int:
    if type(number) is not int:
        raise TypeError
    return number


def _check(block: Block, of: str) -> None:
    size = block.prefix.size
    if len(block.allocations) != size:
        raise broken(of, f"it has {size} addresses and {len(block.allocations)} allocations", "allocations")
    if not all(map(_is_attribute, block.attributes)):
        raise broken(of, "an attribute is none, or has a field of another type", "attributes")
    for ordinal, index in enumerate(block.allocations):
        if index is not None and (type(index) is not int or not 0 <= index < len(block.attributes)):
            raise broken(of, f"allocation {ordinal} indexes a nonexistent attribute {index}", "allocations")
    _check_unallocated(block, of)


def _is_attribute(found: object) -> bool:
    return isinstance(found, dict) and all(
        isinstance(found.get(name), kind) for name, kind in _ATTRIBUTE.items() if found.get(name) is not None
    )


_ATTRIBUTE: dict[str, type] = {"handle_id": str, "secondary": dict, "alternateOwnerAttrs": dict, "releasedAt": str}


def _check_unallocated(block: Block, of: str) -> None:
    seen = set()
    for ordinal in block.unallocated:
        if type(ordinal) is not int or not 0 <= ordinal < len(block.allocations):
            raise broken(
                of, f"ordinal {ordinal} appears in the Unallocated array but is out of the block", "unallocated"
            )
        if ordinal in seen:
            raise broken(of, f"ordinal {ordinal} appears more than once in Unallocated array", "unallocated")
        if block.allocations[ordinal] is not None:
            raise broken(of, f"ordinal {ordinal} is allocated but appears in Unallocated", "unallocated")
        seen.add(ordinal)
