"""What is wrong with a block that can be worked with all the same."""

from __future__ import annotations

from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.times import parse_rfc3339


def problems(block: Block, moment: int) -> list[str]:
    """Say what is wrong with a block, in the words of `calicoctl ipam check` (spec §3.2)."""
    found = []
    used = {index for index in block.allocations if index is not None}
    for index, attribute in enumerate(block.attributes):
        if index not in used:
            found.append(f"attribute index {index} exists but is not indexed by an allocation")
        released = attribute.get("releasedAt")
        if released is not None and parse_rfc3339(released) > moment:
            found.append(f"attribute index {index} has releasedAt in the future, suggesting clock skew")
    size, waiting = block.prefix.size, len(block.unallocated)
    allocated = sum(index is not None for index in block.allocations)
    if waiting + allocated != size:
        found.append(
            f"expected {size} addresses in this block, but Unallocated ({waiting}) + Allocated ({allocated})"
            f" = {waiting + allocated}"
        )
    return found
