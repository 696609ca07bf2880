"""One ledger's use cases, one by one; their interplay is the state machine's (test_ledger_machine)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from tests.clock import Clock
from tests.store.backends import Backend

from unipam.addr.prefix import Range, format_address, parse_address
from unipam.ledger.change import THAW_BATCH, Allocation, Change, Inheritance, nothing, serve
from unipam.ledger.history import verify
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Duplicate, Exhausted, Mismatch, Missing, Overlap, Refused, Stale, StoreFull, Taken
from unipam.model.pool_notes import pools_note
from unipam.model.records import COOLING, HELD, LEASE, Claim, Entry, Owner, Pool, PoolRange, Request
from unipam.store.api import Store, Tx

ME, YOU = Owner("me", "eth0"), Owner("you", "eth0")


def at(text: str) -> int:
    return parse_address(text)


def pool(first: str, last: str, number: int = 0, gateway: str = "") -> Pool:
    return Pool(number, (PoolRange(at(first), at(last), 120, at(gateway) if gateway else None),))


ONE = pool("10.0.0.1", "10.0.0.6", gateway="10.0.0.1")
TWO = pool("10.0.1.1", "10.0.1.2", number=1)


@pytest.fixture
def ledger(backend: Backend, clock: Clock) -> Iterator[Ledger]:
    made = Ledger(backend.open(), clock, boot=3)
    yield made
    assert verify(entries(made)) == []


def entries(ledger: Ledger) -> list[Entry]:
    with ledger.store.reading() as tx:
        return list(tx.entries(1e300))


def verbs(ledger: Ledger) -> list[str]:
    return [e.verb for e in entries(ledger)]


def claims(ledger: Ledger, space: str = "net") -> list[Claim]:
    with ledger.store.reading() as tx:
        number = tx.space(space)
        return [] if number is None else list(tx.claims(number))


def held(ledger: Ledger, space: str = "net") -> dict[str, str]:
    return {c.text: str(c.owner) for c in claims(ledger, space) if c.state == HELD}


def add(ledger: Ledger, owner: Owner = ME, *pools: Pool, **rest: object) -> Allocation:
    wishes = tuple(map(at, rest.pop("wishes", ())))  # type: ignore[call-overload]
    return ledger.allocate("net", Request(owner, pools or (ONE,), wishes, **rest))  # type: ignore[arg-type]


def texts(allocation: Allocation) -> list[str]:
    return [c.text for c in allocation.claims]


# Allocating --------------------------------------------------------------------------------------------------


def test_an_allocation_is_written_down_with_all_that_is_known(ledger: Ledger, clock: Clock) -> None:
    request = Request(ME, (ONE,), cooldown=30, call="k1", boot=3, details='{"pod":"a/b"}')
    allocation = ledger.allocate("net", request)
    assert allocation.new
    assert allocation.claims == tuple(claims(ledger))
    (claim,) = allocation.claims
    (entry,) = entries(ledger)
    assert claim._replace(id=0, parent=0) == Claim(
        0, at("10.0.0.2"), at("10.0.0.2"), LEASE, ME, HELD, clock.now, None, entry.id, 3, 30, "k1", '{"pod":"a/b"}'
    )
    assert (entry.verb, entry.owner, entry.actor, entry.at) == ("allocate", ME, "k1", clock.now)


def test_addresses_of_several_pools_come_together_or_not_at_all(ledger: Ledger) -> None:
    assert texts(add(ledger, ME, ONE, TWO)) == ["10.0.0.2", "10.0.1.1"]
    add(ledger, YOU, TWO)
    before = claims(ledger), entries(ledger)
    with pytest.raises(Exhausted) as refusal:
        add(ledger, Owner("third"), ONE, TWO)
    assert refusal.value.facts["pool"] == 1
    assert (claims(ledger), entries(ledger)) == before
    assert texts(add(ledger, Owner("fourth"), ONE)) == ["10.0.0.3"]  # the refused one moved no cursor


def test_networks_are_apart(ledger: Ledger) -> None:
    add(ledger)
    ledger.allocate("other", Request(ME, (ONE,)))
    assert held(ledger, "net") == held(ledger, "other") == {"10.0.0.2": "me/eth0"}
    ledger.release("other", ME, "DEL")
    assert held(ledger, "net") == {"10.0.0.2": "me/eth0"}


def test_a_released_address_is_the_last_to_be_handed_out_again(ledger: Ledger) -> None:
    add(ledger)
    assert [c.text for c in ledger.release("net", ME, "DEL", actor="k9")] == ["10.0.0.2"]
    assert [texts(add(ledger, Owner(f"c{n}")))[0] for n in range(5)] == [f"10.0.0.{n}" for n in (3, 4, 5, 6, 2)]
    release = entries(ledger)[1]
    assert (release.verb, release.owner, release.reason, release.actor) == ("release", ME, "DEL", "k9")


def test_a_request_may_be_made_within_the_transaction(ledger: Ledger) -> None:
    with Change(ledger, "net", nothing, ME) as (tx, standing, now):
        assert tx.spaces() == [(standing.space, "net")]
        allocation = serve(tx, standing, Request(ME, (ONE,)), now)
    assert texts(allocation) == ["10.0.0.2"]
    assert held(ledger, "net") == {"10.0.0.2": "me/eth0"}


# Asking again ------------------------------------------------------------------------------------------------


def test_a_repeated_call_is_answered_with_what_it_has_and_a_new_generation(ledger: Ledger) -> None:
    first = add(ledger, ME, ONE, TWO, call="k1")
    again = add(ledger, ME, ONE, TWO, call="k1")
    assert texts(again) == texts(first)
    assert min(c.generation for c in again.claims) > max(c.generation for c in first.claims)
    assert verbs(ledger) == ["allocate", "allocate", "repeat", "repeat"]


def test_another_call_of_the_owner_is_a_duplicate(ledger: Ledger) -> None:
    add(ledger, call="k1")
    with pytest.raises(Duplicate):
        add(ledger, call="k2")


def test_a_repeated_call_that_nobody_hears_is_undone_like_the_first(ledger: Ledger) -> None:
    """The agent died before it answered; the launcher asked again cold, and then its caller was gone."""
    add(ledger, call="k1")
    again = add(ledger, call="k1")
    ledger.undo(again, "the caller went away")
    assert held(ledger) == {}


def test_one_who_slept_over_a_call_takes_nothing_back(ledger: Ledger) -> None:
    """The launcher gave up on the agent and had its answer cold; then the agent woke up and read the question."""
    heard = add(ledger, call="k1")
    late = add(ledger, call="k1", last=False)
    assert texts(late) == texts(heard)
    ledger.undo(late, "the caller went away")
    assert held(ledger) == {"10.0.0.2": "me/eth0"}
    ledger.undo(heard, "the caller went away")
    assert held(ledger) == {}


def test_the_first_telling_is_not_undone_once_there_was_a_second(ledger: Ledger) -> None:
    first = add(ledger, call="k1")
    add(ledger, call="k1")
    ledger.undo(first, "the caller went away")
    assert held(ledger) == {"10.0.0.2": "me/eth0"}


def test_another_call_that_was_told_the_address_keeps_it_when_the_first_is_undone(ledger: Ledger) -> None:
    """`"duplicateAdd": "return"`: the first caller dies unheard after a second one was given the same answer."""
    first = add(ledger, call="k1", again=True)
    second = add(ledger, call="k2", again=True)
    assert (texts(second), second.new) == (texts(first), False)
    ledger.undo(first, "the caller went away")
    assert held(ledger) == {"10.0.0.2": "me/eth0"}


def test_what_was_answered_again_is_not_undone(ledger: Ledger) -> None:
    """The first caller heard, and its container runs."""
    add(ledger, call="k1", again=True)
    ledger.undo(add(ledger, call="k2", again=True), "the caller went away")
    assert held(ledger) == {"10.0.0.2": "me/eth0"}


# Undoing -----------------------------------------------------------------------------------------------------


def test_an_allocation_that_nobody_heard_of_is_taken_back_whole(ledger: Ledger) -> None:
    ledger.undo(add(ledger, ME, ONE, TWO, cooldown=60), "the caller went away")
    assert claims(ledger) == []  # nobody used the addresses, so they need no rest
    assert verbs(ledger)[-2:] == ["undo", "undo"]


def test_undoing_twice_or_too_late_changes_nothing(ledger: Ledger) -> None:
    allocation = add(ledger)
    ledger.release("net", ME, "DEL")
    add(ledger, YOU, wishes=["10.0.0.2"])
    before = entries(ledger)
    ledger.undo(allocation, "the caller went away")
    ledger.undo(allocation, "the caller went away")
    assert held(ledger) == {"10.0.0.2": "you/eth0"}
    assert entries(ledger) == before


# Releasing ---------------------------------------------------------------------------------------------------


def test_releasing_nothing_is_no_error(ledger: Ledger) -> None:
    assert ledger.release("net", ME, "DEL") == []
    assert verbs(ledger) == []


def test_a_release_ends_what_the_interface_holds_and_nothing_else(ledger: Ledger) -> None:
    other = Owner("me", "eth1")
    add(ledger, ME, ONE, TWO)
    add(ledger, other)
    assert [c.text for c in ledger.release("net", ME, "DEL")] == ["10.0.0.2", "10.0.1.1"]
    assert held(ledger) == {"10.0.0.3": "me/eth1"}


def test_a_release_may_be_kept_to_some_ranges(ledger: Ledger) -> None:
    add(ledger, ME, ONE, TWO)
    ledger.release("net", ME, "DEL", within=[Range(at("10.0.1.0"), at("10.0.1.255"))])
    assert held(ledger) == {"10.0.0.2": "me/eth0"}


def legacy(address: str, holder: str = "me") -> Claim:
    """A lease as host-local wrote it before 0.8.0: without the interface."""
    return Claim(0, at(address), at(address), LEASE, Owner(holder))


def inheriting(*inherited: Claim, cursors: tuple[tuple[int, int], ...] = ()) -> Inheritance:
    return Inheritance(inherited, cursors, "/var/lib/cni/networks/net")


def test_a_record_without_interface_stands_for_any_interface(ledger: Ledger) -> None:
    released = ledger.release("net", ME, "DEL", inherit=lambda: inheriting(legacy("10.0.0.2")))
    assert [c.text for c in released] == ["10.0.0.2"]


def test_an_exact_record_comes_before_one_without_interface(ledger: Ledger) -> None:
    ledger.adopt("net", lambda: inheriting(legacy("10.0.0.2")))
    add(ledger, ME, TWO, wishes=["10.0.1.2"])
    assert [c.text for c in ledger.release("net", ME, "DEL")] == ["10.0.1.2"]
    assert [c.text for c in ledger.release("net", ME, "DEL")] == ["10.0.0.2"]


@pytest.mark.parametrize("again", [False, True])
def test_an_exact_record_that_only_cools_hides_no_record_without_interface(ledger: Ledger, again: bool) -> None:
    ledger.adopt("net", lambda: inheriting(legacy("10.0.0.2")))
    add(ledger, ME, TWO, cooldown=60)
    ledger.release("net", ME, "DEL")
    ledger.check("net", ME, [at("10.0.0.2")])
    if again:
        assert texts(add(ledger, ME, ONE, again=True)) == ["10.0.0.2"]
    assert [c.text for c in ledger.release("net", ME, "DEL")] == ["10.0.0.2"]


# Fences ------------------------------------------------------------------------------------------------------


def test_a_request_that_was_given_up_while_it_waited_is_not_served(ledger: Ledger) -> None:
    ledger.release("net", ME, "DEL", asked=50.0)
    with pytest.raises(Refused, match="released while this request was waiting"):
        add(ledger, asked=49.0)
    assert texts(add(ledger, YOU, asked=49.0)) == ["10.0.0.2"]
    assert texts(add(ledger, asked=51.0)) == ["10.0.0.3"]


def test_fences_are_forgotten_with_time(ledger: Ledger) -> None:
    ledger.release("net", ME, "DEL", asked=50.0)
    ledger.forget(0.0, 51.0)
    assert texts(add(ledger, asked=49.0)) == ["10.0.0.2"]


# Cooldown ----------------------------------------------------------------------------------------------------


def test_a_released_address_cools_and_comes_back(ledger: Ledger, clock: Clock) -> None:
    add(ledger, ME, TWO, cooldown=120)
    ledger.release("net", ME, "DEL")
    (resting,) = claims(ledger)
    assert (resting.state, resting.since, resting.until) == (COOLING, clock.now, clock.now + 120)
    assert texts(add(ledger, YOU, TWO)) == ["10.0.1.2"]
    clock.now += 120
    assert texts(add(ledger, Owner("third"), TWO)) == ["10.0.1.1"]
    assert verbs(ledger)[-2:] == ["thaw", "allocate"]


def test_the_glass_is_broken_oldest_first_and_says_so(ledger: Ledger, clock: Clock) -> None:
    for owner in (ME, YOU):
        add(ledger, owner, TWO, cooldown=120)
    for owner in (YOU, ME):
        ledger.release("net", owner, "DEL")
        clock.now += 10
    assert texts(add(ledger, Owner("third"), TWO)) == ["10.0.1.2"]
    broken = entries(ledger)[-2]
    assert (broken.verb, broken.owner) == ("break-glass", YOU)
    assert broken.reason == "no other address was free; 100 s of cooldown were left"


def test_an_owner_may_come_back_to_its_own_cooling_address(ledger: Ledger, clock: Clock) -> None:
    add(ledger, cooldown=120)
    ledger.release("net", ME, "DEL")
    with pytest.raises(Taken):
        add(ledger, YOU, wishes=["10.0.0.2"])
    assert texts(add(ledger, wishes=["10.0.0.2"])) == ["10.0.0.2"]
    returned = entries(ledger)[-2]
    assert (returned.verb, returned.reason) == (
        "break-glass",
        "its last owner asked for it; 120 s of cooldown were left",
    )


def test_a_clock_that_is_set_back_leaves_nothing_cooling_for_ever(ledger: Ledger, clock: Clock) -> None:
    add(ledger, ME, TWO, cooldown=120)
    ledger.release("net", ME, "DEL")
    clock.now -= 3600
    assert ledger.end_cooldowns() == 1
    assert claims(ledger) == []


def test_one_allocation_clears_no_more_than_a_batch_away(ledger: Ledger, clock: Clock) -> None:
    wide = pool("10.1.0.1", "10.1.3.255")
    for n in range(THAW_BATCH + 6):
        add(ledger, Owner(f"c{n}"), wide, cooldown=60)
    ledger.collect("net", set(), "GC")
    clock.now += 60
    add(ledger, ME, wide)
    assert verbs(ledger).count("thaw") == THAW_BATCH
    assert ledger.end_cooldowns() == 6


def test_an_ended_cooldown_that_no_batch_reached_is_no_broken_glass(ledger: Ledger, clock: Clock) -> None:
    """The pool is all cooldowns that are over, more of them older and elsewhere than one call clears away."""
    wide = pool("10.1.0.1", "10.1.3.255")
    for n in range(THAW_BATCH):
        add(ledger, Owner(f"c{n}"), wide, cooldown=60)
    ledger.collect("net", set(), "GC")
    clock.now += 1
    for owner in (ME, YOU):
        add(ledger, owner, TWO, cooldown=60)
        ledger.release("net", owner, "DEL")
    clock.now += 60
    assert texts(add(ledger, Owner("third"), TWO)) == ["10.0.1.1"]
    assert "break-glass" not in verbs(ledger)


# Claims as somebody saw them ---------------------------------------------------------------------------------


def test_a_claim_is_released_as_it_was_seen(ledger: Ledger) -> None:
    (claim,) = add(ledger, cooldown=60).claims
    ledger.release_claim(claim, "no namespace", "sweep")
    (resting,) = claims(ledger)
    assert resting.state == COOLING
    assert (entries(ledger)[-1].actor, entries(ledger)[-1].reason) == ("sweep", "no namespace")


def test_a_claim_is_released_at_once_by_force(ledger: Ledger) -> None:
    (claim,) = add(ledger, cooldown=60).claims
    ledger.release_claim(claim, "by hand", "root", force=True)
    assert claims(ledger) == []


@pytest.mark.parametrize("cooldown", [0, 60])
def test_a_claim_that_changed_hands_or_rests_is_stale(ledger: Ledger, cooldown: int) -> None:
    (claim,) = add(ledger, cooldown=cooldown).claims
    ledger.release("net", ME, "DEL")
    for attempt in range(2):
        with pytest.raises(Stale) as refusal:
            ledger.release_claim(claim, "no namespace")
        assert refusal.value.facts == {"address": "10.0.0.2", "generation": claim.generation}
        if attempt == 0:
            add(ledger, ME, wishes=["10.0.0.2"])
    assert held(ledger) == {"10.0.0.2": "me/eth0"}


# Checking ----------------------------------------------------------------------------------------------------


def test_a_check_tells_what_is_missing(ledger: Ledger) -> None:
    with pytest.raises(Missing, match="Failed to find address added by container me"):
        ledger.check("net", ME, None)
    add(ledger, ME, ONE, TWO)
    ledger.check("net", ME, None)
    ledger.check("net", ME, [at("10.0.0.2"), at("10.0.1.1")])
    with pytest.raises(Mismatch, match=r"me does not hold 10\.0\.0\.9, it holds 10\.0\.0\.2, 10\.0\.1\.1"):
        ledger.check("net", ME, [at("10.0.0.2"), at("10.0.0.9")])


def test_a_check_is_not_satisfied_by_what_cools(ledger: Ledger) -> None:
    add(ledger, cooldown=60)
    ledger.release("net", ME, "DEL")
    with pytest.raises(Missing):
        ledger.check("net", ME, None)


# Collecting --------------------------------------------------------------------------------------------------


def test_whatever_is_not_valid_is_collected(ledger: Ledger) -> None:
    ledger.adopt("net", lambda: inheriting(legacy("10.0.0.5", "old"), legacy("10.0.0.6", "older")))
    for owner in (ME, YOU, Owner("me", "eth1")):
        add(ledger, owner)
    gone = ledger.collect("net", {ME, Owner("old", "eth0")}, "GC")
    assert sorted(c.text for c in gone) == ["10.0.0.3", "10.0.0.4", "10.0.0.6"]
    assert held(ledger) == {"10.0.0.2": "me/eth0", "10.0.0.5": "old"}
    assert {e.reason for e in entries(ledger) if e.verb == "release"} == {"GC"}
    assert ledger.collect("net", {ME, Owner("old", "eth0")}, "GC") == []


def test_collecting_may_be_kept_to_some_claims(ledger: Ledger) -> None:
    add(ledger, ME, ONE, TWO)
    gone = ledger.collect("net", set(), "GC", among=lambda claim: claim.first < at("10.0.1.0"))
    assert [c.text for c in gone] == ["10.0.0.2"]


# First contact and going back --------------------------------------------------------------------------------


def test_first_contact_takes_over_leases_and_cursors_once(ledger: Ledger) -> None:
    told: list[str] = []

    def inherit() -> Inheritance:
        found = inheriting(legacy("10.0.0.2", "old"), cursors=((0, at("10.0.0.4")),))
        return found._replace(adopted=lambda: told.append(str(held(ledger))))

    assert ledger.adopt("net", inherit)
    assert told == ["{'10.0.0.2': 'old'}"]  # called when it was written down
    assert not ledger.adopt("net", inherit)
    assert len(told) == 1
    assert texts(add(ledger)) == ["10.0.0.5"]
    assert (entries(ledger)[0].verb, entries(ledger)[0].reason) == ("adopt", "/var/lib/cni/networks/net")


def test_a_first_contact_that_fails_leaves_nothing(ledger: Ledger) -> None:
    told: list[int] = []
    twice = inheriting(legacy("10.0.0.2"), legacy("10.0.0.2", "other"))._replace(adopted=lambda: told.append(1))
    with pytest.raises(Overlap):
        ledger.allocate("net", Request(ME, (ONE,)), inherit=lambda: twice)
    with ledger.store.reading() as tx:
        assert tx.spaces() == []
    assert told == []


# Time --------------------------------------------------------------------------------------------------------


class Altered:
    """A store that does something more within its transactions, as subclasses say."""

    def __init__(self, store: Store) -> None:
        self.inner = store

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


class Slow(Altered):
    """One waits for another writer: time passes before a transaction begins."""

    def __init__(self, store: Store, clock: Clock) -> None:
        super().__init__(store)
        self.clock = clock

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Tx]:
        with self.inner.transaction() as tx:
            self.clock.now += 3
            yield tx


def test_what_waited_for_the_ledger_happened_when_its_turn_came(backend: Backend, clock: Clock) -> None:
    ledger = Ledger(Slow(backend.open(), clock), clock)  # type: ignore[arg-type]
    start = clock.now
    (claim,) = add(ledger, cooldown=60).claims
    ledger.release_claim(claim, "no namespace")
    add(ledger, YOU, wishes=["10.0.0.3"])
    ledger.undo(add(ledger, Owner("third")), "the caller went away")
    ledger.release("net", YOU, "DEL")
    assert [e.at - start for e in entries(ledger)] == [3, 6, 9, 12, 15, 18]
    assert claims(ledger)[0].until == start + 6 + 60
    clock.now = start + 6 + 60 - 3
    assert ledger.end_cooldowns() == 1


# Room and notes ----------------------------------------------------------------------------------------------


def test_room_is_what_could_be_handed_out(ledger: Ledger) -> None:
    ledger.check_room("net", [TWO])
    for owner in (ME, YOU):
        add(ledger, owner, TWO, cooldown=60)
    with pytest.raises(Exhausted, match=r"no IP addresses available in range set: 10\.0\.1\.1-10\.0\.1\.2"):
        ledger.check_room("net", [ONE, TWO])
    ledger.release("net", ME, "DEL")
    ledger.check_room("net", [ONE, TWO])


def test_a_gateway_that_cools_is_no_room(ledger: Ledger) -> None:
    """It was a lease before it became the gateway."""
    add(ledger, ME, TWO, cooldown=60)
    ledger.release("net", ME, "DEL")
    add(ledger, YOU, TWO)
    now = pool("10.0.1.1", "10.0.1.2", number=1, gateway="10.0.1.1")
    with pytest.raises(Exhausted):
        ledger.check_room("net", [now])
    with pytest.raises(Exhausted):
        add(ledger, Owner("third"), now)


def test_a_ledger_that_can_be_written_answers_the_probe(ledger: Ledger) -> None:
    ledger.probe("net")
    assert entries(ledger) == []


class Full(Altered):
    """Commits fail while it is full."""

    full = True

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Tx]:
        with self.inner.transaction() as tx:
            yield tx
            if self.full:
                raise StoreFull("no space left", path="/x")


def test_pools_are_remembered_also_when_the_first_attempt_failed(backend: Backend, clock: Clock) -> None:
    store = Full(backend.open())
    ledger = Ledger(store, clock)  # type: ignore[arg-type]
    with pytest.raises(StoreFull):
        ledger.allocate("net", Request(ME, (ONE,)), pools="[1]")
    store.full = False
    ledger.allocate("net", Request(ME, (ONE,)), pools="[1]")
    with store.inner.reading() as tx:
        number = tx.space("net")
        assert number is not None
        assert tx.note(pools_note(number)) == "[1]"
    assert format_address(claims(ledger)[0].first) == "10.0.0.2"


def test_forgetting_keeps_what_is_held(ledger: Ledger, clock: Clock) -> None:
    add(ledger)
    add(ledger, YOU)
    clock.now += 10
    ledger.release("net", YOU, "DEL")
    assert ledger.forget(clock.now, 0.0) == 2
    assert held(ledger) == {"10.0.0.2": "me/eth0"}
    ledger.release("net", ME, "DEL")
    assert verbs(ledger) == ["release", "release"]
