"""A block becomes an owner's, and stops being it: the affinity's states (spec §1.5).

    none --> pending --> confirmed --> pendingDeletion --> none

A claim on a block is written before the block and removed after it, so that whoever follows affinities sees no block
without one. A datastore that writes several objects at once needs none of the states between.
"""

from __future__ import annotations

from contextlib import suppress

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.datastore.api import Create, Delete, Update, Write
from unipam.dialects.calico.datastore.keys import BlockKey
from unipam.dialects.calico.documents.affinity import CONFIRMED, PENDING, PENDING_DELETION, Affinity
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.engine.counting import too_busy
from unipam.dialects.calico.engine.session import TRIES, Owner, Session, Stored, affinity_key, next_write
from unipam.dialects.calico.rules import blocks
from unipam.dialects.calico.rules.pools import Reserve
from unipam.model.errors import Conflict, Exists, Mismatch, NotEmpty, NotFound, Stale, Unanswered

_AGAIN = (Conflict, Exists, NotFound, Unanswered)
"""What somebody else's being faster looks like; and a write that may have been made is looked for."""


class NoFreeBlocks(Exception):
    """No pool has a block left. Users never see it."""


def claim(session: Session, owner: Owner, prefix: Prefix, reserve: Reserve | None = None) -> Stored[Block]:
    """Claim a block for the owner; it is made if need be.

    Raises Mismatch or Stale when it is somebody else's, Conflict when there is no end of others, SourceFailed.
    """
    if session.datastore.transactional:
        fresh = blocks.create(prefix, str(owner), session.clock(), reserve)
        with suppress(Exists, Unanswered):
            return _claim_at_once(session, owner, fresh)
    for _ in range(TRIES):
        with suppress(*_AGAIN):
            return open_block(session, owner, prefix, _pending(session, owner, prefix), reserve)
    raise too_busy()


def _claim_at_once(session: Session, owner: Owner, fresh: Block) -> Stored[Block]:
    key = BlockKey(fresh.cidr)
    confirmed = Create(affinity_key(owner, fresh.prefix), Affinity(CONFIRMED).document())
    _, item = session.datastore.transact((confirmed, Create(key, fresh.document())), session.deadline)
    return Stored(fresh, item)


def _pending(session: Session, owner: Owner, prefix: Prefix) -> Stored[Affinity]:
    """Make or find the owner's claim; it is pending unless it is confirmed."""
    claimed = Affinity(PENDING)
    try:
        item = session.datastore.create(affinity_key(owner, prefix), claimed.document(), session.deadline)
    except Exists:
        found = session.affinity(owner, prefix)
        return found if found.value.confirmed else _move(session, found, PENDING)
    return Stored(claimed, item)


def open_block(
    session: Session, owner: Owner, prefix: Prefix, affinity: Stored[Affinity], reserve: Reserve | None = None
) -> Stored[Block]:
    """Return the block that an affinity claims, made if it is not there.

    Raises Stale when it is somebody else's, and then the affinity is removed; Conflict when the affinity must be
    read again.
    """
    try:
        block = session.block(prefix)
    except NotFound:
        return _make(session, owner, prefix, _move(session, affinity, PENDING), reserve)
    if block.value.affinity != str(owner):
        session.datastore.delete(affinity.item.key, affinity.item.revision, session.deadline)
        raise Stale(f"Affinity is stale: {affinity.item.key}", affinity=str(affinity.item.key))
    if affinity.value.confirmed:
        return block
    pending = _move(session, affinity, PENDING)
    # A new revision: whoever is about to change the block on the strength of the old one fails.
    block = Stored(block.value, session.datastore.update(next_write(block), session.deadline))
    _move(session, pending, CONFIRMED)
    return block


