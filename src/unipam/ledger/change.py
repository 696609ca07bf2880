"""The changes that claims go through, each with its journal entry, and the transaction on one space they happen in.

What does not belong here: which change is right (`model.rules`), and what a caller wants (`ledger`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from unipam.model import facts, rules
from unipam.model.records import COOLING, HELD, Claim, Entry, Owner, Request, Standing
from unipam.store.api import Tx

if TYPE_CHECKING:
    from unipam.ledger.ledger import Ledger


class Inheritance(NamedTuple):
    """What a foreign system left behind: its leases, where its pools' cursors stand, and where it came from.

    `adopted` is called once all of it is safely written down here. `notes` are on its pools (`learned_note` ...).
    """

    claims: tuple[Claim, ...] = ()
    cursors: tuple[tuple[int, int], ...] = ()
    origin: str = ""
    adopted: Callable[[], None] | None = None
    notes: tuple[tuple[Callable[[int], str], str], ...] = ()


Inherit = Callable[[], Inheritance]

NOBODY = Owner("")


def nothing() -> Inheritance:
    """There is nothing to inherit."""
    return Inheritance()


class Change:
    """One transaction on one space, which is made, with what there is to inherit, when it is not there yet.

    Entered, it tells how the `owner` stands there (NOBODY, where it is nobody's matter) and what time it is.

    A class and not a generator, because it stands in the path of every call.
    """

    __slots__ = ("_adopted", "_clock", "_inherit", "_owner", "_space", "_transaction")

    def __init__(self, ledger: Ledger, space: str, inherit: Inherit, owner: Owner = NOBODY) -> None:
        self._transaction = ledger.store.transaction()
        self._clock = ledger.clock
        self._space = space
        self._owner = owner
        self._inherit = inherit
        self._adopted: Callable[[], None] | None = None

    def __enter__(self) -> tuple[Tx, Standing, float]:
        tx = self._transaction.__enter__()
        try:
            now = self._clock()  # not before: it may have taken its time to get here
            return tx, tx.standing(self._space, self._owner) or self._make(tx, now), now
        except BaseException as error:
            self._transaction.__exit__(type(error), error, None)
            raise

    def _make(self, tx: Tx, now: float) -> Standing:
        parent = tx.create_space(self._space, now)
        inheritance = self._inherit()
        adopt(tx, parent, inheritance, now)
        self._adopted = inheritance.adopted
        standing = tx.standing(self._space, self._owner)
        assert standing is not None
        return standing

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._transaction.__exit__(kind, error, trace)  # type: ignore[arg-type]
        if kind is None and self._adopted:
            self._adopted()


def adopt(tx: Tx, parent: int, inheritance: Inheritance, now: float) -> None:
    """Write down what a foreign system left behind, as if it had been handed out here."""
    for claim in inheritance.claims:
        entry = Entry(
            now, "adopt", parent, claim.first, claim.last, claim.owner, 0, "adopt", inheritance.origin, claim.details
        )
        tx.insert(claim._replace(parent=parent, generation=tx.record(entry)))
    for number, address in inheritance.cursors:
        tx.set_cursor(parent, number, address)
    for key, text in inheritance.notes:
        tx.set_note(key(parent), text)


def repeat(tx: Tx, claim: Claim, request: Request, now: float) -> Claim:
    """The owner is told again what it holds. A new generation, so that nobody undoes an earlier telling now."""
    generation = journal(tx, claim, now, "repeat", "", request.call)
    claim = claim._replace(generation=generation)
    tx.update(claim)
    return claim


def still_held(tx: Tx, claim: Claim) -> Claim | None:
    """Return a claim as it is now; None when it is not held any more, or by another since it was seen."""
    there = tx.claim_at(claim.parent, claim.first)
    return there if there and there.generation == claim.generation and there.state == HELD else None


def let_go(tx: Tx, claim: Claim, now: float, reason: str, actor: str) -> None:
    """A held claim becomes a cooling one, or none. The journal says until when it cools (`service.history`)."""
    until = None
    if claim.cooldown > 0:
        until = now + claim.cooldown
        tx.update(claim._replace(state=COOLING, since=now, until=until))
    else:
        tx.remove(claim)
    journal(tx, claim, now, "release", reason, actor, until=until)


def thaw(tx: Tx, claim: Claim, now: float, why: str = "") -> None:
    """A cooling claim goes; `why` it had to when its cooldown is not over."""
    tx.remove(claim)
    if rules.is_cool(claim, now):
        journal(tx, claim, now, "thaw", "cooldown over", "")
    else:
        left = (claim.until or now) - now
        journal(tx, claim, now, "break-glass", f"{why}; {left:.0f} s of cooldown were left", "")


def journal(  # noqa: PLR0913 (an entry's columns)
    tx: Tx, claim: Claim, now: float, verb: str, reason: str, actor: str, *, until: float | None = None
) -> int:
    """Write down what happens to a claim, with the pod it is for and `until` when it cools; the entry's number."""
    parent, first, last, _, owner = claim[:5]
    told = facts.passed_on(claim.details, until)
    return tx.record(Entry(now, verb, parent, first, last, owner, claim.generation, actor, reason, told))
