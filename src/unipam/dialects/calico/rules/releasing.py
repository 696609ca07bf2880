"""Addresses are released into their block, cool, and become free (spec §1.4, §1.9).

Each rule changes the block that it is given. `moment` is now, `cooldown` is in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from unipam.addr.prefix import format_address
from unipam.dialects.calico.documents.block import Attribute, Block
from unipam.dialects.calico.documents.times import SECOND, parse_rfc3339, rfc3339
from unipam.dialects.calico.rules.blocks import handle_of, held
from unipam.model.errors import Conflict

if TYPE_CHECKING:
    from unipam.dialects.calico.rules.owners import Owners


class Wish(NamedTuple):
    """An address to release, and of which allocation: one of another handle or sequence number is not released.

    Nor is one that is used by others than these `owners`, where they are named: a VM's allocation outlives its pods.
    """

    address: int
    handle: str = ""
    sequence: int | None = None
    owners: Owners | None = None


class Released(NamedTuple):
    """How many addresses each handle lost, and the addresses that nobody held."""

    by_handle: dict[str, int]
    unheld: list[int]


def release(block: Block, wishes: Iterable[Wish], moment: int, cooldown: int) -> Released:
    """Release addresses, all or, if one is not as the caller says, none: raises Conflict in the original's words."""
    tidy(block, moment, cooldown)  # what has cooled until now comes before what is released now
    by_handle: dict[str, int] = {}
    unheld, ordinals = [], []
    for wish in {wish.address: wish for wish in wishes}.values():
        ordinal = wish.address - block.prefix.first
        attribute = _checked(block, ordinal, wish)
        if attribute is None:
            unheld.append(wish.address)
            continue
        ordinals.append(ordinal)
        if handle := handle_of(attribute):
            by_handle[handle] = by_handle.get(handle, 0) + 1
    if ordinals:
        for ordinal in ordinals:
            block.sequences[ordinal] = block.sequence
        _let_go(block, ordinals, moment)
        tidy(block, moment, cooldown)
    return Released(by_handle, unheld)


def _checked(block: Block, ordinal: int, wish: Wish) -> Attribute | None:
    """Return who holds the address of a wish; None when nobody does any more. Raises Conflict."""
    number = block.sequences.get(ordinal, 0)
    if wish.sequence is not None and wish.sequence != number:
        raise _conflict(wish, "sequence number", wish.sequence, number)
    attribute = block.attribute(ordinal)
    if attribute is None or attribute.get("releasedAt") is not None:
        return None
    handle = handle_of(attribute)
    if wish.handle and handle != wish.handle:
        raise _conflict(wish, "handle", wish.handle, handle)
    if wish.owners is not None:
        from unipam.dialects.calico.rules.owners import owners_of

        if (found := owners_of(attribute)) != wish.owners:
            raise _conflict(wish, "owners", wish.owners, found)
    return attribute


def _conflict(wish: Wish, what: str, given: object, found: object) -> Conflict:
    address = format_address(wish.address)
    why = f"the given {what} ({given}) does not match ({found}) when attempting to release IP"
    return Conflict(f"update conflict: {address}", address=address, details=why)


def release_handle(block: Block, handle: str, moment: int, cooldown: int) -> int:
    """Release all that a handle holds; how many addresses that were."""
    tidy(block, moment, cooldown)
    ordinals = held(block, handle)
    if ordinals:
        _let_go(block, ordinals, moment)
        tidy(block, moment, cooldown)
    return len(ordinals)


def _let_go(block: Block, ordinals: Iterable[int], moment: int) -> None:
    index = len(block.attributes)
    block.attributes.append({"releasedAt": rfc3339(moment)})
    for ordinal in ordinals:
        block.allocations[ordinal] = index


def tidy(block: Block, moment: int, cooldown: int) -> bool:
    """Free what has cooled, in ascending order behind all that is free, and forget holders of nothing.

    `cooldown` is in seconds. Whether that changed anything.
    """
    if not block.cooling:
        return _forget_unused(block)
    cooled = [
        index
        for index, attribute in enumerate(block.attributes)
        if (released := attribute.get("releasedAt")) is not None and _is_cool(released, moment, cooldown)
    ]
    freed = [ordinal for ordinal, index in enumerate(block.allocations) if index is not None and index in cooled]
    for ordinal in freed:
        block.allocations[ordinal] = None
        block.sequences.pop(ordinal, None)
    block.unallocated.extend(freed)
    return _forget_unused(block) or bool(freed)


def _is_cool(released: str, moment: int, cooldown: int) -> bool:
    try:
        return parse_rfc3339(released) <= moment - cooldown * SECOND
    except ValueError:
        return False  # whoever wrote it knows


def _forget_unused(block: Block) -> bool:
    used = {index for index in block.allocations if index is not None}
    if len(used) == len(block.attributes):
        return False
    place = {index: new for new, index in enumerate(sorted(used))}
    block.attributes = [block.attributes[index] for index in sorted(used)]
    block.allocations = [None if index is None else place[index] for index in block.allocations]
    return True
