"""A handle is made to count what its blocks hold, whatever a crash left of it (spec §1.10).

Somebody may be between counting an address and writing its block, or between releasing it and counting it no more. So
every block of which the handle says something else is written anew, at its revision, before the handle is: whoever is
about to write that block fails, and begins again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.dialects.calico.datastore.api import Create, Update, Write
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.handle import Handle
from unipam.dialects.calico.engine.counting import apply, settled, too_busy
from unipam.dialects.calico.engine.session import TRIES, Session, Stored, next_write
from unipam.dialects.calico.rules.blocks import held
from unipam.model.errors import Conflict, Exists, NotFound, Unanswered


class Recount(NamedTuple):
    """What a handle counted, and what its blocks hold."""

    before: dict[str, int]
    after: dict[str, int]


def recount(session: Session, handle: str, blocks: Collection[Prefix]) -> Recount | None:
    """Make a handle count what is held in its blocks, and in these; None where it does so already.

    A handle that counts nothing is removed, and one that is missing is made. Raises Conflict when there is no end of
    others, SourceFailed.
    """
    for _ in range(TRIES):
        try:
            return _recount(session, handle, blocks)
        except (Conflict, Exists, NotFound, Unanswered):
            continue
    raise too_busy()


def _recount(session: Session, handle: str, blocks: Collection[Prefix]) -> Recount | None:
    stored = _handle(session, handle)
    before = dict(stored.value.blocks) if stored else {}
    found = {str(prefix): _block(session, prefix) for prefix in {*map(parse_prefix, before), *blocks}}
    after = {cidr: len(held(block.value, handle)) for cidr, block in found.items() if block is not None}
    after = {cidr: count for cidr, count in after.items() if count}
    if after == before and (after or stored is None):
        return None
    touched = [block for cidr, block in found.items() if block and after.get(cidr) != before.get(cidr)]
    _write(session, touched, _counted(stored, handle, after))
    return Recount(before, after)


def _handle(session: Session, handle: str) -> Stored[Handle] | None:
    try:
        return session.handle(handle)
    except NotFound:
        return None


def _block(session: Session, prefix: Prefix) -> Stored[Block] | None:
    try:
        return session.block(prefix)
    except NotFound:
        return None


def _counted(stored: Stored[Handle] | None, handle: str, counts: dict[str, int]) -> Write:
    if stored is None:
        return Create(HandleKey(handle), Handle(counts).document())
    stored.value.blocks = counts
    return settled(stored)


def _write(session: Session, blocks: list[Stored[Block]], handle: Write) -> None:
    writes = [Update(next_write(block)) for block in blocks]
    if session.datastore.transactional:
        session.datastore.transact((*writes, handle), session.deadline)
        return
    for each in writes:
        session.datastore.update(each.item, session.deadline)
    apply(session, handle)
