"""What one call wants of a block: addresses for a holder, or that a handle holds none any more.

A part is the caller's; while `combining` writes it, it belongs to the thread that does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.datastore.api import Create, Item, Write
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.configuration import Configuration
from unipam.dialects.calico.documents.handle import Handle
from unipam.dialects.calico.engine import counting
from unipam.dialects.calico.engine.counting import Count
from unipam.dialects.calico.engine.session import Session, Stored
from unipam.dialects.calico.rules import releasing
from unipam.dialects.calico.rules.blocks import Holder, held
from unipam.model.errors import NotFound, UnipamError

Choose = Callable[[Block], list[int]]
"""Hands addresses of a block out, in the block; which they are."""


class Part(Protocol):
    """What a call wants of a block, and what came of it."""

    handle: str | None
    addresses: list[int]
    """What was handed out, or given back."""
    error: UnipamError | None
    done: bool
    doubt: UnipamError | None
    """What was said of a write whose answer did not come, where it came to that."""
    gains: bool

    def require_heard(self) -> None:
        """Raise Superseded if nobody waits for the answer; to be asked between reading a block and writing it."""

    def change(self, block: Block) -> bool:
        """Make the change in a block; return whether it is to be written. Raises Refused."""

    def look(self, session: Session) -> None:
        """Read what `counted` needs, if anything. Raises SourceFailed, Unreadable."""

    def counted(self, block: Block) -> Write | None:
        """Return the write of the handle that goes with the change of a block."""

    def again(self) -> bool:
        """Return whether the part can be tried again when its handle was not as it was known."""

    def shows(self, block: Block) -> bool:
        """Return whether a block shows that the change was written."""

    def recount(self, session: Session, read: int) -> None:
        """Count anew in a datastore that writes in turn, if the block has been read since the part was counted."""


class _Part:
    """What both kinds have in common. The session is the caller's, who may not be the one that writes."""

    def __init__(self, session: Session, handle: str | None) -> None:
        self._session, self.handle = session, handle
        self.addresses: list[int] = []
        self.error: UnipamError | None = None
        self.doubt: UnipamError | None = None
        self.done = False

    def require_heard(self) -> None:
        """See `Part.require_heard`."""
        self._session.require_heard()


class Gain(_Part):
    """Addresses for a holder.

    `known` is what this process knows of the holder's handle: None for one that is new, as most are.
    """

    gains = True

    def __init__(self, session: Session, prefix: Prefix, holder: Holder, choose: Choose, known: Item | None) -> None:
        super().__init__(session, holder.handle)
        self._cidr, self._holder, self._choose = str(prefix), holder, choose
        self._known, self._stored = known is not None, _handle(known)
        self._number = 0
        self._count: Count | None = None
        self._read = 0

    def change(self, block: Block) -> bool:
        """See `Part.change`."""
        self._number = block.sequence
        self.addresses = self._choose(block)
        return bool(self.addresses)

    @property
    def given(self) -> dict[int, int]:
        """What was handed out, or may have been, each address with the sequence number of this allocation."""
        return dict.fromkeys(self.addresses, self._number)

    def look(self, session: Session) -> None:
        """See `Part.look`."""
        if self.handle is not None and self._known and self._stored is None:
            try:
                self._stored = session.handle(self.handle)
            except NotFound:
                self._known = False

    def counted(self, block: Block) -> Write | None:
        """See `Part.counted`."""
        if self.handle is None:
            return None
        number = len(self.addresses)
        if self._stored is None:
            return Create(HandleKey(self.handle), Handle({block.cidr: number}).document())
        found = self._stored.value
        raised = Handle(dict(found.blocks), found.deleted, found.rest)
        raised.add(block.cidr, number)
        return counting.settled(Stored(raised, self._stored.item))

    def again(self) -> bool:
        """See `Part.again`: next time the handle is read."""
        self._known, self._stored = True, None
        return True

    def shows(self, block: Block) -> bool:
        """See `Part.shows`."""
        own = self._holder.attribute
        return any(
            given == self._number and block.attribute(ordinal) == own for ordinal, given in block.sequences.items()
        )

    # ---- where block and handle are written in turn, the handle counts before the block is written

    def count(self, session: Session, number: int, read: int) -> None:
        """Count what is asked for, before the block is written; `read` says which reading of the block that was after.

        Raises what `counting.add` raises.
        """
        if self.handle is not None:
            count = Count(self.handle, self._cidr, number)
            counting.add(session, count, self._stored)
            self._count, self._read = count, read

    def recount(self, session: Session, read: int) -> None:
        """See `Part.recount`: whoever wrote the block may have released the handle, and be about to remove it."""
        if self._count is not None and self._read != read:
            count, self._count = self._count, None
            counting.subtract(session.for_cleanup(), count)  # nobody does it later
            counting.add(session, count)
            self._count, self._read = count, read

    def settle(self, session: Session) -> None:
        """Count no more than there is, once all is over; where nobody knows what there is, too much may be counted."""
        if self._count is None or (self.error and self.doubt):
            return
        surplus = self._count.number - (0 if self.error else len(self.addresses))
        if surplus:
            counting.subtract(session.for_cleanup(), self._count._replace(number=surplus))
        self._count = None


class Loss(_Part):
    """All that a handle holds in a block is given back.

    `counted` is what becomes of the handle where both are written at once, None where it is written afterwards.
    """

    gains = False

    def __init__(self, session: Session, settings: Configuration, handle: str, counted: Write | None) -> None:
        super().__init__(session, handle)
        self._settings, self._counted = settings, counted

    def change(self, block: Block) -> bool:
        """See `Part.change`. What holds nothing is written, too: whoever has counted and is about to write, fails."""
        assert self.handle is not None
        self.addresses = [block.address(ordinal) for ordinal in held(block, self.handle)]
        releasing.release_handle(block, self.handle, self._session.clock(), self._settings.cooldown)
        return True

    def look(self, session: Session) -> None:
        """See `Part.look`."""

    def counted(self, block: Block) -> Write | None:  # noqa: ARG002 (a handle that gains counts in it)
        """See `Part.counted`."""
        return self._counted

    def again(self) -> bool:
        """See `Part.again`: what the handle counts is its caller's to find out."""
        return False

    def shows(self, block: Block) -> bool:  # noqa: ARG002
        """See `Part.shows`: nobody can tell who has released what is not there."""
        return False

    def recount(self, session: Session, read: int) -> None:
        """See `Part.recount`: its handle was read before, and is removed after."""


def _handle(known: Item | None) -> Stored[Handle] | None:
    from unipam.dialects.calico.documents import handle

    return None if known is None else Stored(handle.read(known.document, str(known.key)), known)
