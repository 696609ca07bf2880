"""What containers of a node hold that are no longer there is given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.engine.releasing import from_block
from unipam.dialects.calico.engine.session import Session
from unipam.dialects.calico.rules.blocks import handle_of
from unipam.dialects.calico.rules.releasing import Wish

Gone = Callable[[str], bool]
"""Whether whoever has this handle is gone."""


def collect(session: Session, node: str, gone: Gone) -> list[int]:
    """Release what gone holders have of a node, wherever it lies; the addresses.

    Each is released with its handle and sequence number, so that nothing goes that has been handed out anew.
    """
    settings = session.configuration()
    released = []
    for prefix, wishes in _found(session, node, gone):
        unheld = set(from_block(session, settings, prefix, wishes))
        released += [wish.address for wish in wishes if wish.address not in unheld]
    return released


def _found(session: Session, node: str, gone: Gone) -> Iterator[tuple[Prefix, list[Wish]]]:
    for prefix, stored in session.blocks().items():
        wishes = list(_wishes(stored.value, node, gone)) if stored else []
        if wishes:
            yield prefix, wishes


def _wishes(block: Block, node: str, gone: Gone) -> Iterator[Wish]:
    for ordinal in range(len(block.allocations)):
        attribute = block.attribute(ordinal)
        if attribute is None or (attribute.get("secondary") or {}).get("node") != node:
            continue
        if gone(handle_of(attribute)):
            yield Wish(block.address(ordinal), handle_of(attribute), block.sequences.get(ordinal, 0))
