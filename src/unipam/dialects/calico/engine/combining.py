"""What calls of one process want of a block at the same time is written in one write.

The process keeps its blocks as it last wrote or read them, so that a call needs no read. They may be old: each write is
at a revision, and a block that somebody else has written is read again. Nothing is refused before that.

Whoever comes while a block is being written waits, and the first of those who waited writes for all of them. The time
of a write begins with the write, however long its callers have waited.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.datastore.api import Item
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.engine.joint_write import JointWrite
from unipam.dialects.calico.engine.parts import Part
from unipam.dialects.calico.engine.session import Session, Stored
from unipam.model.errors import SourceFailed, UnipamError

T = TypeVar("T")

_MOST_PARTS = 64
"""How many calls share a write: etcd takes 128 comparisons and operations (--max-txn-ops)."""
_MOST_BLOCKS, _MOST_HANDLES = 512, 16_384
"""How many blocks and handles are kept: more than a node has."""


class Place:
    """A block as the process knows it, and who waits for it. `turn` guards all of it."""

    def __init__(self) -> None:
        self.turn = threading.Condition()
        self.waiting: list[Part] = []
        self.busy = False
        self.writing = 0
        self.block: Stored[Block] | None = None
        self.read = 0
        """How often the block was read: what was counted before the latest reading may have been released since."""

    def know(self, block: Stored[Block]) -> None:
        """Take a block that was read or made just now."""
        self.block = block
        self.read += 1

    def batch(self) -> list[Part]:
        """Take who waits, as far as one write goes: of one handle one only."""
        taken: dict[object, Part] = {}
        for part in self.waiting:
            taken.setdefault(part.handle or part, part)
        chosen = list(taken.values())[:_MOST_PARTS]
        self.waiting = [part for part in self.waiting if part not in chosen]
        return chosen


class Combiner:
    """The blocks and handles of one datastore that this process has at hand. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: OrderedDict[Prefix, Place] = OrderedDict()
        self._handles: OrderedDict[str, Item] = OrderedDict()
        self._derived: dict[str, tuple[tuple[Item, ...], object]] = {}
        self._alone: dict[str, tuple[threading.Lock, int]] = {}
        self.claiming = threading.Lock()
        """Held by who claims a block, so that those who come at once do not claim one each."""

    def place(self, prefix: Prefix) -> Place:
        """Return where a block is kept."""
        with self._lock:
            if prefix not in self._places:
                self._places[prefix] = Place()
                while len(self._places) > _MOST_BLOCKS:
                    self._places.popitem(last=False)
            self._places.move_to_end(prefix)
            return self._places[prefix]

    def learn(self, block: Stored[Block]) -> Place:
        """Keep a block that was just read or made, unless it is known by now."""
        place = self.place(block.value.prefix)
        with place.turn:
            if place.block is None and not place.busy:
                place.know(block)
        return place

    def peek(self, prefix: Prefix) -> tuple[Stored[Block], int] | None:
        """Return a block as it is known, if it is, and how many wait for addresses of it. Change nothing of it."""
        with self._lock:
            place = self._places.get(prefix)
        if place is None:
            return None
        with place.turn:
            waiting = place.writing + sum(part.gains for part in place.waiting)
            return None if place.block is None else (place.block, waiting)

    def is_full(self, prefix: Prefix) -> bool:
        """Return whether a block is known to have nothing free, and nothing that will be."""
        place = self._places.get(prefix)
        block = place.block if place else None
        return block is not None and not block.value.unallocated and not block.value.cooling

    def forget(self, prefix: Prefix) -> None:
        """Read a block when it is needed next."""
        place = self.place(prefix)
        with place.turn:
            place.block = None

    def doubt(self) -> None:
        """Read everything when it is needed next: it has led a call astray."""
        with self._lock:
            known = list(self._places)
            self._handles.clear()
        for prefix in known:
            self.forget(prefix)

    def derived(self, what: str, items: tuple[Item, ...], read: Callable[[tuple[Item, ...]], T]) -> T:
        """Return what was read out of these very items the last time, or read it out of them."""
        known = self._derived.get(what)
        if known is not None and known[0] is items:
            return cast("T", known[1])
        found = read(items)
        self._derived[what] = (items, found)
        return found

    def handle(self, name: str) -> Item | None:
        """Return a handle as this process wrote it last, if it is known. Change nothing of it."""
        with self._lock:
            return self._handles.get(name)

    def keep(self, name: str, item: Item | None) -> None:
        """Keep what was written of a handle; None for one that is gone, or nobody knows."""
        with self._lock:
            self._handles.pop(name, None)
            if item is not None:
                self._handles[name] = item
                while len(self._handles) > _MOST_HANDLES:
                    self._handles.popitem(last=False)

    @contextmanager
    def alone(self, handle: str | None) -> Iterator[None]:
        """Let one call of this process at a time work on a handle.

        Needed where block and handle are written in turn: else an ADD could be written between the release of a block
        and the removal of the handle.
        """
        if handle is None:
            yield
            return
        with self._lock:
            lock, users = self._alone.get(handle, (threading.Lock(), 0))
            self._alone[handle] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._alone.pop(handle)
                if users > 1:
                    self._alone[handle] = (lock, users - 1)

    # ---- writing

    def write(self, session: Session, prefix: Prefix, part: Part) -> list[int]:
        """Do what a part wants, together with whatever else is wanted of the block by now; its addresses.

        Raises what the part ends with: Refused, Unreadable, NotFound when the block is gone, SourceFailed; Unanswered
        of a release of which nobody knows whether it was made.
        """
        self.write_all(session, prefix, [part])
        if part.error:
            raise part.error
        return part.addresses

    def write_all(self, session: Session, prefix: Prefix, parts: Sequence[Part]) -> None:
        """Do what several parts want, as `write` does: how each ends it says itself."""
        place = self.place(prefix)
        with place.turn:
            place.waiting.extend(parts)
        while not all(part.done for part in parts):
            batch = self._wait(place, parts, session)
            if batch:
                self._carry_out(session, prefix, place, batch)

    def _wait(self, place: Place, parts: Sequence[Part], session: Session) -> list[Part]:
        """Wait until the parts are done, or it is their caller's turn to write: then for these."""
        with place.turn:
            while place.busy and not all(part.done for part in parts):
                queued = [part for part in parts if part in place.waiting]
                place.turn.wait(max(0.0, session.deadline - time.monotonic()) if queued else None)
                if session.late():
                    _give_up(place, parts)
            if all(part.done for part in parts):
                return []
            place.busy = True
            batch = place.batch()
            place.writing = sum(each.gains for each in batch)
            return batch

    def _carry_out(self, session: Session, prefix: Prefix, place: Place, batch: list[Part]) -> None:
        timed = session._replace(deadline=time.monotonic() + session.patience)
        try:
            JointWrite(self, timed, prefix, place).run(batch)
        except UnipamError as error:
            _fail(batch, error)
        except BaseException as error:
            _fail(batch, UnipamError(f"internal error: {type(error).__name__}: {error}"))
            raise
        finally:
            with place.turn:
                for part in batch:
                    part.done = True
                place.busy, place.writing = False, 0
                place.turn.notify_all()


def _give_up(place: Place, parts: Sequence[Part]) -> None:
    """Let those of the parts that still wait do so no longer."""
    late = [part for part in parts if part in place.waiting]
    place.waiting = [part for part in place.waiting if part not in late]
    _fail(late, SourceFailed("the datastore was too slow for all who waited", source="the queue of a block"))


def _fail(parts: Sequence[Part], error: UnipamError) -> None:
    for part in parts:
        if not part.done:
            part.error, part.done = error, True
