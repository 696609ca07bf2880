"""One write of a block, in which several calls have a part: tried until it is made or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.datastore.api import Delete, Update, Write
from unipam.dialects.calico.datastore.keys import HandleKey
from unipam.dialects.calico.documents.block import Block, copied
from unipam.dialects.calico.engine.counting import too_busy
from unipam.dialects.calico.engine.parts import Part
from unipam.dialects.calico.engine.releasing import without_released
from unipam.dialects.calico.engine.session import TRIES, Session, Stored, next_write
from unipam.dialects.calico.rules import releasing
from unipam.model.errors import Conflict, Exists, NotFound, Refused, Unanswered, UnipamError

if TYPE_CHECKING:
    from unipam.dialects.calico.engine.combining import Combiner, Place


class JointWrite:
    """The write of a block that is kept in a place. One thread uses it; the parts are its own meanwhile."""

    def __init__(self, combiner: Combiner, session: Session, prefix: Prefix, place: Place) -> None:
        self._combiner, self._session, self._prefix, self._place = combiner, session, prefix, place
        self._fresh = False

    def run(self, parts: Sequence[Part]) -> None:
        """Carry the parts out. Raises what ends all that are not done."""
        left = [part for part in parts if self._looked(part)]
        for _ in range(TRIES):
            if not left:
                return
            draft = self._draft()
            left = self._recounted(left)
            acting, refused = self._changed(draft.value, left)
            if refused and not self._fresh:
                self._place.block = None  # nothing is refused on the strength of what may be old
                continue
            for part, error in refused:
                part.error, part.done = error, True
            left = self._tried(draft, acting)
        if left:
            raise too_busy()

    def _tried(self, draft: Stored[Block], parts: list[Part]) -> list[Part]:
        """Write the block for these parts; who is to be tried again."""
        if not parts:
            return []
        try:
            self._commit(draft, parts)
        except Unanswered as error:
            return self._doubted(parts, error)
        except (Conflict, Exists, NotFound) as error:
            return self._overtaken(parts, error)
        for part in parts:
            part.done = True
        return []

    def _draft(self) -> Stored[Block]:
        """Return the block to work on: a copy, so that what was not written is not known. Raises NotFound."""
        block = self._place.block
        if block is None:
            block = self._session.block(self._prefix)
            self._fresh = True
            with self._place.turn:
                self._place.know(block)
        return Stored(copied(block.value), block.item)

    def _looked(self, part: Part) -> bool:
        """Let a part read what it needs; return whether it can go on."""
        try:
            part.look(self._session)
        except UnipamError as error:
            part.error, part.done = error, True
        return not part.done

    def _recounted(self, parts: list[Part]) -> list[Part]:
        """Return the parts for which somebody waits, each counted after the block was read."""
        for part in parts:
            try:
                part.require_heard()
                part.recount(self._session, self._place.read)
            except UnipamError as error:
                part.error, part.done = error, True
        return [part for part in parts if not part.done]

    def _changed(self, block: Block, parts: list[Part]) -> tuple[list[Part], list[tuple[Part, UnipamError | None]]]:
        """Make the changes in a block; who has changed something, and who was refused, with or without a reason."""
        settings = self._session.configuration()
        releasing.tidy(block, self._session.clock(), settings.cooldown)
        acting: list[Part] = []
        refused: list[tuple[Part, UnipamError | None]] = []
        for part in parts:
            try:
                if part.change(block):
                    acting.append(part)
                else:
                    refused.append((part, None))
            except Refused as error:
                refused.append((part, error))
        return acting, refused

    def _commit(self, draft: Stored[Block], parts: list[Part]) -> None:
        together = self._session.datastore.transactional
        counted = [(part, part.counted(draft.value)) for part in parts] if together else []
        block = without_released(draft)
        writes: tuple[Write, ...] = (block, *(write for _, write in counted if write))
        items = {item.key: item for item in self._session.datastore.transact(writes, self._session.deadline)}
        if isinstance(block, Delete):
            self._know(None)
        elif isinstance(block, Update):
            self._know(Stored(draft.value, items[block.key]))
        for part, write in counted:
            if part.handle is not None and write is not None:
                self._combiner.keep(part.handle, items.get(write.key))

    def _know(self, block: Stored[Block] | None) -> None:
        with self._place.turn:
            self._place.block = block

    def _overtaken(self, parts: list[Part], error: UnipamError) -> list[Part]:
        """Somebody was faster: on a handle, or on the block; who is to be tried again."""
        key = error.facts.get("key")
        if not isinstance(key, HandleKey):
            self._know(None)
            return parts
        self._combiner.keep(key.id, None)
        for part in parts:
            if part.handle == key.id and not part.again():
                part.error, part.done = error, True
        return [part for part in parts if not part.done and self._looked(part)]

    def _doubted(self, parts: list[Part], error: UnipamError) -> list[Part]:
        """Nobody knows whether a write was made: find out, and let it be so from then on; who is to be tried again.

        A write that is still under way is made to fail before any address is handed out again.
        """
        for part in parts:
            part.doubt = error
            if part.handle is not None and self._session.datastore.transactional:
                self._combiner.keep(part.handle, None)
        self._know(None)
        if any(part.gains for part in parts):
            parts = self._settled(parts)
        for part in parts:
            if not part.gains:  # whoever asked for it looks, and asks again
                part.error, part.done = error, True
        return [part for part in parts if part.gains]

    def _settled(self, parts: list[Part]) -> list[Part]:
        """Return the parts of a write that was not made, and is not made any more; none if it was."""
        session = self._session = self._session.for_cleanup()
        for _ in range(TRIES):
            try:
                block = session.block(self._prefix)
                if any(part.shows(block.value) for part in parts):
                    self._know(block)
                    for part in parts:
                        part.done = True
                    return []
                block = Stored(block.value, session.datastore.update(next_write(block), session.deadline))
            except NotFound:
                return parts
            except (Conflict, Unanswered):
                continue
            with self._place.turn:
                self._place.know(block)
            return parts
        raise too_busy()
