"""One ledger's use cases: allocate, release, check, collect. Each is one transaction.

The rules decide, the store writes; here the two meet, and every change is journalled where it is made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Concatenate, NamedTuple, ParamSpec, TypeVar

from unipam.addr.prefix import Range, format_address
from unipam.ledger import given_back
from unipam.ledger.change import Change, Inherit, Inheritance, journal, let_go, nothing, repeat, still_held, thaw
from unipam.model import rules
from unipam.model.errors import Exhausted, Mismatch, Missing, Stale, StoreFull
from unipam.model.pool_notes import pools_note
from unipam.model.records import HELD, LEASE, Claim, Entry, Owner, Pool, PoolRange, Request, Standing
from unipam.store.api import Store, Tx
from unipam.store.reserve import where_full

P = ParamSpec("P")
T = TypeVar("T")

THAW_BATCH = 64
"""How many ended cooldowns one allocation clears away at the most, so that none pays for all."""


class Allocation(NamedTuple):
    """What an owner holds after its request, one claim a pool; `new` says whether this request made it so."""

    claims: tuple[Claim, ...]
    new: bool = True


Plan = Callable[[Tx, int], Request]
"""What an owner's request becomes, for a dialect that must look at the space first to say so."""


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
    """What exactly this owner holds; failing that, what is held in the name of the holder alone.

    Such records stem from host-local before 0.8.0, and stand for any interface (spec cni-and-host-local §2.5).
    """
    held = [c for c in claims if c.state == HELD]
    return [c for c in held if c.owner.interface == owner.interface] or [c for c in held if not c.owner.interface]


def freeing(method: Callable[Concatenate[Ledger, P], T]) -> Callable[Concatenate[Ledger, P], T]:
    """Let a use case that frees something use the room that its store keeps for a full disk."""

    @functools.wraps(method)
    def freed(ledger: Ledger, /, *args: P.args, **given: P.kwargs) -> T:
        try:
            return method(ledger, *args, **given)
        except StoreFull:
            return where_full(lambda: method(ledger, *args, **given), ledger.store.make_room)

    return freed


