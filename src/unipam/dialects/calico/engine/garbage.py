"""Garbage is removed: each thing is read once more, and goes only if it is still as it was when it was found.

Everything here may be done again, and is nothing where somebody else was faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from unipam.addr.prefix import parse_prefix
from unipam.dialects.calico.datastore.keys import AffinityKey, HandleKey
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.configuration import Configuration
from unipam.dialects.calico.engine import claiming
from unipam.dialects.calico.engine.counting import settled
from unipam.dialects.calico.engine.releasing import from_block, without_released
from unipam.dialects.calico.engine.session import Owner, Session, affinity_key, owner
from unipam.dialects.calico.rules import releasing
from unipam.dialects.calico.rules.blocks import held
from unipam.dialects.calico.rules.garbage import Claim, Surplus
from unipam.dialects.calico.rules.leases import Lease
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import Conflict, Mismatch, NotEmpty, NotFound, Stale, Unreadable

_OVERTAKEN = (Conflict, NotFound, Mismatch, NotEmpty, Stale, Unreadable)
"""What it looks like when something is not as it was found: it is no garbage then, or somebody else's to remove."""

_FEW = 20
"""Blocks that are read one by one; more of them are listed with all others."""


def release(session: Session, settings: Configuration, cidr: str, leases: Sequence[Lease]) -> list[Lease]:
    """Release leases of one block by handle and sequence number, all or none; those that were there.

    Raises SourceFailed.
    """
    wishes = [Wish(lease.address, lease.handle, lease.sequence) for lease in leases]
    try:
        unheld = set(from_block(session, settings, parse_prefix(cidr), wishes))
    except _OVERTAKEN:
        return []
    return [lease for lease in leases if lease.address not in unheld]


def give_up(session: Session, claim: Claim) -> bool:
    """Give up a claim on an empty block that has not been written since; whether it was. Raises SourceFailed."""
    try:
        own = Owner(claim.node)
        claiming.give_up(session, own, parse_prefix(claim.cidr), must_be_empty=True, sequence=claim.sequence)
    except _OVERTAKEN:
        return False
    return True


def remove_claim(session: Session, key: AffinityKey, revision: str) -> bool:
    """Remove a claim on a block that is not there; whether it was removed. Raises SourceFailed."""
    with suppress(*_OVERTAKEN):
        try:
            session.block(parse_prefix(key.cidr))
        except NotFound:
            session.datastore.delete(key, revision, session.deadline)
            return True
    return False


def remove_block(session: Session, cidr: str) -> bool:
    """Remove an empty block that nobody claims; whether it was removed. Raises SourceFailed."""
    with suppress(*_OVERTAKEN):
        stored = session.block(parse_prefix(cidr))
        if stored.value.empty and not _is_claimed(session, stored.value):
            session.datastore.delete(stored.item.key, stored.item.revision, session.deadline)
            return True
    return False


def _is_claimed(session: Session, block: Block) -> bool:
    own = owner(block.affinity)
    if own is None:
        return block.affinity is not None
    try:
        session.datastore.get(affinity_key(own, block.prefix), session.deadline)
    except NotFound:
        return False
    return True


def free_cooled(session: Session, settings: Configuration, cidr: str) -> bool:
    """Free the addresses of a block that have cooled; whether there were any. Raises SourceFailed."""
    with suppress(*_OVERTAKEN):
        stored = session.block(parse_prefix(cidr))
        if releasing.tidy(stored.value, session.clock(), settings.cooldown):
            session.datastore.transact((without_released(stored),), session.deadline)
            return True
    return False


def blocks_of(session: Session, cidrs: Iterable[str]) -> Mapping[str, Block | None]:
    """Read blocks as they are now, of many all there are in one list; those that are not there are left out.

    One that is broken is None. Raises SourceFailed.
    """
    wanted = set(cidrs)
    if len(wanted) > _FEW:
        return {str(prefix): stored.value if stored else None for prefix, stored in session.blocks().items()}
    found: dict[str, Block | None] = {}
    for cidr in wanted:
        try:
            found[cidr] = session.block(parse_prefix(cidr)).value
        except NotFound:
            continue
        except Unreadable:
            found[cidr] = None
    return found


def recount(session: Session, surplus: Surplus, blocks: Mapping[str, Block | None]) -> bool:
    """Let a handle count what blocks hold, which were read later than the handle; one that counts nothing goes.

    Whether it was changed. Raises SourceFailed.
    """
    counts = dict(surplus.seen.counts)
    if any(cidr in blocks and blocks[cidr] is None for cidr in counts):
        return False
    true = {cidr: len(held(block, surplus.handle)) for cidr in counts if (block := blocks.get(cidr)) is not None}
    key = HandleKey(surplus.handle)
    with suppress(*_OVERTAKEN):
        if not any(true.values()):
            session.datastore.delete(key, surplus.seen.revision, session.deadline)
            return True
        stored = session.handle(surplus.handle)
        if stored.item.revision != surplus.seen.revision:
            return False
        for cidr, number in counts.items():
            stored.value.settle(cidr, min(number, true.get(cidr, 0)))
        session.datastore.transact((settled(stored),), session.deadline)
        return True
    return False
