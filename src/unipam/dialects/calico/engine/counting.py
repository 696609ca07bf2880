"""A block is written together with the count of the holder who gained or lost addresses in it (spec §4.1).

Where the datastore can write both at once, it does. Else the count goes up before the block is written and down
after it, so that whatever dies between the two leaves a count that is too high, never an address that no count leads
to.
"""

from __future__ import annotations

from typing import NamedTuple

from unipam.dialects.calico.datastore.api import Create, Delete, Item, Update, Write
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.handle import Handle
from unipam.dialects.calico.engine.session import TRIES, Session, Stored, next_write
from unipam.model.errors import BadValue, Conflict, Exists, NotFound, Refused, SourceFailed, Unanswered


class Count(NamedTuple):
    """Addresses that a handle gains in a block; `most` is what it may have of a family in all, 0 for any number."""

    handle: str
    cidr: str
    number: int
    most: int = 0


class Full(Exception):
    """A handle has as many addresses as it may have. Users never see it."""


def write(session: Session, block: Stored[Block], count: Count | None) -> None:
    """Write a block whose addresses were handed out, and count them. Nothing is written by half.

    Raises Conflict or NotFound when the block must be read again, Full, SourceFailed, and Unanswered when nobody knows
    whether the block was written; then the addresses are counted in any case.
    """
    if count is None:
        session.datastore.update(next_write(block), session.deadline)
    elif session.datastore.transactional:
        _write_together(session, block, count)
    else:
        _write_in_turn(session, block, count)


def _write_together(session: Session, block: Stored[Block], count: Count) -> None:
    changed = Update(next_write(block))
    if not count.most:  # most handles are new, so none is looked for
        try:
            session.datastore.transact((changed, _fresh(count)), session.deadline)
            return
        except Exists:
            pass
    session.datastore.transact((changed, _raised(session, count)), session.deadline)


def _write_in_turn(session: Session, block: Stored[Block], count: Count) -> None:
    add(session, count)
    try:
        session.datastore.update(next_write(block), session.deadline)
    except Unanswered:
        raise
    except Exception:
        subtract(session.for_cleanup(), count)
        raise


def add(session: Session, count: Count, known: Stored[Handle] | None = None) -> None:
    """Count addresses before they are handed out. Raises Full, Conflict, SourceFailed.

    `known` is the handle where it is known; else it is taken for a new one first, as most are. Where an answer is lost
    they are counted again: too much may be counted, but never too little.
    """
    change = _fresh(count) if known is None and not count.most else _raised(session, count, known)
    for _ in range(TRIES):
        try:
            apply(session, change)
            return
        except (Conflict, Exists, NotFound):
            change = _raised(session, count)
        except Unanswered as error:
            if session.late():
                raise SourceFailed(error.message, **error.facts) from error
            change = _raised(session, count)
    raise too_busy()


def subtract(session: Session, count: Count) -> None:
    """Count addresses no more that were not handed out, or are held no more. Raises SourceFailed.

    A count that says less already is left as it is, and so is one that has been written since an answer was lost: too
    much may be counted, but never too little.
    """
    unanswered = ""
    for _ in range(TRIES):
        try:
            stored = session.handle(count.handle)
            if unanswered and stored.item.revision != unanswered:
                return
            stored.value.subtract(count.cidr, count.number)
            apply(session, settled(stored))
            return
        except Conflict:
            continue
        except Unanswered:
            unanswered = stored.item.revision
        except (NotFound, BadValue):
            return


def settled(stored: Stored[Handle]) -> Write:
    """Return the write of a handle that was changed: one that counts nothing is removed."""
    if stored.value.empty:
        return Delete(stored.item.key, stored.item.revision)
    return Update(stored.changed())


def too_busy() -> Refused:
    """Return the error of a write for which somebody else was faster each time."""
    return Conflict("Max retries hit - excessive concurrent IPAM requests")


def _fresh(count: Count) -> Write:
    return Create(HandleKey(count.handle), Handle({count.cidr: count.number}).document())


def _raised(session: Session, count: Count, known: Stored[Handle] | None = None) -> Write:
    """Return the write that counts addresses, by what is counted now. Raises Full."""
    try:
        stored = known or session.handle(count.handle)
    except NotFound:
        return _fresh(count)
    family = 6 if ":" in count.cidr else 4
    if count.most and stored.value.count(family) + count.number > count.most:
        raise Full
    stored.value.add(count.cidr, count.number)
    return Update(stored.changed())


def apply(session: Session, change: Write) -> None:
    """Write a handle. Raises what the datastore raises."""
    assert isinstance(change.key, HandleKey)
    if session.combiner:
        session.combiner.keep(change.key.id, None)
    written: Item | None = None
    if isinstance(change, Create):
        written = session.datastore.create(change.key, change.document, session.deadline)
    elif isinstance(change, Update):
        written = session.datastore.update(change.item, session.deadline)
    else:
        session.datastore.delete(change.key, change.revision, session.deadline)
    if session.combiner:
        session.combiner.keep(change.key.id, written)