def _make(
    session: Session, owner: Owner, prefix: Prefix, affinity: Stored[Affinity], reserve: Reserve | None
) -> Stored[Block]:
    fresh = blocks.create(prefix, str(owner), session.clock(), reserve)
    try:
        block = Stored(fresh, session.datastore.create(BlockKey(fresh.cidr), fresh.document(), session.deadline))
    except Exists:
        block = session.block(prefix)
        if block.value.affinity != str(owner):
            with suppress(Conflict, NotFound):
                session.datastore.delete(affinity.item.key, affinity.item.revision, session.deadline)
            problem = f"{prefix} already claimed by {block.value.affinity}"
            raise Mismatch(problem, block=str(prefix), affinity=block.value.affinity) from None
    _confirm(session, owner, prefix, affinity)
    return block


def _confirm(session: Session, owner: Owner, prefix: Prefix, affinity: Stored[Affinity]) -> None:
    try:
        _move(session, affinity, CONFIRMED)
    except (Conflict, NotFound, Unanswered):
        if not session.affinity(owner, prefix).value.confirmed:
            raise


def _move(session: Session, affinity: Stored[Affinity], state: str) -> Stored[Affinity]:
    """Move the affinity to another state; a state that it is in already is not written again."""
    if affinity.value.state == state:
        return affinity
    moved = Stored(Affinity(state, affinity.value.deleted, affinity.value.rest), affinity.item)
    return moved._replace(item=session.datastore.update(moved.changed(), session.deadline))


def give_up(
    session: Session, owner: Owner, prefix: Prefix, *, must_be_empty: bool, sequence: int | None = None
) -> None:
    """Release an owner's claim on a block. An empty block goes, another one stays until its last address is released.

    With a `sequence` only if the block has not been written since. Raises NotFound when there is nothing to release,
    Mismatch when the block is somebody else's, NotEmpty, Stale, Conflict when it is to be asked again.
    """
    affinity = session.affinity(owner, prefix)
    block = _claimed(session, affinity, prefix)
    if sequence is not None and block.value.sequence != sequence:
        raise Stale("IPAM block updated since we last read it", block=str(prefix))
    if block.value.affinity not in {None, str(owner)}:
        with suppress(Conflict, NotFound):
            session.datastore.delete(affinity.item.key, affinity.item.revision, session.deadline)
        raise Mismatch(f"{prefix} already claimed by {block.value.affinity}", block=str(prefix))
    if must_be_empty and not block.value.empty:
        raise NotEmpty(f"block '{prefix}' is not empty", of="block", value=str(prefix))
    if session.datastore.transactional:
        session.datastore.transact((_abandoned(block), _gone(affinity)), session.deadline)
    else:
        _give_up_in_turn(session, affinity, _abandoned(block))


def _claimed(session: Session, affinity: Stored[Affinity], prefix: Prefix) -> Stored[Block]:
    """Return the block of an affinity. Raises NotFound.

    An affinity whose block is gone is removed, too, unless one is being made.
    """
    try:
        return session.block(prefix)
    except NotFound:
        if affinity.value.state != PENDING:
            with suppress(Conflict, NotFound):
                session.datastore.delete(affinity.item.key, affinity.item.revision, session.deadline)
        raise


def _abandoned(block: Stored[Block]) -> Update | Delete:
    if block.value.empty:
        return Delete(block.item.key, block.item.revision)
    block.value.affinity = block.value.claimed = None
    return Update(next_write(block))


def _gone(affinity: Stored[Affinity]) -> Write:
    return Delete(affinity.item.key, affinity.item.revision)


def _give_up_in_turn(session: Session, affinity: Stored[Affinity], block: Update | Delete) -> None:
    going = _move(session, affinity, PENDING_DELETION)
    if isinstance(block, Delete):
        with suppress(NotFound):
            session.datastore.delete(block.key, block.revision, session.deadline)
    else:
        session.datastore.update(block.item, session.deadline)
    with suppress(NotFound):
        session.datastore.delete(going.item.key, going.item.revision, session.deadline)
