"""Addresses are given back: by address, and by who holds them (spec §1.9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.dialects.calico.datastore.api import Create, Delete, Update, Write
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.configuration import Configuration
from unipam.dialects.calico.documents.fields import broken
from unipam.dialects.calico.documents.handle import Handle
from unipam.dialects.calico.documents.handle import read as read_handle
from unipam.dialects.calico.engine import claiming, counting
from unipam.dialects.calico.engine.counting import Count, settled, too_busy
from unipam.dialects.calico.engine.session import TRIES, Session, Stored, next_write, owner
from unipam.dialects.calico.rules import pools as choosing
from unipam.dialects.calico.rules import releasing
from unipam.dialects.calico.rules.blocks import held, sanitized
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import BadValue, Conflict, NotFound, SourceFailed, Unanswered, UnipamError

if TYPE_CHECKING:
    from unipam.dialects.calico.engine.combining import Combiner
    from unipam.dialects.calico.engine.parts import Loss

_MOST_ADDRESSES = 1024
"""How many addresses the blocks of one write have at most, so that it stays far below etcd's 1.5 MB (spec §5.1)."""


class Outcome(NamedTuple):
    """Which addresses nobody held, the wishes that were granted, and the first thing that went wrong."""

    unheld: list[int]
    granted: list[Wish]
    error: UnipamError | None


def release(session: Session, wishes: Sequence[Wish]) -> Outcome:
    """Release addresses, those of one block all or none of them.

    What goes wrong with a block does not touch the others.
    """
    outcome = Outcome([], [], None)
    by_block, outside = _grouped(session, [wish._replace(handle=sanitized(wish.handle)) for wish in wishes])
    outcome.unheld.extend(outside)
    settings = session.configuration() if by_block else Configuration()
    for prefix, own in by_block.items():
        try:
            outcome.unheld.extend(from_block(session, settings, prefix, own))
            outcome.granted.extend(own)
        except UnipamError as error:
            outcome = outcome if outcome.error else outcome._replace(error=error)
    return outcome


def _grouped(session: Session, wishes: Iterable[Wish]) -> tuple[dict[Prefix, list[Wish]], list[int]]:
    """Group the wishes by their blocks; return these, and the addresses that are in none."""
    pools, blocks = session.pools(), None
    grouped: dict[Prefix, list[Wish]] = {}
    outside = []
    for wish in wishes:
        pool = choosing.find(pools, wish.address)
        if pool is None:
            blocks = session.blocks() if blocks is None else blocks
        prefix = pool.block_of(wish.address) if pool else _around(blocks or {}, wish.address)
        if prefix is None:
            outside.append(wish.address)
        else:
            grouped.setdefault(prefix, []).append(wish)
    return grouped, outside


def _around(prefixes: Iterable[Prefix], address: int) -> Prefix | None:
    return next((prefix for prefix in prefixes if prefix.first <= address <= prefix.last), None)


def take_back(session: Session, wishes: Sequence[Wish]) -> list[int]:
    """Release what a call was given of which nobody heard; the addresses. What is another call's by now stays.

    Each wish names its allocation by handle and sequence number: a runtime that asks again does so under the same
    handle, and may be given the same address. Raises SourceFailed with what is `left`.
    """
    taken = []
    for number, wish in enumerate(wishes):
        try:
            taken += _taken_back(session, wish)
        except UnipamError as error:
            raise SourceFailed(f"not given back: {error.message}", left=list(wishes[number:])) from error
    return taken


def _taken_back(session: Session, wish: Wish) -> list[int]:
    error = release(session, [wish]).error
    if error is None:
        return [wish.address]
    if isinstance(error, Conflict) and "address" in error.facts:  # of another handle or number
        return []
    raise error


def from_block(session: Session, settings: Configuration, prefix: Prefix, wishes: Sequence[Wish]) -> list[int]:
    """Release addresses of one block; those that nobody held. Raises Conflict when one is not as its wish says."""
    left = list(wishes)
    for _ in range(TRIES):
        try:
            block = session.block(prefix)
        except NotFound:
            return [wish.address for wish in left]
        released = releasing.release(block.value, left, session.clock(), settings.cooldown)
        if len(released.unheld) == len({wish.address for wish in left}):
            return released.unheld
        try:
            _write(session, block, released.by_handle)
        except (Conflict, NotFound):
            continue
        except Unanswered:
            left = _still_held(session, prefix, left)
            continue
        _leave_unselected(session, block.value)
        return released.unheld
    raise too_busy()


