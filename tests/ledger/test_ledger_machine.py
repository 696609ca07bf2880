"""Any life of a ledger, over every store, with every fault, against a dict (design §8)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.ledger.faults import Died, Fault, FaultyStore
from tests.ledger.model import Lease, Model
from tests.store.backends import BACKENDS

from unipam.addr.prefix import parse_address
from unipam.ledger.change import Allocation, Inheritance
from unipam.ledger.history import Replay
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Exhausted, Refused, Stale, StoreBusy
from unipam.model.records import LEASE, Claim, Entry, Owner, Pool, PoolRange, Request

T = TypeVar("T")

BUSY = Fault("busy")
LOST, UNHEARD = "lost", "unheard"
"""What a fault makes of an operation: it never happened; it happened, and nobody was told."""

OWNERS = [Owner(holder, interface) for holder in ("a", "b", "c", "old") for interface in ("eth0", "eth1")]


def at(text: str) -> int:
    return parse_address(text)


def span(first: str, last: str, gateway: str | None = None) -> PoolRange:
    return PoolRange(at(first), at(last), 120, at(gateway) if gateway else None)


POOLS = (
    Pool(0, (span("10.0.0.1", "10.0.0.5", "10.0.0.1"),)),
    Pool(1, (span("10.0.1.7", "10.0.1.8"), span("10.0.0.250", "10.0.0.251", "10.0.0.251"))),
    Pool(2, (span("2001:db8::1", "2001:db8::3"),)),
)
PLACES = [a for pool in POOLS for r in pool.ranges for a in range(r.first, r.last + 1)]
INHERITED = Inheritance(
    (
        Claim(0, at("10.0.0.3"), at("10.0.0.3"), LEASE, Owner("old")),
        Claim(0, at("2001:db8::2"), at("2001:db8::2"), LEASE, Owner("a", "eth0")),
        Claim(0, at("10.0.0.1"), at("10.0.0.1"), LEASE, Owner("b", "eth0"), cooldown=120),  # a gateway since
    ),
    ((0, at("10.0.0.4")),),
    "elsewhere",
)

LIVES = {"memory": 150, "sqlite": 100}
"""How many lives of each kind of store; ten where a store is slow to make."""

owners = st.sampled_from(OWNERS)
faults = st.one_of(
    st.none(), st.none(), st.none(),
    st.sampled_from((BUSY, Fault("commit"), Fault("answer"))),
    st.builds(Fault, st.just("write"), st.integers(0, 8)),
)  # fmt: skip
pool_lists = st.lists(st.sampled_from(POOLS), min_size=1, max_size=3, unique=True)
no_wish: st.SearchStrategy[list[int]] = st.just([])
wish_lists = no_wish | no_wish | no_wish | st.lists(st.sampled_from([*PLACES, at("10.9.9.9")]), max_size=2, unique=True)


class LedgerMachine(RuleBasedStateMachine):
    """The ledger and the dict live the same life; `made` is the store's kind."""

    made = staticmethod(BACKENDS["memory"])

    @initialize(first_contact=st.booleans())
    def begin(self, first_contact: bool) -> None:
        self.directory = tempfile.TemporaryDirectory()
        try:
            self.backend = self.made(Path(self.directory.name))
        except BaseException:  # there is no PostgreSQL here: the test leaves itself out
            self.directory.cleanup()
            raise
        self.other = self.backend.open()
        self.now, self.uptime, self.calls, self.risen = 1e6, 100.0, 0, 0
        self.model = Model()
        self.seen: list[Claim] = []
        self.allocations: list[Allocation] = []
        self.requests: list[Request] = []
        self.reopen()
        if first_contact:
            self.adopt()

    def teardown(self) -> None:
        if hasattr(self, "backend"):
            self.backend.close()
            self.directory.cleanup()

    def reopen(self) -> None:
        """A new process on what the last one left."""
        self.store = FaultyStore(self.backend.open(), self.backend.durable)
        self.ledger = Ledger(self.store, lambda: self.now)  # type: ignore[arg-type]

    def adopt(self) -> None:
        assert self.ledger.adopt("net", lambda: INHERITED)
        with self.store.inner.reading() as tx:
            for claim in tx.claims(tx.space("net") or 0):
                self.model.leases[claim.first] = Lease(claim.owner, claim.since, claim.generation, claim.cooldown)
        assert len(self.model.leases) == len(INHERITED.claims)
        self.model.cursors = dict(INHERITED.cursors)

    def attempt(self, fault: Fault | None, work: Callable[[], T]) -> T | str:
        """What `work` gives, or what the fault makes of it; after a death there is a new process."""
        if fault is BUSY:
            with self.other.transaction(), pytest.raises(StoreBusy):
                work()
            return LOST
        self.store.fault = fault
        try:
            return work()
        except Died:
            self.reopen()
            return UNHEARD if fault == Fault("answer") else LOST
        finally:
            self.store.fault = None

    # What happens ------------------------------------------------------------------------------------------

    @rule(
        owner=owners, pools=pool_lists, wishes=wish_lists, cooldown=st.sampled_from((0, 30, 120)), again=st.booleans(),
        keyed=st.booleans(), late=st.booleans(), fault=faults,
    )  # fmt: skip
    def allocate(
        self,
        *,
        owner: Owner,
        pools: list[Pool],
        wishes: list[int],
        cooldown: int,
        again: bool,
        keyed: bool,
        late: bool,
        fault: Fault | None,
    ) -> None:
        self.calls += 1
        call = f"k{self.calls}" if keyed or fault == Fault("answer") else ""
        asked = self.uptime - 5 if late else self.uptime
        self.serve(Request(owner, tuple(pools), tuple(wishes), cooldown, again, call, asked), fault)

    allocate_too = allocate_more = allocate  # a rule's share is by its names: what fills the pools is to lead

    @precondition(lambda self: any(request.call for request in self.requests))
    @rule(index=st.integers(0, 5), fault=faults)
    def ask_again(self, index: int, fault: Fault | None) -> None:
        """An earlier call, once more: it may have been served, refused, released or undone meanwhile."""
        served = {lease.call for lease in self.model.leases.values()}
        keyed = sorted((r for r in self.requests if r.call), key=lambda r: r.call in served)  # those last
        self.serve(keyed[-1 - index % len(keyed)], fault)

    def serve(self, request: Request, fault: Fault | None) -> None:
        expected = self.model.expect(request, self.now)
        self.requests.append(request)
        found = self.attempt(fault, lambda: self.outcome(request))
        if found in (LOST, expected.error):
            return
        assert expected.error is None
        if isinstance(found, Allocation):
            self.answered(request, expected.told, expected.choices, found)
        elif expected.told:
            self.hear_again(request, expected.told)
        else:
            self.hear(request, expected.choices)

    def outcome(self, request: Request) -> Allocation | type[Refused]:
        try:
            return self.ledger.allocate("net", request)
        except Refused as refusal:
            return type(refusal)

    def answered(
        self, request: Request, told: tuple[int, ...], choices: tuple[frozenset[int], ...], found: Allocation
    ) -> None:
        given = tuple(c.first for c in found.claims)
        assert min(c.generation for c in found.claims) > self.risen
        self.risen = max(c.generation for c in found.claims)
        if told:
            assert given == told
            assert found.new == all(self.model.leases[a].call == request.call != "" for a in told)
            self.model.told(found.claims, self.now)
        else:
            assert found.new
            assert len(given) == len(choices)
            assert all(a in allowed for a, allowed in zip(given, choices, strict=True))
            self.model.allocated(request, found.claims, self.now)
        self.seen += found.claims
        self.allocations.append(found)

    def hear(self, request: Request, choices: tuple[frozenset[int], ...]) -> None:
        """The commit was durable and the answer lost: the same call asks again and hears what it was given then."""
        found = self.ledger.allocate("net", request)
        assert found.new
        order = {c.first: c for c in found.claims}
        claims = [order[a] for allowed in choices for a in allowed if a in order]
        self.risen = max(c.generation for c in claims)
        self.model.allocated(request, claims, self.now)
        self.seen += claims
        self.allocations.append(found)

    def hear_again(self, request: Request, told: tuple[int, ...]) -> None:
        """The same, when there was nothing new to be told."""
        found = self.ledger.allocate("net", request)
        assert tuple(c.first for c in found.claims) == told
        self.risen = max(c.generation for c in found.claims)
        self.model.told(found.claims, self.now)

    @rule(owner=owners, asked=st.booleans(), fault=faults)
    def release(self, owner: Owner, asked: bool, fault: Fault | None) -> None:
        held = self.model.held_by(owner)
        asking = self.uptime if asked else 0.0
        found = self.attempt(fault, lambda: self.ledger.release("net", owner, "DEL", asked=asking))
        if found == LOST:
            return
        assert found == UNHEARD or [c.first for c in found if isinstance(c, Claim)] == held
        self.model.let_go(held, self.now)
        if asked and not held:
            self.model.fences[owner] = asking

    @precondition(lambda self: self.allocations)
    @rule(index=st.integers(0, 3), fault=faults)
    def undo(self, index: int, fault: Fault | None) -> None:
        known = sorted(self.allocations, key=self.outdated)  # those last
        allocation = known[-1 - index % len(known)]
        fault = fault if allocation.new else None  # nothing is done about the others, so nothing can fail
        if self.attempt(fault, lambda: self.ledger.undo(allocation, "the caller went away")) == LOST:
            return
        if allocation.new:
            mine = [c.first for c in allocation.claims if self.model.holds(c)]
            self.model.let_go(mine, self.now, at_once=True)

    def outdated(self, allocation: Allocation) -> bool:
        """Whether others, or others again, hold what it held: there an undo could do harm."""
        return any(c.first in self.model.leases and not self.model.holds(c) for c in allocation.claims)

    @precondition(lambda self: self.seen)
    @rule(index=st.integers(0, 9), force=st.booleans(), fault=faults)
    def release_claim(self, index: int, force: bool, fault: Fault | None) -> None:
        claim = self.seen[-1 - index % len(self.seen)]
        held = self.model.holds(claim)
        try:
            found = self.attempt(fault, lambda: self.ledger.release_claim(claim, "sweep", force=force))
        except Stale:
            assert not held
            return
        if found != LOST:
            assert held
            self.model.let_go([claim.first], self.now, at_once=force)

    @rule(invalid=st.sets(owners, max_size=2), fault=faults)
    def collect(self, invalid: set[Owner], fault: Fault | None) -> None:
        valid = set(OWNERS) - invalid
        holders = {owner.holder for owner in valid}
        gone = [
            address
            for address, lease in sorted(self.model.leases.items())
            if lease.until is None
            and lease.owner not in valid
            and not (lease.owner.interface == "" and lease.owner.holder in holders)
        ]
        found = self.attempt(fault, lambda: self.ledger.collect("net", valid, "GC"))
        if found == LOST:
            return
        assert found == UNHEARD or [c.first for c in found if isinstance(c, Claim)] == gone
        self.model.let_go(gone, self.now)

    @rule(fault=faults)
    def thaw(self, fault: Fault | None) -> None:
        over = sum(lease.over(self.now) for lease in self.model.leases.values())
        found = self.attempt(fault, self.ledger.end_cooldowns)
        if found != LOST:
            assert found in (UNHEARD, over)
            self.model.thaw(self.now)

    @rule(age=st.sampled_from((0.0, 50.0, 500.0)), fault=faults)
    def forget(self, age: float, fault: Fault | None) -> None:
        before = self.uptime - 20
        if self.attempt(fault, lambda: self.ledger.forget(self.now - age, before)) != LOST:
            self.model.fences = {owner: at for owner, at in self.model.fences.items() if at >= before}

    @rule(seconds=st.sampled_from((-7200, -90, -45, 1, 31, 121, 4000)))
    def jump(self, seconds: int) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.reopen()

    # What always holds -------------------------------------------------------------------------------------

    @invariant()
    def ledger_and_dict_agree(self) -> None:
        with self.other.reading() as tx:
            space = tx.space("net")
            claims = list(tx.claims(space)) if space else []
            cursors = tx.cursors(space) if space else {}
            fences = {owner: at for owner in OWNERS if space and (at := tx.fence(space, owner))}
            entries = list(tx.entries(1e300))
        found = {c.first: Lease(c.owner, c.since, c.generation, c.cooldown, c.call, c.until) for c in claims}
        assert found == self.model.leases
        assert (cursors, fences) == (self.model.cursors, self.model.fences)
        self.check_journal(entries, claims)

    def check_journal(self, entries: list[Entry], claims: list[Claim]) -> None:
        """It breaks no rule, and tells of exactly the claims there are, as far back as it goes."""
        replay = Replay()
        for entry in entries:
            replay.step(entry)
        assert replay.violations == []
        told = {h.first: (h.owner, h.generation, h.until) for h in replay.present.values()}
        there = {c.first: (c.owner, c.generation, c.until) for c in claims}
        assert told.items() <= there.items()
        begun = entries[0].id if entries else 0
        assert {c.first for c in claims if c.generation >= begun} <= told.keys()

    @invariant()
    def room_is_what_can_be_had(self) -> None:
        for pool in POOLS:
            usable = [a for r in pool.ranges for a in range(r.first, r.last + 1) if a != r.gateway]
            room = any(a not in self.model.leases or self.model.leases[a].until is not None for a in usable)
            if room:
                self.ledger.check_room("net", [pool])
            else:
                with pytest.raises(Exhausted):
                    self.ledger.check_room("net", [pool])

    @invariant()
    def time_passes(self) -> None:
        self.now += 0.25
        self.uptime += 1.0


@pytest.mark.parametrize("kind", BACKENDS)
def test_any_life_of_a_ledger_is_that_of_a_dict(kind: str) -> None:
    class Machine(LedgerMachine):
        made = staticmethod(BACKENDS[kind])

    run_state_machine_as_test(Machine, settings=settings(max_examples=LIVES.get(kind, 10), stateful_step_count=40))
