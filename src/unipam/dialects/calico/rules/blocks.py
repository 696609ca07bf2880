"""Blocks are made and drawn from (spec §1.4, §1.12). What is released into them is in `releasing`.

Each rule changes the block that it is given, which is the caller's own until it is written. `moment` is now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from unipam.addr.prefix import Prefix, format_address
from unipam.addr.ranges import RangeSet
from unipam.dialects.calico.documents.block import Attribute, Block
from unipam.dialects.calico.documents.times import rfc3339
from unipam.dialects.calico.rules.pools import Reserve
from unipam.model.errors import Mismatch, Taken


class Holder(NamedTuple):
    """For whom an address is: the owner of the blocks it should come from, the handle, and what is noted of it."""

    affinity: str
    handle: str | None
    attributes: dict[str, str]

    @property
    def attribute(self) -> Attribute:
        """The holder as a block has it."""
        found: Attribute = {}
        if self.handle is not None:
            found["handle_id"] = self.handle
        if self.attributes:
            found["secondary"] = dict(sorted(self.attributes.items()))
        return found


def create(prefix: Prefix, affinity: str, moment: int, reserve: Reserve | None = None) -> Block:
    """Create a block. Its sequence begins with the time, so that a block made anew never repeats a number."""
    size = prefix.size
    block = Block(
        prefix, affinity, rfc3339(moment), [None] * size, list(range(size)), [], sequence=moment, sequences={}, rest={}
    )
    if reserve is not None:
        block.unallocated = block.unallocated[reserve.at_start : size - reserve.at_end]
        kept = set(range(size)) - set(block.unallocated)
        block.allocations = [0 if ordinal in kept else None for ordinal in range(size)]
        block.attributes = [{"handle_id": reserve.handle, "secondary": {"note": reserve.note}}]
    return block


def free(block: Block, reserved: RangeSet) -> int:
    """Count the addresses that can be handed out unasked."""
    if not reserved.overlaps(block.prefix.first, block.prefix.last):
        return len(block.unallocated)
    return sum(block.address(ordinal) not in reserved for ordinal in block.unallocated)


def draw(block: Block, number: int, holder: Holder, reserved: RangeSet, *, strict: bool) -> list[int]:
    """Hand out up to `number` addresses, those that have been free longest; reserved ones keep their places.

    Raises Mismatch when `strict` and the block is somebody else's.
    """
    if strict and block.affinity is not None and block.affinity != holder.affinity:
        kind, _, host = holder.affinity.partition(":")
        raise Mismatch(f"Block affinity ({block.affinity}) does not match provided ({host}:{kind})", block=block.cidr)
    _check_owned(block, strict)
    taken: list[int] = []
    for ordinal in block.unallocated:
        if len(taken) == number:
            break
        if block.address(ordinal) not in reserved:
            taken.append(ordinal)
    _hand_out(block, taken, holder)
    return [block.address(ordinal) for ordinal in taken]


def assign(block: Block, address: int, holder: Holder, *, strict: bool) -> None:
    """Hand out one address, reserved or not. Raises Mismatch, or Taken also for one that cools."""
    if strict and block.affinity is not None and block.affinity != holder.affinity:
        raise Mismatch("Block host affinity does not match", block=block.cidr, affinity=block.affinity)
    _check_owned(block, strict)
    ordinal = address - block.prefix.first
    if block.allocations[ordinal] is not None:
        text = format_address(address)
        raise Taken(f"resource already exists: {text} with error: Address already assigned in block", address=text)
    _hand_out(block, [ordinal], holder)


def _check_owned(block: Block, strict: bool) -> None:
    if strict and block.affinity is None:
        raise Mismatch(f"Attempt to assign from block {block.cidr} with no affinity", block=block.cidr)


def _hand_out(block: Block, ordinals: Sequence[int], holder: Holder) -> None:
    if not ordinals:
        return
    index = _index(block, holder.attribute)
    for ordinal in ordinals:
        block.allocations[ordinal] = index
        block.sequences[ordinal] = block.sequence
    gone = set(ordinals)
    block.unallocated = [ordinal for ordinal in block.unallocated if ordinal not in gone]


def _index(block: Block, attribute: Attribute) -> int:
    """Return where an attribute stands; the same one is never there twice."""
    if attribute not in block.attributes:
        block.attributes.append(attribute)
    return block.attributes.index(attribute)


def handle_of(attribute: Attribute) -> str:
    """Return the handle of a holder; of one that host-local's migration left malformed, what stands before the \\r."""
    return sanitized(attribute.get("handle_id") or "")


def sanitized(handle: str) -> str:
    """Return a handle without what a former migration appended to it."""
    return handle.partition("\r")[0]


def held(block: Block, handle: str) -> list[int]:
    """Return the ordinals that a handle holds."""
    indexes = {index for index, attribute in enumerate(block.attributes) if handle_of(attribute) == handle}
    return [ordinal for ordinal, index in enumerate(block.allocations) if index in indexes]