def _still_held(session: Session, prefix: Prefix, wishes: Sequence[Wish]) -> list[Wish]:
    """Return the wishes that a write, of which nobody knows whether it was made, has not granted."""
    with suppress(NotFound):
        block = session.block(prefix).value
        return [wish for wish in wishes if _is_held(block, wish.address)]
    return []


def _is_held(block: Block, address: int) -> bool:
    attribute = block.attribute(address - block.prefix.first)
    return attribute is not None and attribute.get("releasedAt") is None


def _write(session: Session, block: Stored[Block], by_handle: dict[str, int]) -> None:
    cidr = block.value.cidr
    if not session.datastore.transactional:
        _apply(session, without_released(block))
        for handle, number in by_handle.items():
            counting.subtract(session.for_cleanup(), Count(handle, cidr, number))
        return
    writes = [without_released(block)]
    for handle, number in by_handle.items():
        with suppress(NotFound, BadValue):
            stored = session.handle(handle)
            stored.value.subtract(cidr, number)
            writes.append(settled(stored))
    session.datastore.transact(tuple(writes), session.deadline)


def without_released(block: Stored[Block]) -> Write:
    """Return the write of a block after a release; one that is nobody's and holds nothing is removed."""
    if block.value.empty and block.value.affinity is None:
        return Delete(block.item.key, block.item.revision)
    return Update(next_write(block))


def _apply(session: Session, change: Write) -> None:
    if isinstance(change, Update):
        session.datastore.update(change.item, session.deadline)
    elif not isinstance(change, Create):
        session.datastore.delete(change.key, change.revision, session.deadline)


def by_handle(session: Session, handle: str) -> list[int]:
    """Release all that a handle holds, and remove it; the addresses. Raises NotFound when there is no such handle.

    What the handle counts beyond what its blocks hold is forgotten. That is safe because the handle was read before the
    blocks and each of them is written: whoever counted an address and has not written its block yet fails, and
    counts anew.
    """
    handle = sanitized(handle)
    if session.combiner and not session.datastore.transactional:
        with session.combiner.alone(handle):
            return _by_handle(session, handle)
    return _by_handle(session, handle)


def part_of(session: Session, handle: str) -> tuple[Prefix, Loss] | None:
    """Return how all that a handle holds is released by a part in the write of the one block that it names.

    None where this process does not know that it is one: then it is to be done by `by_handle`.
    """
    from unipam.dialects.calico.engine.parts import Loss

    item = session.combiner.handle(sanitized(handle)) if session.combiner else None
    stored = None if item is None else Stored(read_handle(item.document, str(item.key)), item)
    if stored is None or len(stored.value.blocks) != 1 or not session.datastore.transactional:
        return None
    (cidr,) = stored.value.blocks
    stored.value.settle(cidr, 0)
    return _prefix(cidr), Loss(session, session.configuration(), sanitized(handle), settled(stored))


def _by_handle(session: Session, handle: str) -> list[int]:
    released: list[int] = []
    settings = None
    for _ in range(TRIES):
        try:
            stored = _known(session, handle)
        except NotFound:
            if settings is None:
                raise
            return released
        settings = settings or session.configuration()
        try:
            if session.combiner:
                _release_together(session, session.combiner, settings, stored, released)
            else:
                released += _release_all(session, settings, stored, handle)
            return released
        except (Conflict, NotFound, Unanswered):
            if session.combiner:
                session.combiner.keep(handle, None)
    raise too_busy()


def _known(session: Session, handle: str) -> Stored[Handle]:
    """Return a handle as this process knows it, or else as it is. Raises NotFound."""
    item = session.combiner.handle(handle) if session.combiner else None
    return session.handle(handle) if item is None else Stored(read_handle(item.document, str(item.key)), item)


