"""AssignIP: one address that was asked for (spec §1.8).

Reservations, selectors, modes and block limits are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from unipam.addr.prefix import Prefix, format_address
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.pool import LOAD_BALANCER as FOR_SERVICES
from unipam.dialects.calico.engine import claiming
from unipam.dialects.calico.engine.counting import Full, too_busy
from unipam.dialects.calico.engine.holding import held_by
from unipam.dialects.calico.engine.session import LOAD_BALANCER, TRIES, Owner, Session, Stored
from unipam.dialects.calico.engine.writing import Given, Task, hand_out
from unipam.dialects.calico.rules import blocks, pools
from unipam.dialects.calico.rules.blocks import Holder, handle_of
from unipam.dialects.calico.rules.pools import Reserve
from unipam.model.errors import Duplicate, Mismatch, NotFound, Outside, Stale, Taken


class Request(NamedTuple):
    """Which address, for whom, and what for; no use at all is not looked at. `most` is as for `auto.Request`."""

    address: int
    host: str
    handle: str | None = None
    attributes: Mapping[str, str] = MappingProxyType({})
    use: str = ""
    reserve: Reserve | None = None
    most: int = 0

    @property
    def owner(self) -> Owner:
        """Who claims the block if nobody has."""
        return LOAD_BALANCER if self.use == FOR_SERVICES else Owner(self.host)


def assign(session: Session, wanted: Request) -> tuple[Prefix, Given]:
    """Assign an address; its block, and what was given: nothing where the handle, which may have no more, has it.

    Raises Outside, BadValue, Mismatch, Taken, Duplicate in the original's words.
    """
    pool = pools.find([pool for pool in session.pools() if pool.enabled], wanted.address)
    if pool is None:
        raise Outside("The provided IP address is not in a configured pool\n", prefix=format_address(wanted.address))
    pools.check_use(pool, format_address(wanted.address), wanted.use)
    settings = session.configuration()
    holder = Holder(str(wanted.owner), wanted.handle, dict(wanted.attributes))
    task = Task(session, settings, holder, wanted.most)
    prefix = pool.block_of(wanted.address)
    for _ in range(TRIES):
        try:
            block = _block(session, wanted, prefix)
            return prefix, hand_out(task, block, lambda found: _choose(found, wanted, holder, strict=settings.strict))
        except (NotFound, Stale):  # it went, or whoever has it was faster: that is the block then
            continue
        except Full:
            _require_held(session, wanted)
            return prefix, {}
        except Taken:
            if wanted.most and _holds(session, wanted, prefix):
                return prefix, {}
            raise
    raise too_busy()


def _block(session: Session, wanted: Request, prefix: Prefix) -> Stored[Block]:
    try:
        return session.block(prefix)
    except NotFound:
        pass
    try:
        return claiming.claim(session, wanted.owner, prefix, wanted.reserve)
    except Mismatch:
        return session.block(prefix)


def _choose(block: Block, wanted: Request, holder: Holder, *, strict: bool) -> list[int]:
    blocks.assign(block, wanted.address, holder, strict=strict)
    return [wanted.address]


def _holds(session: Session, wanted: Request, prefix: Prefix) -> bool:
    attribute = session.block(prefix).value.attribute(wanted.address - prefix.first)
    return attribute is not None and attribute.get("releasedAt") is None and handle_of(attribute) == wanted.handle


def _require_held(session: Session, wanted: Request) -> None:
    """Raise Duplicate unless the handle, which may have no more, has just this address."""
    handle = str(wanted.handle)
    if wanted.address not in {address for address, _ in held_by(session, handle)}:
        text = format_address(wanted.address)
        raise Duplicate(
            f"handle {handle} already has IP(s) allocated, cannot assign additional IP {text}"
            f" (maxAllocPerIPVersion={wanted.most})",
            address=text,
            holder=handle,
        )
