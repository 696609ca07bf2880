"""The changes that claims go through, each with its journal entry, and the transaction on one space they happen in.

What does not belong here: which change is right (`model.rules`), and what a caller wants (`ledger`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from unipam.ledger import given_back
from unipam.model import facts, rules
from unipam.model.records import COOLING, HELD, LEASE, Claim, Entry, Owner, Request, Standing
from unipam.store.api import Store, Tx


class Stored(Protocol):
    """What a change needs of a ledger: its store, and a clock that gives seconds since the epoch."""

    store: Store
    clock: Callable[[], float]


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

THAW_BATCH = 64
"""How many ended cooldowns one allocation clears away at the most, so that none pays for all."""


def nothing() -> Inheritance:
    """Inherit nothing."""
    return Inheritance()


class Change:
    """One transaction on one space, which is made, with what there is to inherit, when it is not there yet.

    Entered, it tells how the `owner` stands there (NOBODY, where it is nobody's matter) and what time it is. A space
    that was given back is not made, unless it is to be taken over `again`: entering raises GivenBack.

    A class and not a generator, because it stands in the path of every call.
    """

    __slots__ = ("_admit", "_adopted", "_clock", "_inherit", "_owner", "_space", "_transaction")

    def __init__(
        self, ledger: Stored, space: str, inherit: Inherit, owner: Owner = NOBODY, *, again: bool = False
    ) -> None:
        self._transaction = ledger.store.transaction()
        self._clock = ledger.clock
        self._space = space
        self._owner = owner
        self._inherit = inherit
        self._admit = given_back.lift if again else given_back.refuse
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
        self._admit(tx, self._space)
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


class View:
    """The claims under one parent, as the rules ask for them.

    Where it is known how an owner stands there, only that owner may be asked for, and what it lacks is not looked up.
    """

    def __init__(self, tx: Tx, parent: int, standing: Standing | None = None) -> None:
        self._tx = tx
        self._parent = parent
        self._standing = standing

    def claims_of(self, owner: Owner) -> Sequence[Claim]:
        if self._standing is not None and not self._standing.holding:
            return ()
        return _held(self._tx.claims_of(self._parent, owner.holder), owner)

    def claim_at(self, first: int) -> Claim | None:
        return self._tx.claim_at(self._parent, first)

    def gap(self, first: int, last: int) -> int | None:
        return self._tx.gap(self._parent, first, last)

    def cursor(self, number: int) -> int | None:
        return self._tx.cursor(self._parent, number)

    def fence(self, owner: Owner) -> float:
        return self._tx.fence(self._parent, owner) if self._standing is None else self._standing.fence

    def cooling(self, first: int, last: int) -> Claim | None:
        return self._tx.cooling(self._parent, first, last)


def _held(claims: Sequence[Claim], owner: Owner) -> list[Claim]:
    """Return what exactly this owner holds; failing that, what is held in the name of the holder alone.

    Such records stem from host-local before 0.8.0, and stand for any interface (spec cni-and-host-local §2.5).
    """
    held = [c for c in claims if c.state == HELD]
    return [c for c in held if c.owner.interface == owner.interface] or [c for c in held if not c.owner.interface]


class Allocation(NamedTuple):
    """What an owner holds after its request, one claim a pool.

    `new` says whether this request made it so, `granted` whether it did so just now and not when it came before.
    """

    claims: tuple[Claim, ...]
    new: bool = True
    granted: bool = True


def serve(tx: Tx, standing: Standing, request: Request, now: float, choose: rules.Choose | None = None) -> Allocation:
    """Carry a request out in a transaction: one address of each pool, or what the owner holds already.

    Pools are chosen from by `choose`, in turn unless given. Raises what `rules.decide` raises; then the transaction
    must be given up.
    """
    parent = standing.space
    for claim in tx.expired(parent, now, rules.CLOCK_SLACK, THAW_BATCH) if standing.cooling else ():
        end_cooldown(tx, claim, now)
    decision = rules.decide(View(tx, parent, standing), request, choose)
    if not decision.held:
        return Allocation(tuple([_grant(tx, parent, request, grant, now) for grant in decision.grants]))
    # The same call asks again because it heard nothing; another one's predecessor may have heard.
    own = all(claim.call == request.call != "" for claim in decision.held)
    if own and not request.last:  # asked long ago, of one who slept: the caller has its answer from another
        return Allocation(decision.held, new=False, granted=False)
    return Allocation(tuple(repeat(tx, claim, request, now) for claim in decision.held), new=own, granted=False)


def _grant(tx: Tx, parent: int, request: Request, grant: rules.Grant, now: float) -> Claim:
    if grant.broken is not None:
        why = "its last owner asked for it" if grant.broken.owner == request.owner else "no other address was free"
        end_cooldown(tx, grant.broken, now, why)
    address, owner = grant.address, request.owner
    generation = tx.record(
        Entry(now, "allocate", parent, address, address, owner, 0, request.call, "", request.details)
    )
    claim = Claim(
        parent, address, address, LEASE, owner, HELD, now, None, generation, request.boot, request.cooldown,
        request.call, request.details,
    )  # fmt: skip
    number = tx.insert(claim)
    if grant.pool.cursor >= 0:
        tx.set_cursor(parent, grant.pool.cursor, address)
    return claim._replace(id=number)


def repeat(tx: Tx, claim: Claim, request: Request, now: float) -> Claim:
    """Tell the owner again what it holds, by a new generation: nobody can undo an earlier telling now."""
    generation = journal(tx, claim, now, "repeat", "", request.call)
    claim = claim._replace(generation=generation)
    tx.update(claim)
    return claim


def still_held(tx: Tx, claim: Claim) -> Claim | None:
    """Return a claim as it is now; None when it is not held any more, or by another since it was seen."""
    there = tx.claim_at(claim.parent, claim.first)
    return there if there and there.generation == claim.generation and there.state == HELD else None


def let_go(tx: Tx, claim: Claim, now: float, reason: str, actor: str) -> None:
    """Release a held claim: it cools, or goes. The journal says until when it cools (`ledger.history`)."""
    until = None
    if claim.cooldown > 0:
        until = now + claim.cooldown
        tx.update(claim._replace(state=COOLING, since=now, until=until))
    else:
        tx.remove(claim)
    journal(tx, claim, now, "release", reason, actor, until=until)


def end_cooldown(tx: Tx, claim: Claim, now: float, why: str = "") -> None:
    """Remove a cooling claim; `why` it had to go when its cooldown is not over."""
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
    told = facts.passed_on(claim.details, until)
    place = claim.parent, claim.first, claim.last
    return tx.record(Entry(now, verb, *place, claim.owner, claim.generation, actor, reason, told))
