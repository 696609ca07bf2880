"""A block against a slow, obvious one: who holds what is a dictionary, what is free is a list (AC-2, AC-10, AC-11)."""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.dialects.calico.cluster import BEGAN, cidr

from unipam.addr.ranges import RangeSet
from unipam.dialects.calico.documents import block as blocks
from unipam.dialects.calico.documents.times import SECOND
from unipam.dialects.calico.rules import checking, releasing
from unipam.dialects.calico.rules.blocks import Holder, assign, create, draw, free, handle_of
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import Conflict, Taken

SIZE = 8
HANDLES = st.sampled_from(["a", "b", "c"])
ORDINALS = st.integers(0, SIZE - 1)


class BlockMachine(RuleBasedStateMachine):
    """Operations on a block of eight, and on the model beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.block = create(cidr("10.0.0.0/29"), "host:a", BEGAN)
        self.first = self.block.prefix.first
        self.reserved = RangeSet([(self.first + 2, self.first + 3)])
        self.held: dict[int, tuple[str, str, int]] = {}
        self.cooling: dict[int, int] = {}
        self.queue = list(range(SIZE))
        self.now, self.cooldown = BEGAN, 0

    def _written(self) -> None:
        self.block.sequence += 1
        self.block = blocks.read(json.loads(json.dumps(self.block.document())))

    def _cool(self) -> None:
        """What has rested long enough, in ascending order behind what is free. Times are whole seconds."""
        done = [at for at, since in sorted(self.cooling.items()) if since <= self.now - self.cooldown * SECOND]
        for at in done:
            del self.cooling[at]
        self.queue += done

    @rule(handle=HANDLES, note=st.sampled_from(["x", "y"]), number=st.integers(0, 4))
    def draw(self, handle: str, note: str, number: int) -> None:
        """AutoAssign's part."""
        wanted = [at for at in self.queue if at not in {2, 3}][:number]
        sequence = self.block.sequence
        found = draw(self.block, number, Holder("host:a", handle, {"note": note}), self.reserved, strict=True)
        assert found == [self.first + at for at in wanted]
        for at in wanted:
            self.queue.remove(at)
            self.held[at] = (handle, note, sequence)
        self._written()

    @rule(handle=HANDLES, at=ORDINALS)
    def assign(self, handle: str, at: int) -> None:
        """AssignIP's part."""
        sequence = self.block.sequence
        try:
            assign(self.block, self.first + at, Holder("host:a", handle, {}), strict=True)
            assert at in self.queue
            self.queue.remove(at)
            self.held[at] = (handle, "", sequence)
        except Taken:
            assert at not in self.queue
        self._written()

    @rule(handle=HANDLES)
    def release_handle(self, handle: str) -> None:
        """ReleaseByHandle's part."""
        self._cool()
        gone = [at for at, holder in self.held.items() if holder[0] == handle]
        assert releasing.release_handle(self.block, handle, self.now, self.cooldown) == len(gone)
        self._let_go(gone)

    @rule(wanted=st.sets(ORDINALS, min_size=1, max_size=3), handle=HANDLES, wrong=st.booleans())
    def release(self, wanted: set[int], handle: str, wrong: bool) -> None:
        """ReleaseIPs' part: all of them or none."""
        wishes = [Wish(self.first + at, handle if wrong else "") for at in sorted(wanted)]
        self._cool()
        fits = all(not wrong or self.held[at][0] == handle for at in wanted if at in self.held)
        try:
            released = releasing.release(self.block, wishes, self.now, self.cooldown)
        except Conflict:
            assert not fits
            self._written()
            return
        assert fits
        assert set(released.unheld) == {self.first + at for at in wanted if at not in self.held}
        gone = sorted(at for at in wanted if at in self.held)
        assert sum(released.by_handle.values()) == len(gone)
        self._let_go(gone)

    def _let_go(self, gone: list[int]) -> None:
        for at in gone:
            del self.held[at]
            self.cooling[at] = self.now
        if gone:
            self._cool()
        self._written()

    @rule(seconds=st.integers(1, 5), cooldown=st.sampled_from([0, 2, 7]))
    def pass_time(self, seconds: int, cooldown: int) -> None:
        """The clock goes on, and what has rested is freed when the block is read next."""
        self.now += seconds * SECOND
        self.cooldown = cooldown
        releasing.tidy(self.block, self.now, self.cooldown)
        self._cool()
        self._written()

    @invariant()
    def same(self) -> None:
        """The block says what the model says, and is in order."""
        found = {at: self.block.attribute(at) for at in range(SIZE)}
        assert {at: handle_of(a) for at, a in found.items() if a and "releasedAt" not in a} == {
            at: holder[0] for at, holder in self.held.items()
        }
        assert {at for at, a in found.items() if a and "releasedAt" in a} == set(self.cooling)
        assert self.block.unallocated == self.queue
        assert checking.problems(self.block, self.now) == []
        assert {at: self.block.sequences[at] for at in self.held} == {at: h[2] for at, h in self.held.items()}
        assert self.block.empty == (not self.held and not self.cooling)
        assert free(self.block, self.reserved) == len(set(self.queue) - {2, 3})
        distinct = {(h, n) for h, n, _ in self.held.values()}
        live = [a for a in self.block.attributes if "releasedAt" not in a]
        assert len(live) == len(distinct)  # equal ones are one


TestBlock = BlockMachine.TestCase
TestBlock.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
