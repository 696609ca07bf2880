"""IPAMHandle: in which blocks a holder has how many addresses (spec §1.10). An index: only the blocks are the truth.

It may count too much, after a crash or while somebody writes, and never too little.
"""

from __future__ import annotations

from typing import Any

import msgspec

from unipam.dialects.calico.documents.fields import broken, field, rest
from unipam.model.errors import BadValue


class Handle(msgspec.Struct):
    """How many addresses a holder has in each block, by the blocks' CIDRs."""

    blocks: dict[str, int]
    deleted: bool = False
    rest: dict[str, Any] = {}

    @property
    def empty(self) -> bool:
        """Whether it counts nothing, and so has no reason to be."""
        return not self.blocks

    def count(self, family: int) -> int:
        """Return how many addresses of a family it counts."""
        return sum(number for cidr, number in self.blocks.items() if (":" in cidr) == (family == 6))

    def add(self, cidr: str, number: int) -> None:
        """Count addresses in a block."""
        self.blocks[cidr] = self.blocks.get(cidr, 0) + number

    def subtract(self, cidr: str, number: int) -> None:
        """Count addresses no more. Raises BadValue, in the original's words, for more than are counted."""
        counted = self.blocks.get(cidr)
        if counted is None:
            raise BadValue(f"Tried to decrement block {cidr} by {number} but it isn't linked to handle", block=cidr)
        if counted < number:
            problem = f"Tried to decrement block {cidr} by {number} but it only has {counted} addresses on handle"
            raise BadValue(problem, block=cidr)
        self.settle(cidr, counted - number)

    def settle(self, cidr: str, number: int) -> None:
        """Count as many in a block as there are."""
        if number:
            self.blocks[cidr] = number
        else:
            self.blocks.pop(cidr, None)

    def document(self) -> dict[str, Any]:
        """Return the handle as it is stored."""
        return {"block": dict(sorted(self.blocks.items())), "deleted": self.deleted, **self.rest}


def read(document: dict[str, Any], of: str) -> Handle:
    """Read the handle in a document, called `of` in errors. Raises Unreadable."""
    blocks = field(document, "block", dict, {}, of)
    if not all(type(number) is int and number >= 0 for number in blocks.values()):
        raise broken(of, "it does not count its addresses in whole numbers", "block")
    known = frozenset(("block", "deleted", "id"))
    return Handle(dict(blocks), field(document, "deleted", bool, False, of), rest(document, known))