class Ledger:
    """The use cases over one store. `clock` gives seconds since the epoch; `boot` numbers this boot of the machine."""

    def __init__(self, store: Store, clock: Callable[[], float], boot: int = 0) -> None:
        self.store = store
        self.clock = clock
        self.boot = boot
        self._pools: dict[int, str] = {}

    def allocate(
        self,
        space: str,
        request: Request,
        *,
        plan: Plan | None = None,
        choose: rules.Choose | None = None,
        inherit: Inherit = nothing,
        pools: str = "",
    ) -> Allocation:
        """One address of each pool for the owner, all or none. `pools` describes them, for `pool show`.

        Raises what `rules.decide` raises, and the store's errors; then nothing has changed.
        """
        with Change(self, space, inherit, request.owner) as (tx, standing, now):
            parent = standing.space
            for claim in tx.expired(parent, now, rules.CLOCK_SLACK, THAW_BATCH) if standing.cooling else ():
                thaw(tx, claim, now)
            request = plan(tx, parent) if plan else request
            decision = rules.decide(View(tx, parent, standing), request, choose)
            if decision.held:
                # The same call asks again because it heard nothing; another one's predecessor may have heard.
                own = all(claim.call == request.call != "" for claim in decision.held)
                if own and not request.last:  # asked long ago, of one who slept: the caller has its answer from another
                    return Allocation(decision.held, new=False)
                return Allocation(tuple(repeat(tx, claim, request, now) for claim in decision.held), new=own)
            if pools and self._pools.get(parent) != pools and tx.note(pools_note(parent)) != pools:
                tx.set_note(pools_note(parent), pools)
            allocation = Allocation(tuple([self._grant(tx, parent, request, grant, now) for grant in decision.grants]))
        self._pools[parent] = pools
        return allocation

    def _grant(self, tx: Tx, parent: int, request: Request, grant: rules.Grant, now: float) -> Claim:
        if grant.broken is not None:
            why = "its last owner asked for it" if grant.broken.owner == request.owner else "no other address was free"
            thaw(tx, grant.broken, now, why)
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

    @freeing
    def release(  # noqa: PLR0913 (keywords, each a matter of its own)
        self,
        space: str,
        owner: Owner,
        reason: str,
        *,
        asked: float = 0.0,
        actor: str = "",
        inherit: Inherit = nothing,
        within: Sequence[Range] = (),
    ) -> list[Claim]:
        """Let go of everything the owner holds in the space (`within` these ranges); what that was, if anything.

        When nothing is held, `asked` (CLOCK_BOOTTIME seconds) is remembered: an ADD of this owner that was asked
        before then and is still waiting somewhere must not be served any more.
        """
        with Change(self, space, inherit, owner) as (tx, standing, now):
            held = [c for c in View(tx, standing.space, standing).claims_of(owner) if rules.lies(c, within)]
            for claim in held:
                let_go(tx, claim, now, reason, actor)
            if asked and not held:
                tx.set_fence(standing.space, owner, asked)
        return held

    def adopt(self, space: str, inherit: Inherit) -> bool:
        """First contact with a space, if it is the first: take over what `inherit` finds. Whether it was.

        This is how a space that was given back is taken over again.
        """
        first = False

        def inherit_first() -> Inheritance:
            nonlocal first
            first = True
            return inherit()

        with Change(self, space, inherit_first, again=True):
            return first

    @freeing
    def undo(self, allocation: Allocation, reason: str) -> None:
        """Take back an allocation that nobody was told of; one that has been handed out again meanwhile stays."""
        if not allocation.new:
            return
        with self.store.transaction() as tx:
            now = self.clock()
            for claim in allocation.claims:
                there = still_held(tx, claim)
                if there is not None:
                    tx.remove(there)
                    journal(tx, there, now, "undo", reason, "")

    @freeing
    def release_claim(self, claim: Claim, reason: str, actor: str = "", *, force: bool = False) -> None:
        """Let go of one claim as the caller saw it. Raises Stale when it changed hands meanwhile."""
        with self.store.transaction() as tx:
            now = self.clock()
            there = still_held(tx, claim)
            if there is None:
                raise Stale(
                    f"{claim.text} is no longer held as it was seen (generation {claim.generation})",
                    address=claim.text,
                    generation=claim.generation,
                )
            let_go(tx, there._replace(cooldown=0) if force else there, now, reason, actor)

    def check(self, space: str, owner: Owner, addresses: Iterable[int] | None, *, inherit: Inherit = nothing) -> None:
        """Whether the owner holds all these addresses; None: anything at all. Raises Missing or Mismatch."""
        with Change(self, space, inherit, owner) as (tx, standing, _):
            held = View(tx, standing.space, standing).claims_of(owner)
        here = [c.first for c in held]
        if not here:
            raise missing(owner)
        for address in addresses or ():
            if address not in here:
                text = format_address(address)
                raise Mismatch(
                    f"container {owner.holder} does not hold {text}, it holds {', '.join(map(format_address, here))}",
                    holder=str(owner),
                    address=text,
                )

    @freeing
    def collect(
        self,
        space: str,
        valid: set[Owner],
        reason: str,
        *,
        inherit: Inherit = nothing,
        among: Callable[[Claim], bool] = lambda _: True,
    ) -> list[Claim]:
        """Let go of every lease in the space (of those `among` which to look) whose owner is not valid; what went."""
        holders = {owner.holder for owner in valid}
        with Change(self, space, inherit) as (tx, standing, now):
            gone = [
                c
                for c in tx.claims(standing.space)
                if c.state == HELD
                and c.owner not in valid
                and not (c.owner.interface == "" and c.owner.holder in holders)
                and among(c)
            ]
            for claim in gone:
                let_go(tx, claim, now, reason, "gc")
        return gone

    def probe(self, space: str) -> None:
        """Whether anything could be written in the space. Raises GivenBack and the store's errors."""
        with self.store.transaction() as tx:
            if tx.space(space) is None:
                given_back.refuse(tx, space)

    def check_room(self, space: str, pools: Iterable[Pool]) -> None:
        """Whether every pool could serve one more. Raises Exhausted."""
        with self.store.reading() as tx:
            parent = tx.space(space)
            if parent is None:
                return
            view = View(tx, parent)
            for pool in pools:
                if not any(_has_room(view, span) for span in pool.ranges):
                    raise Exhausted(f"no IP addresses available in range set: {pool}", ranges=str(pool))

    @freeing
    def thaw(self) -> int:
        """Clear away cooldowns that have ended, up to a thousand a space; how many."""
        with self.store.transaction() as tx:
            now = self.clock()
            ended = [c for n, _ in tx.spaces() for c in tx.expired(n, now, rules.CLOCK_SLACK, 1000)]
            for claim in ended:
                thaw(tx, claim, now)
        return len(ended)

    @freeing
    def forget(self, journal_before: float, fences_before: float) -> int:
        """Drop journal entries (epoch seconds) and fences (CLOCK_BOOTTIME seconds) older than given."""
        with self.store.transaction() as tx:
            tx.drop_fences(fences_before)
            return tx.forget(journal_before)


def _has_room(view: rules.View, span: PoolRange) -> bool:
    return rules.free_in(view, span, span.first, span.last) is not None or bool(rules.cooling_in(view, span))


def missing(owner: Owner) -> Missing:
    """The error of one who holds nothing."""
    return Missing(f"Failed to find address added by container {owner.holder}", holder=str(owner))


def learned_note(parent: int) -> str:
    """The key under which stands what a space has learned of its pools from outside."""
    return f"learned/{parent}"
