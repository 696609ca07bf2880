"""Addresses of one block are handed out to a holder: chosen, written, and found out about when the answer is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.configuration import Configuration
from unipam.dialects.calico.engine import counting
from unipam.dialects.calico.engine.counting import Count, too_busy
from unipam.dialects.calico.engine.releasing import take_back
from unipam.dialects.calico.engine.session import TRIES, Session, Stored, next_write
from unipam.dialects.calico.rules import releasing
from unipam.dialects.calico.rules.blocks import Holder
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import Conflict, NotFound, SourceFailed, Unanswered

Given = dict[int, int]
"""Addresses that a holder was given, each with the sequence number of this very allocation."""

if TYPE_CHECKING:
    from unipam.dialects.calico.engine.combining import Combiner
    from unipam.dialects.calico.engine.parts import Choose, Gain
    from unipam.dialects.calico.rules.owners import Owners


class Task(NamedTuple):
    """For whom addresses are, by which settings, and how many of a family the handle may have (0: any number)."""

    session: Session
    settings: Configuration
    holder: Holder
    most: int = 0


def hand_out(task: Task, block: Stored[Block], choose: Choose, number: int = 1) -> Given:
    """Return the addresses, up to a `number`, that a holder was given in a block; none if it had none left.

    Raises what `choose` raises, `counting.Full`, NotFound when the block is gone, Superseded when nobody waits for the
    answer, SourceFailed when time was over; then the holder has none of them, or the error says what is `left`.
    """
    if task.session.combiner and not task.most:
        return _together(task, task.session.combiner, block, choose, number)
    for _ in range(TRIES):
        task.session.require_heard()
        releasing.tidy(block.value, task.session.clock(), task.settings.cooldown)
        number = block.value.sequence
        addresses = choose(block.value)
        given = dict.fromkeys(addresses, number)
        if not addresses:
            return given
        count = _count(task, block.value, len(addresses))
        try:
            counting.write(task.session, block, count)
            return given
        except Unanswered as error:
            if _was_made(task, block.value.prefix, number, count, error):
                return given
        except (Conflict, NotFound):
            pass
        block = task.session.block(block.value.prefix)
    raise too_busy()


def _together(task: Task, combiner: Combiner, block: Stored[Block], choose: Choose, number: int) -> Given:
    """Do the same together with whoever else in this process wants something of the block."""
    from unipam.dialects.calico.engine.parts import Gain

    session, handle = task.session, task.holder.handle
    known = None if handle is None else combiner.handle(handle)
    part = Gain(session, block.value.prefix, task.holder, choose, known)
    place = combiner.learn(block)
    if session.datastore.transactional:
        _write(combiner, session, block.value.prefix, part)
    else:
        with combiner.alone(handle):
            try:
                part.count(session, number, place.read)
                _write(combiner, session, block.value.prefix, part)
            finally:
                part.settle(session)
    undo_doubtful(session, part)
    return part.given


def undo_doubtful(session: Session, part: Gain) -> None:
    """Give back what was handed out by a write of which nobody could say in time whether it was made: raise why."""
    if part.doubt and session.late():
        take_back(session.for_cleanup(), wishes(part.given, part.handle))
        raise part.doubt


def _write(combiner: Combiner, session: Session, prefix: Prefix, part: Gain) -> None:
    """Write a part. Where nobody knows whether that was done, the error says what may be `left` of it."""
    try:
        combiner.write(session, prefix, part)
    except SourceFailed as error:
        if not part.doubt:
            raise
        raise with_left(error, part) from error


def with_left(error: SourceFailed, part: Gain) -> SourceFailed:
    """Return an error that ended a part, of which nobody knows whether it was written, with what may be `left`."""
    return type(error)(error.message, **{**error.facts, "left": wishes(part.given, part.handle)})


def wishes(given: Given, handle: str | None, owners: Owners | None = None) -> list[Wish]:
    """Return by which wishes what a handle was given is taken back, and nothing that it was given later.

    What a VM was given is taken back only from these `owners`: a pod of it that came later was told the same addresses.
    """
    return [Wish(address, str(handle or ""), number, owners) for address, number in given.items()]


def used_by(attributes: dict[str, str], most: int) -> Owners | None:
    """Return who uses what a VM was given; None of what is no VM's, whose handle may have any number of addresses."""
    if not most:
        return None
    from unipam.dialects.calico.rules.owners import Owners

    return Owners(attributes, None)


def _count(task: Task, block: Block, number: int) -> Count | None:
    handle = task.holder.handle
    return None if handle is None else Count(handle, block.cidr, number, task.most)


def _was_made(task: Task, prefix: Prefix, number: int, count: Count | None, error: Unanswered) -> bool:
    """Return whether a write was made whose answer did not come.

    It is as it is from then on: a write that may still be under way is made to fail. Raises the error where the
    call's time is over, and then the write is undone.
    """
    session = task.session.for_cleanup()
    mine = _find(session, prefix, task.holder, number)
    if not mine and count and not session.datastore.transactional:
        counting.subtract(session, count)
    if not task.session.late():
        return bool(mine)
    if mine:
        take_back(
            session, wishes(dict.fromkeys(mine, number), task.holder.handle, used_by(task.holder.attributes, task.most))
        )
    raise error


def _find(session: Session, prefix: Prefix, holder: Holder, number: int) -> list[int]:
    """Return the addresses that a holder was given in a block by the write with this sequence number."""
    for _ in range(TRIES):
        try:
            stored = session.block(prefix)
        except NotFound:
            return []
        if mine := _given(stored.value, holder, number):
            return mine
        try:
            session.datastore.update(next_write(stored), session.deadline)
            return []
        except (Conflict, NotFound, Unanswered):
            continue
    raise too_busy()


def _given(block: Block, holder: Holder, number: int) -> list[int]:
    own = holder.attribute
    return [
        block.address(ordinal)
        for ordinal, given in block.sequences.items()
        if given == number and block.attribute(ordinal) == own
    ]
