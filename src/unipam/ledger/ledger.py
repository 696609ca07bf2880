"""One ledger's use cases: allocate, release, check, collect. Each is one transaction.

The rules decide, the store writes; here the two meet, and every change is journalled where it is made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from unipam.addr.prefix import Range, format_address
from unipam.ledger import given_back
from unipam.ledger.change import (
    Allocation,
    Change,
    Inherit,
    Inheritance,
    View,
    end_cooldown,
    journal,
    let_go,
    nothing,
    serve,
    still_held,
)
from unipam.model import rules
from unipam.model.errors import Exhausted, Mismatch, Missing, Stale, StoreFull
from unipam.model.pool_notes import pools_note
from unipam.model.records import HELD, Claim, Owner, Pool, PoolRange, Request
from unipam.store.api import Store
from unipam.store.reserve import where_full

P = ParamSpec("P")
T = TypeVar("T")


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
        inherit: Inherit = nothing,
        pools: str = "",
    ) -> Allocation:
        """Hand out one address of each pool to the owner, all or none. `pools` describes them, for `pool show`.

        Raises what `rules.decide` raises, and the store's errors; then nothing has changed.
        """
        with Change(self, space, inherit, request.owner) as (tx, standing, now):
            parent = standing.space
            allocation = serve(tx, standing, request, now)
            described = not allocation.granted or not pools or self._pools.get(parent) == pools
            if not described and tx.note(pools_note(parent)) != pools:
                tx.set_note(pools_note(parent), pools)
        if not described:
            self._pools[parent] = pools
        return allocation

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
            held = [c for c in View(tx, standing.space, standing).claims_of(owner) if rules.is_within(c, within)]
            for claim in held:
                let_go(tx, claim, now, reason, actor)
            if asked and not held:
                tx.set_fence(standing.space, owner, asked)
        return held

    def adopt(self, space: str, inherit: Inherit) -> bool:
        """Take over what `inherit` finds, if this is the first contact with a space; return whether it was.

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
        """Check that the owner holds all these addresses; None: anything at all. Raises Missing or Mismatch."""
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
        """Check that anything could be written in the space. Raises GivenBack and the store's errors."""
        with self.store.transaction() as tx:
            if tx.space(space) is None:
                given_back.refuse(tx, space)

    def check_room(self, space: str, pools: Iterable[Pool]) -> None:
        """Check that every pool could serve one more. Raises Exhausted."""
        with self.store.reading() as tx:
            parent = tx.space(space)
            if parent is None:
                return
            view = View(tx, parent)
            for pool in pools:
                if not any(_has_room(view, span) for span in pool.ranges):
                    raise Exhausted(f"no IP addresses available in range set: {pool}", ranges=str(pool))

    @freeing
    def end_cooldowns(self) -> int:
        """Clear away cooldowns that have ended, up to a thousand a space; return how many."""
        with self.store.transaction() as tx:
            now = self.clock()
            ended = [c for n, _ in tx.spaces() for c in tx.expired(n, now, rules.CLOCK_SLACK, 1000)]
            for claim in ended:
                end_cooldown(tx, claim, now)
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
    """Return the error of one who holds nothing."""
    return Missing(f"Failed to find address added by container {owner.holder}", holder=str(owner))


def learned_note(parent: int) -> str:
    """Return the key under which stands what a space has learned of its pools from outside."""
    return f"learned/{parent}"
