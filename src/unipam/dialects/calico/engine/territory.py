"""Where an owner may find a block: nobody's yet, deserted, or somebody else's that has room (spec §1.7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from unipam.addr.prefix import Prefix
from unipam.addr.ranges import RangeSet
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.configuration import Configuration
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.documents.times import SECOND, parse_rfc3339
from unipam.dialects.calico.engine import claiming
from unipam.dialects.calico.engine.claiming import NoFreeBlocks
from unipam.dialects.calico.engine.session import Owner, Session, Stored, owner
from unipam.dialects.calico.rules import blocks, releasing
from unipam.dialects.calico.rules.walk import in_order, walk
from unipam.model.errors import Refused

RECLAIM_AFTER = 60 * SECOND
"""How old the claim on an empty block must be before somebody else takes it, so that hosts do not fight over it."""


class Territory:
    """The blocks of the cluster as an owner looks at them. They are read once, and again when somebody was faster."""

    def __init__(self, session: Session, settings: Configuration, own: Owner, reserved: RangeSet) -> None:
        self._session, self._settings, self._owner, self._reserved = session, settings, own, reserved
        self._known: dict[Prefix, Stored[Block] | None] | None = None
        self._avoided: dict[Prefix, None] = {}
        self._by_length: dict[int, RangeSet] | None = None

    def avoid(self, prefix: Prefix) -> None:
        """Take a place as taken: what is there cannot be read."""
        self._avoided[prefix] = None

    def forget(self) -> None:
        """Look again next time."""
        self._known = self._by_length = None

    def find(self, pools: Sequence[Pool]) -> Prefix:
        """Find where no block is; else one of the owner's with room; else one that its owner was made to give up.

        Raises NoFreeBlocks.
        """
        known, deserted = self._blocks(), []
        for pool in pools:
            for prefix in walk(pool, self._owner.host, self._reserved, self._session.clock()):
                if prefix not in known:
                    if not self._overlaps_another_size(prefix):
                        return prefix
                    continue
                block = self._with_room(prefix)
                if block is not None and block.affinity == str(self._owner):
                    return prefix
                if block is not None and block.empty:
                    deserted.append(block)
        return self._reclaim(deserted)

    def own(self, pools: Sequence[Pool]) -> Iterator[Stored[Block]]:
        """Yield the owner's blocks in these pools that have room."""
        for prefix, stored in self._blocks().items():
            if stored is None or stored.value.affinity != str(self._owner) or self._with_room(prefix) is None:
                continue
            if any(pool.holds(prefix.first) for pool in pools):
                yield stored

    def others(self, pool: Pool) -> Iterator[Stored[Block]]:
        """Yield the blocks of a pool that have room, whoever owns them, in the order of borrowing."""
        for prefix in in_order(pool, self._owner.host, self._blocks(), self._session.clock()):
            if self._with_room(prefix) is not None and (stored := self._blocks()[prefix]):
                yield stored

    def _blocks(self) -> dict[Prefix, Stored[Block] | None]:
        if self._known is None:
            self._known = {**self._session.blocks(), **self._avoided}
            for stored in self._known.values():
                if stored is not None:
                    releasing.tidy(stored.value, self._session.clock(), self._settings.cooldown)
        return self._known

    def _overlaps_another_size(self, prefix: Prefix) -> bool:
        """Return whether blocks lie there from before the pool was made anew: one over them would lease twice."""
        if self._by_length is None:
            self._by_length = {}
            for known in self._blocks():
                self._by_length.setdefault(known.length, RangeSet()).add(known.first, known.last)
        return any(
            there.overlaps(prefix.first, prefix.last)
            for length, there in self._by_length.items()
            if length != prefix.length
        )

    def _with_room(self, prefix: Prefix) -> Block | None:
        stored = self._blocks()[prefix]
        return stored.value if stored is not None and blocks.free(stored.value, self._reserved) else None

    def _reclaim(self, deserted: Sequence[Block]) -> Prefix:
        for block in deserted:
            former = owner(block.affinity)
            if former is None or not self._is_old(block):
                continue
            with suppress(Refused):
                claiming.give_up(self._session, former, block.prefix, must_be_empty=True, sequence=block.sequence)
                return block.prefix
        raise NoFreeBlocks

    def _is_old(self, block: Block) -> bool:
        try:
            return block.claimed is None or self._session.clock() - parse_rfc3339(block.claimed) >= RECLAIM_AFTER
        except ValueError:
            return False