def _release_together(
    session: Session, combiner: Combiner, settings: Configuration, stored: Stored[Handle], released: list[int]
) -> None:
    """Release all that a handle holds, block by block, with whatever else is wanted of these in this process.

    What was `released` is added there, also when something goes wrong with the rest.
    """
    from unipam.dialects.calico.engine.parts import Loss

    assert isinstance(stored.item.key, HandleKey)
    handle, together = stored.item.key.id, session.datastore.transactional
    prefixes = [_prefix(cidr) for cidr in stored.value.blocks]
    for prefix in prefixes:
        stored.value.settle(str(prefix), 0)
        change = settled(stored)
        part = Loss(session, settings, handle, change if together else None)
        try:
            released += combiner.write(session, prefix, part)
        except NotFound as error:
            if isinstance(error.facts.get("key"), HandleKey):
                raise
            if together:  # the block is gone, and what was in it
                counting.apply(session, change)
        if (written := combiner.handle(handle)) is not None:
            stored = stored._replace(item=written)
        leave_known(session, combiner, prefix)
    if not (together and prefixes):
        counting.apply(session, settled(stored))


def leave_known(session: Session, combiner: Combiner, prefix: Prefix) -> None:
    """Give up a block of which something was released, if nothing is left in it and it is for other nodes by now."""
    if known := combiner.peek(prefix):
        _leave_unselected(session, known[0].value)


def _release_all(session: Session, settings: Configuration, stored: Stored[Handle], handle: str) -> list[int]:
    released = []
    for batch in _batches(stored.value):
        writes = []
        emptied = []
        for prefix in batch:
            stored.value.settle(str(prefix), 0)
            with suppress(NotFound):
                block = session.block(prefix)
                session.require_heard()
                released += [block.value.address(ordinal) for ordinal in held(block.value, handle)]
                releasing.release_handle(block.value, handle, session.clock(), settings.cooldown)
                writes.append(without_released(block))
                emptied.append(block.value)
        stored = _write_all(session, writes, stored)
        for found in emptied:
            _leave_unselected(session, found)
    return released


def _write_all(session: Session, writes: Sequence[Write], stored: Stored[Handle]) -> Stored[Handle]:
    """Write blocks and then, or at once, what is left of a handle."""
    last = settled(stored)
    if session.datastore.transactional:
        items = session.datastore.transact((*writes, last), session.deadline)
    else:
        for change in writes:
            _apply(session, change)
        items = (session.datastore.update(last.item, session.deadline),) if isinstance(last, Update) else ()
        if isinstance(last, Delete):
            session.datastore.delete(last.key, last.revision, session.deadline)
    return Stored(stored.value, items[-1]) if isinstance(last, Update) else stored


def _batches(handle: Handle) -> Iterator[list[Prefix]]:
    """Yield the blocks of a handle, as many together as one write takes. Raises BadValue."""
    batch: list[Prefix] = []
    for cidr in list(handle.blocks):
        prefix = _prefix(cidr)
        if batch and sum(each.size for each in (*batch, prefix)) > _MOST_ADDRESSES:
            yield batch
            batch = []
        batch.append(prefix)
    yield batch


def _prefix(cidr: str) -> Prefix:
    try:
        return parse_prefix(cidr)
    except ValueError as error:
        raise broken("a handle", str(error), "block") from None


def _leave_unselected(session: Session, block: Block) -> None:
    """Give up a block that became empty if it should not be its owner's any more.

    What goes wrong goes wrong silently.
    """
    own = owner(block.affinity)
    if own is None or not block.empty:
        return
    with suppress(UnipamError):
        if own.kind == "virtual" or not _is_selected(session, own.host, block):
            if session.combiner:
                session.combiner.forget(block.prefix)
            claiming.give_up(session, own, block.prefix, must_be_empty=True)


def _is_selected(session: Session, host: str, block: Block) -> bool:
    """Return whether a block's pool selects its node; where one of the two is gone, nothing is said.

    Raises Missing, BadValue.
    """
    pools = [pool for pool in session.pools() if pool.enabled]
    pool = choosing.find(pools, block.prefix.first)
    return pool is None or choosing.selects_node(pool, session.node_labels(host))
