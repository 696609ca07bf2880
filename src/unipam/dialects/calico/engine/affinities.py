"""Whole sets of blocks are claimed and given up: of a host, of a pool, of a CIDR (spec §1.9, §1.12)."""

from __future__ import annotations

from typing import NamedTuple

from unipam.addr.prefix import Prefix, truncate
from unipam.dialects.calico.engine import claiming
from unipam.dialects.calico.engine.session import TRIES, Owner, Session, owner
from unipam.dialects.calico.rules import pools
from unipam.dialects.calico.rules.pools import Reserve
from unipam.model.errors import BadValue, Conflict, Mismatch, NotEmpty, NotFound, Outside, Stale, UnipamError


class Claims(NamedTuple):
    """Blocks that are the owner's now, and those that are somebody else's."""

    claimed: list[Prefix]
    failed: list[Prefix]


def claim_cidr(session: Session, own: Owner, cidr: Prefix, reserve: Reserve | None = None) -> Claims:
    """Claim every block of a CIDR. Raises Outside, or BadValue for a CIDR that is smaller than a block."""
    pool = pools.find([pool for pool in session.pools() if pool.enabled], cidr.first)
    if pool is None:
        raise Outside(f"The requested CIDR ({cidr}) is not within any configured pools.", prefix=str(cidr))
    if cidr.length > pool.block_length:
        raise BadValue(f"The requested CIDR ({cidr}) is smaller than the minimum.", field="cidr", value=str(cidr))
    found = Claims([], [])
    at = cidr.first
    while at <= cidr.last:
        prefix = truncate(at, pool.block_length)
        try:
            claiming.claim(session, own, prefix, reserve)
            found.claimed.append(prefix)
        except (Mismatch, Stale):
            found.failed.append(prefix)
        at = prefix.last + 1
    return found


def give_up_host(session: Session, own: Owner, *, must_be_empty: bool) -> None:
    """Give up every block of a host. Raises the last thing that went wrong, after all were tried."""
    _give_up(session, [(own, prefix) for family in (4, 6) for prefix in session.affinities(own, family)], must_be_empty)


def give_up_pool(session: Session, cidr: Prefix, *, must_be_empty: bool = False) -> None:
    """Give up every block in a pool, whoever owns it, as happens before the pool goes. Raises as `give_up_host`."""
    owned = [
        (found, prefix)
        for prefix, stored in session.blocks().items()
        if stored is not None and cidr.contains(prefix) and (found := owner(stored.value.affinity))
    ]
    _give_up(session, owned, must_be_empty)


def _give_up(session: Session, owned: list[tuple[Owner, Prefix]], must_be_empty: bool) -> None:
    problem: UnipamError | None = None
    for own, prefix in owned:
        try:
            _give_up_one(session, own, prefix, must_be_empty)
        except UnipamError as error:
            problem = error
    if problem:
        raise problem


def _give_up_one(session: Session, own: Owner, prefix: Prefix, must_be_empty: bool) -> None:
    for _ in range(TRIES):
        try:
            claiming.give_up(session, own, prefix, must_be_empty=must_be_empty)
        except Conflict:
            continue
        except (NotFound, Mismatch):
            return
        except NotEmpty:
            if must_be_empty:
                raise
        return
