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
from unipam.dialects.calico.engine.world import Owner, World, affinity_key, owner
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


def release(world: World, settings: Configuration, cidr: str, leases: Sequence[Lease]) -> list[Lease]:
    """Release leases of one block by handle and sequence number, all or none; those that were there.

    Raises SourceFailed.
    """
    wishes = [Wish(lease.address, lease.handle, lease.sequence) for lease in leases]
    try:
        unheld = set(from_block(world, settings, parse_prefix(cidr), wishes))
    except _OVERTAKEN:
        return []
    return [lease for lease in leases if lease.address not in unheld]


def give_up(world: World, claim: Claim) -> bool:
    """Give up a claim on an empty block that has not been written since; whether it was. Raises SourceFailed."""
    try:
        own = Owner(claim.node)
        claiming.give_up(world, own, parse_prefix(claim.cidr), must_be_empty=True, sequence=claim.sequence)
    except _OVERTAKEN:
        return False
    return True


def remove_claim(world: World, key: AffinityKey, revision: str) -> bool:
    """Remove a claim on a block that is not there; whether it was removed. Raises SourceFailed."""
    with suppress(*_OVERTAKEN):
        try:
            world.block(parse_prefix(key.cidr))
        except NotFound:
            world.datastore.delete(key, revision, world.deadline)
            return True
    return False


def remove_block(world: World, cidr: str) -> bool:
    """Remove an empty block that nobody claims; whether it was removed. Raises SourceFailed."""
    with suppress(*_OVERTAKEN):
        stored = world.block(parse_prefix(cidr))
        if stored.value.empty and not _is_claimed(world, stored.value):
            world.datastore.delete(stored.item.key, stored.item.revision, world.deadline)
            return True
    return False


def _is_claimed(world: World, block: Block) -> bool:
    own = owner(block.affinity)
    if own is None:
        return block.affinity is not None
    try:
        world.datastore.get(affinity_key(own, block.prefix), world.deadline)
    except NotFound:
        return False
    return True


def free_cooled(world: World, settings: Configuration, cidr: str) -> bool:
    """Free the addresses of a block that have cooled; whether there were any. Raises SourceFailed."""
    with suppress(*_OVERTAKEN):
        stored = world.block(parse_prefix(cidr))
        if releasing.tidy(stored.value, world.clock(), settings.cooldown):
            world.datastore.transact((without_released(stored),), world.deadline)
            return True
    return False


def blocks_of(world: World, cidrs: Iterable[str]) -> Mapping[str, Block | None]:
    """Read blocks as they are now, of many all there are in one list; those that are not there are left out.

    One that is broken is None. Raises SourceFailed.
    """
    wanted = set(cidrs)
    if len(wanted) > _FEW:
        return {str(prefix): stored.value if stored else None for prefix, stored in world.blocks().items()}
    found: dict[str, Block | None] = {}
    for cidr in wanted:
        try:
            found[cidr] = world.block(parse_prefix(cidr)).value
        except NotFound:
            continue
        except Unreadable:
            found[cidr] = None
    return found


def recount(world: World, surplus: Surplus, blocks: Mapping[str, Block | None]) -> bool:
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
            world.datastore.delete(key, surplus.seen.revision, world.deadline)
            return True
        stored = world.handle(surplus.handle)
        if stored.item.revision != surplus.seen.revision:
            return False
        for cidr, number in counts.items():
            stored.value.settle(cidr, min(number, true.get(cidr, 0)))
        world.datastore.transact((settled(stored),), world.deadline)
        return True
    return False
