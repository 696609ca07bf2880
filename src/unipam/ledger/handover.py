"""Giving a space back to the system it came from, so that at no moment both hand out its addresses.

It takes three steps, because the other system's program is put in place between them: `begin` marks the space (from
then on nobody is served) and writes the other system's record; once the other is in place, `end` forgets what the space
held. Until `end`, `undo` takes everything back. A death in between leaves the mark, and all of it may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from unipam.ledger import given_back
from unipam.ledger.change import Inheritance, adopt, end_cooldown, journal, let_go
from unipam.ledger.given_back import Mark
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Missing
from unipam.model.records import HELD, Claim
from unipam.store.api import Tx

UnknownLeases = Callable[[Iterable[Claim]], list[Claim]]
"""Those of some leases which the ledger never had."""

_ACTOR = "cli"


class Record(Protocol):
    """The other system's own record of who holds what."""

    def compare(self, unknown: UnknownLeases) -> None:
        """Raise Refused when it has leases that are strange to the ledger: writing it anew would lose them."""

    def put(self, held: Sequence[Claim], cursors: dict[int, int], unknown: UnknownLeases) -> None:
        """Make it say what the ledger says, after the same comparison. Raises; then it is as it was."""

    def take_back(self) -> Inheritance | None:
        """Undo `put`. What the other system has written since is left as it is: then this is what it says now."""


class Holding(NamedTuple):
    """What a space holds; with its mark, when it has begun to go back."""

    parent: int
    held: list[Claim]
    cursors: dict[int, int]
    mark: Mark | None = None


class Handover:
    """One space on its way back to its `record`; `again` is the command that would take it over, but for its name."""

    def __init__(self, ledger: Ledger, space: str, record: Record, again: str) -> None:
        self.ledger = ledger
        self.space = space
        self.record = record
        self._again = again

    def preview(self) -> Holding:
        """Return what `begin` would write. Raises what that raises."""
        with self.ledger.store.reading() as tx:
            found = self._holding(tx)
            if found.mark is None:
                self.record.compare(lambda theirs: unknown_leases(tx, found.parent, theirs))
        return found

    def begin(self) -> Holding:
        """Write the record and mark the space; what it holds. Nobody else can write meanwhile.

        What was begun before, by one who died, stays as it is. Raises Missing when there is no such space, what the
        record raises, and the store's errors; then all is as it was.
        """
        written = False
        try:
            with self.ledger.store.transaction() as tx:
                found = self._holding(tx)
                if found.mark is not None:
                    return found
                self.record.put(found.held, found.cursors, lambda theirs: unknown_leases(tx, found.parent, theirs))
                written = True
                tx.hide_space(found.parent)
                given_back.leave(tx, self.space, Mark(found.parent, self._again))
        except BaseException:
            if written:  # it was not committed, so nobody but us has seen it
                self.record.take_back()
            raise
        return found

    def _holding(self, tx: Tx) -> Holding:
        parent, mark = tx.space(self.space), given_back.find(tx, self.space)
        if parent is None and mark is not None and mark.parent:
            return Holding(mark.parent, _held(tx, mark.parent), tx.cursors(mark.parent), mark)
        if parent is None:
            why = f"{self.space} was given back already" if mark else f"there is no network named {self.space}"
            raise Missing(f"{why}: nothing to give back", network=self.space)
        return Holding(parent, _held(tx, parent), tx.cursors(parent))

    def undo(self) -> None:
        """Serve the space again, with what the other system did to it meanwhile. It must not be at work any more."""
        with self.ledger.store.transaction() as tx:
            mark = given_back.find(tx, self.space)
            assert mark is not None
            theirs = self.record.take_back()
            tx.show_space(mark.parent)
            given_back.lift(tx, self.space)
            if theirs is not None:
                _follow(tx, mark.parent, theirs, self.ledger.clock())
        if theirs is not None and theirs.adopted:
            theirs.adopted()

    def end(self) -> None:
        """Forget what the space held; the mark stays."""
        with self.ledger.store.transaction() as tx:
            found, now = self._holding(tx), self.ledger.clock()
            for claim in found.held:
                journal(tx, claim, now, "give-back", "rolled back to the system it came from", _ACTOR)
            tx.drop_space(found.parent)
            given_back.leave(tx, self.space, Mark(0, self._again))


def _held(tx: Tx, parent: int) -> list[Claim]:
    return [claim for claim in tx.claims(parent) if claim.state == HELD]


def close(ledger: Ledger, again: str) -> None:
    """Let the ledger take over no space that it does not have, until somebody names one."""
    with ledger.store.transaction() as tx:
        given_back.leave(tx, given_back.EVERY, Mark(0, again))


def reopen(ledger: Ledger) -> None:
    """Undo `close`."""
    with ledger.store.transaction() as tx:
        given_back.lift(tx, given_back.EVERY)


def begun(ledger: Ledger) -> list[str]:
    """Return the spaces that have begun to go back and whose end is wanting, by name."""
    with ledger.store.reading() as tx:
        return given_back.pending(tx)


def spaces(ledger: Ledger) -> list[str]:
    """Return the spaces that can go back, those among them that have begun to and whose end is wanting."""
    with ledger.store.reading() as tx:
        return sorted({name for _, name in tx.spaces()} | set(given_back.pending(tx)))


def unknown_leases(tx: Tx, parent: int, found: Iterable[Claim]) -> list[Claim]:
    """Return those of the leases that the other system's record has which nobody here ever had.

    A lease that was let go here may still stand in the record, which was left alone. The journal knows it; where that
    has forgotten its beginning, the lease is at least not younger than the space.
    """
    root = tx.claim(parent)
    held = {(c.first, c.owner) for c in _held(tx, parent)}
    unknown = {(c.first, c.owner): c for c in found if (c.first, c.owner) not in held}
    if not unknown or root is None:
        return []
    oldest = 0
    for entry in tx.entries(float("inf")):
        oldest = oldest or entry.id
        unknown.pop((entry.first, entry.owner), None)
    return [claim for claim in unknown.values() if oldest <= 1 or claim.since > root.since]


def _follow(tx: Tx, parent: int, theirs: Inheritance, now: float) -> None:
    """Let go of what the other system has released, and take over what it has handed out."""
    owners = {claim.first: claim.owner for claim in theirs.claims}
    for claim in [c for c in _held(tx, parent) if owners.get(c.first) != c.owner]:
        let_go(tx, claim._replace(cooldown=0), now, "released while it was given back", _ACTOR)
    for there in [c for c in tx.claims(parent) if c.state != HELD and c.first in owners]:
        end_cooldown(tx, there, now, "handed out while it was given back")
    kept = {claim.first for claim in tx.claims(parent)}
    fresh = tuple(claim for claim in theirs.claims if claim.first not in kept)
    adopt(tx, parent, theirs._replace(claims=fresh, notes=()), now)
