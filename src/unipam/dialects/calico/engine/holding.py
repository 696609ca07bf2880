"""What a handle holds, and who uses it."""

from __future__ import annotations

from contextlib import suppress

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.dialects.calico.documents.block import Attribute
from unipam.dialects.calico.engine.counting import too_busy
from unipam.dialects.calico.engine.session import TRIES, Session, next_write
from unipam.dialects.calico.rules import owners
from unipam.dialects.calico.rules.blocks import held, sanitized
from unipam.dialects.calico.rules.owners import Change
from unipam.model.errors import Conflict, Missing, NotFound, Unanswered


def held_by(session: Session, handle: str, family: int = 0) -> list[tuple[int, Prefix]]:
    """Return the addresses that a handle holds, with the prefixes of their blocks; of both families if none is given.

    Raises NotFound when there is no such handle.
    """
    found = []
    for cidr in session.handle(sanitized(handle)).value.blocks:
        prefix = parse_prefix(cidr)
        if family in {0, prefix.family}:
            with suppress(NotFound):
                block = session.block(prefix).value
                found += [(block.address(ordinal), prefix) for ordinal in held(block, sanitized(handle))]
    return found


def holder_of(session: Session, address: int, prefix: Prefix) -> Attribute | None:
    """Return who holds an address of a block; None for one that is free or cools.

    Raises NotFound when the block is not there.
    """
    attribute = session.block(prefix).value.attribute(address - prefix.first)
    return None if attribute is None or attribute.get("releasedAt") is not None else attribute


def set_owners(session: Session, address: int, prefix: Prefix, handle: str, change: Change) -> None:
    """Write down who uses an address of a handle. Raises Missing, Mismatch, or what `change` raises; SourceFailed."""
    for _ in range(TRIES):
        try:
            stored = session.block(prefix)
        except NotFound:
            raise Missing(f"resource does not exist: block {prefix}", block=str(prefix)) from None
        before = list(stored.value.attributes)
        owners.set_owners(stored.value, address, handle, change)
        if stored.value.attributes == before:
            return
        with suppress(Conflict, NotFound, Unanswered):
            session.datastore.update(next_write(stored), session.deadline)
            return
    raise too_busy()
