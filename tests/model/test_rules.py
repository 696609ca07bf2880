"""The rules against host-local's semantics (spec cni-and-host-local §2.3, §2.4; numbers of cases are those of §3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests import oracle

from unipam.addr.prefix import BITS, LINE_LAST, V4_FIRST, Range, format_address, parse_address, parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.model.errors import Duplicate, Exhausted, IsGateway, Refused, Superseded, Taken, Unmet
from unipam.model.records import COOLING, HELD, LEASE, Claim, Owner, Pool, PoolRange, Request
from unipam.model.rules import CLOCK_SLACK, Decision, decide, is_cool, round_robin, usable

ME, OTHER = Owner("me", "eth0"), Owner("other", "eth0")


@dataclass
class Facts:
    """What a decision sees, held in a list and a dict."""

    claims: list[Claim] = field(default_factory=list)
    cursors: dict[int, int] = field(default_factory=dict)
    fences: dict[Owner, float] = field(default_factory=dict)

    def claims_of(self, owner: Owner) -> Sequence[Claim]:
        return [c for c in self.claims if c.owner == owner and c.state == HELD]

    def claim_at(self, first: int) -> Claim | None:
        return next((c for c in self.claims if c.first == first), None)

    def gap(self, first: int, last: int) -> int | None:
        taken = {c.first for c in self.claims}
        return next((a for a in range(first, last + 1) if a not in taken), None)

    def cursor(self, number: int) -> int | None:
        return self.cursors.get(number)

    def fence(self, owner: Owner) -> float:
        return self.fences.get(owner, 0.0)

    def cooling(self, first: int, last: int) -> Claim | None:
        resting = [c for c in self.claims if c.state == COOLING and first <= c.first <= last]
        return min(resting, key=lambda c: c.since, default=None)


def held(address: int | str, owner: Owner = OTHER, call: str = "") -> Claim:
    place = parse_address(address) if isinstance(address, str) else address
    return Claim(1, place, place, LEASE, owner, HELD, 1.0, call=call)


def cooling(address: int | str, since: float = 1.0, owner: Owner = OTHER) -> Claim:
    return held(address, owner)._replace(state=COOLING, since=since, until=since + 100)


def subnet(text: str) -> PoolRange:
    """A subnet with host-local's defaults: the first address is the gateway, IPv4's last one is left out."""
    prefix = parse_prefix(text)
    return PoolRange(prefix.first + 1, prefix.last - (prefix.family == 4), prefix.length, prefix.first + 1)


def between(first: str, last: str, gateway: str | None = None) -> PoolRange:
    start = parse_address(first)
    return PoolRange(start, parse_address(last), BITS - 8, parse_address(gateway) if gateway else None)


def pool(*spans: PoolRange | str, number: int = 0) -> Pool:
    return Pool(number, tuple(subnet(s) if isinstance(s, str) else s for s in spans))


def ask(*pools: Pool, wishes: Sequence[str] = (), **rest: object) -> Request:
    return Request(ME, pools, tuple(map(parse_address, wishes)), **rest)  # type: ignore[arg-type]


def granted(decision: Decision) -> list[str]:
    return [format_address(g.address) for g in decision.grants]


# The iterator ----------------------------------------------------------------------------------------------


def candidates(of: Pool, cursor: int | None) -> list[str]:
    """Everything that `round_robin` offers: what it offered is claimed, the cursor stays."""
    facts = Facts(cursors={} if cursor is None else {of.cursor: cursor})
    found = []
    while step := round_robin(facts, of):
        facts.claims.append(held(step[1]))
        found.append(format_address(step[1]))
    return found


@pytest.mark.parametrize(
    ("last", "wanted"),
    [(None, "2 3 4 5 6"), ("6", "2 3 4 5 6"), ("3", "4 5 6 2 3")],
    ids=["15 from the beginning", "16 from the end", "17 from the middle"],
)
def test_the_ring_is_walked_once(last: str | None, wanted: str) -> None:
    cursor = parse_address(f"192.168.1.{last}") if last else None
    assert candidates(pool("192.168.1.0/29"), cursor) == [f"192.168.1.{n}" for n in wanted.split()]


TWO = ("10.0.0.0/30", "10.0.1.0/30")
THREE = (*TWO, "10.0.2.0/30")


@pytest.mark.parametrize(
    ("subnets", "used", "last", "wanted"),
    [
        (("10.0.0.0/29",), (), None, "10.0.0.2"),
        (("2001:db8:1::/64",), (), None, "2001:db8:1::2"),
        (("10.0.0.0/30",), (), None, "10.0.0.2"),
        (("10.0.0.0/29",), ("10.0.0.2",), None, "10.0.0.3"),
        (("10.0.0.0/29",), (), "10.0.0.5", "10.0.0.6"),
        (("10.0.0.0/29",), ("10.0.0.4", "10.0.0.5"), "10.0.0.3", "10.0.0.6"),
        (("10.0.0.0/29",), ("10.0.0.6",), "10.0.0.5", "10.0.0.2"),
        (("10.0.0.0/29",), ("10.0.0.2",), "10.0.0.128", "10.0.0.3"),
        (("10.0.0.0/29",), ("10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"), "10.0.0.3", "10.0.0.3"),
        (TWO, (), None, "10.0.0.2"),
        (TWO, (), "10.0.0.2", "10.0.1.2"),
        (THREE, (), "10.0.2.2", "10.0.0.2"),
    ],
)
def test_the_round_robin_table(subnets: tuple[str, ...], used: tuple[str, ...], last: str | None, wanted: str) -> None:
    """Case 18."""
    facts = Facts([held(a) for a in used], {0: parse_address(last)} if last else {})
    assert granted(decide(facts, ask(pool(*subnets)))) == [wanted]


def test_the_broadcast_address_is_never_handed_out() -> None:
    """Case 19."""
    assert candidates(pool("192.168.1.0/29"), None) == [f"192.168.1.{n}" for n in (2, 3, 4, 5, 6)]
    full = Facts([held(f"192.168.1.{n}") for n in (2, 3, 4, 5, 6)])
    with pytest.raises(Exhausted):
        decide(full, ask(pool("192.168.1.0/29")))


def test_a_released_address_rests_until_the_ring_comes_round() -> None:
    """Case 20: .2 was handed out and released."""
    facts = Facts(cursors={0: parse_address("192.168.1.2")})
    assert granted(decide(facts, ask(pool("192.168.1.0/29")))) == ["192.168.1.3"]


def test_the_cursor_at_the_end_of_a_range_leads_to_the_next_range() -> None:
    """Cases 26 and 27."""
    spans = (between("192.168.1.0", "192.168.1.3"), between("192.168.2.0", "192.168.2.3"))
    assert candidates(pool(*spans), parse_address("192.168.1.3"))[0] == "192.168.2.0"
    assert candidates(pool(*spans), None)[0] == "192.168.1.0"


@st.composite
def rings(draw: st.DrawFn) -> Pool:
    """One to four disjoint ranges in any order, with gateways inside, outside or nowhere."""
    base = draw(oracle.bases)
    spans = list(RangeSet(draw(st.lists(oracle.spans(base), min_size=1, max_size=4))))
    gateways = st.one_of(st.none(), st.integers(base, base + oracle.SPAN - 1))
    ordered = draw(st.permutations(spans))
    return Pool(0, tuple(PoolRange(first, last, 120, draw(gateways)) for first, last in ordered))


@given(rings(), st.data())
def test_round_robin_walks_as_host_local_walks(ring: Pool, data: st.DataObject) -> None:
    every = sorted(oracle.members(span.span for span in ring.ranges))
    cursor = data.draw(st.one_of(st.none(), st.integers(0, LINE_LAST), st.sampled_from(every)))
    claimed = data.draw(st.sets(st.sampled_from(every)))
    facts = Facts([held(a) for a in claimed], {} if cursor is None else {0: cursor})
    found = round_robin(facts, ring)
    assert (found[1] if found else None) == oracle.next_address(ring, cursor, claimed)
    assert found is None or found[0] == ring.find(found[1])
    assert [parse_address(a) for a in candidates(ring, cursor)] == [a for _, a in oracle.walk(ring.ranges, cursor)]


@pytest.mark.parametrize(("size", "gateway"), [(1, None), (1, 0), (2, None), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
@pytest.mark.parametrize("base", [0, V4_FIRST, LINE_LAST - 2])
def test_the_smallest_pools(base: int, size: int, gateway: int | None) -> None:
    ring = Pool(0, (PoolRange(base, base + size - 1, 126, None if gateway is None else base + gateway),))
    for cursor in (None, *range(base, base + size)):
        assert [parse_address(a) for a in candidates(ring, cursor)] == [a for _, a in oracle.walk(ring.ranges, cursor)]


# Wishes ------------------------------------------------------------------------------------------------------


def test_a_wish_is_granted() -> None:
    """Case 21."""
    assert granted(decide(Facts(), ask(pool("192.168.1.0/29"), wishes=["192.168.1.5"]))) == ["192.168.1.5"]


@pytest.mark.parametrize("owner", [ME, OTHER])
def test_a_wish_that_is_held_is_refused(owner: Owner) -> None:
    """Case 22, also when the asking owner itself holds it."""
    with pytest.raises(Taken) as refusal:
        decide(Facts([held("192.168.1.5", owner)]), ask(pool("192.168.1.0/29"), wishes=["192.168.1.5"]))
    assert str(refusal.value) == (
        "requested IP address 192.168.1.5 is not available in range set 192.168.1.1-192.168.1.6"
    )
    assert refusal.value.facts == {
        "pool": 0, "address": "192.168.1.5", "ranges": "192.168.1.1-192.168.1.6", "holder": str(owner),
    }  # fmt: skip


@pytest.mark.parametrize("wish", ["192.168.1.5", "192.168.1.2"])
def test_a_wish_outside_the_range_is_unmet(wish: str) -> None:
    """Cases 23 and 24."""
    span = between("192.168.1.3", "192.168.1.4")
    with pytest.raises(Unmet, match="^failed to allocate all requested IPs: " + wish.replace(".", "[.]") + "$"):
        decide(Facts(), ask(pool(span), wishes=[wish]))


def test_a_wish_for_the_gateway_is_refused_even_when_nobody_holds_it() -> None:
    with pytest.raises(IsGateway, match=r"^requested ip 10\.0\.0\.1 is subnet's gateway$") as refusal:
        decide(Facts(), ask(pool("10.0.0.0/29"), wishes=["10.0.0.1"]))
    assert refusal.value.facts == {"pool": 0, "address": "10.0.0.1"}


def test_each_pool_takes_one_wish_and_the_others_are_served_by_turn() -> None:
    pools = (pool("10.0.0.0/24"), pool("10.1.0.0/24", number=1), pool("10.2.0.0/24", number=2))
    decision = decide(Facts(), ask(*pools, wishes=["10.2.0.7", "10.0.0.9"]))
    assert granted(decision) == ["10.0.0.9", "10.1.0.2", "10.2.0.7"]


def test_two_wishes_in_one_pool_leave_one_unmet() -> None:
    """Case 11."""
    with pytest.raises(Unmet) as refusal:
        decide(Facts(), ask(pool("10.0.0.0/24"), pool("10.1.0.0/24", number=1), wishes=["10.0.0.5", "10.0.0.6"]))
    assert refusal.value.facts["addresses"] == [parse_address("10.0.0.6")]


def test_an_unmet_wish_comes_after_exhaustion() -> None:
    """§2.4: a wish outside every pool is noticed last."""
    with pytest.raises(Exhausted):
        decide(Facts([held("10.0.0.2")]), ask(pool("10.0.0.0/30"), wishes=["10.200.0.1"]))


# Duplicates --------------------------------------------------------------------------------------------------


def test_an_owner_gets_one_address_of_a_pool() -> None:
    with pytest.raises(Duplicate) as refusal:
        decide(Facts([held("10.0.0.2", ME)]), ask(pool("10.0.0.0/24")))
    assert str(refusal.value) == "10.0.0.2 has been allocated to me, duplicate allocation is not allowed"
    assert refusal.value.facts == {"pool": 0, "address": "10.0.0.2", "holder": "me", "interface": "eth0"}


def test_a_wish_is_no_way_round_that() -> None:
    """Not host-local's defect D3."""
    with pytest.raises(Duplicate):
        decide(Facts([held("10.0.0.2", ME)]), ask(pool("10.0.0.0/24"), wishes=["10.0.0.99"]))


def test_the_refused_pool_is_named() -> None:
    pools = (pool("10.0.0.0/24"), pool("10.1.0.0/24", number=1))
    with pytest.raises(Duplicate) as refusal:
        decide(Facts([held("10.1.0.2", ME)]), ask(*pools))
    assert refusal.value.facts["pool"] == 1


def test_what_the_owner_holds_elsewhere_or_let_go_is_no_duplicate() -> None:
    facts = Facts([held("10.9.0.2", ME), cooling("10.0.0.2", owner=ME)])
    assert granted(decide(facts, ask(pool("10.0.0.0/24")))) == ["10.0.0.3"]


def test_another_interface_of_the_container_is_another_owner() -> None:
    facts = Facts([held("10.0.0.2", Owner("me", "eth1"))])
    assert granted(decide(facts, ask(pool("10.0.0.0/24")))) == ["10.0.0.3"]


def test_asked_to_answer_again_it_tells_what_is_held() -> None:
    mine = held("10.0.0.7", ME)
    assert decide(Facts([mine]), ask(pool("10.0.0.0/24"), again=True)) == Decision(held=(mine,))
    assert granted(decide(Facts(), ask(pool("10.0.0.0/24"), again=True))) == ["10.0.0.2"]


def test_a_repeated_call_is_told_what_it_was_given() -> None:
    mine = held("10.0.0.7", ME, call="k1")
    assert decide(Facts([mine]), ask(pool("10.0.0.0/24"), call="k1")).held == (mine,)
    with pytest.raises(Duplicate):
        decide(Facts([mine]), ask(pool("10.0.0.0/24"), call="k2"))


def test_calls_without_a_key_are_not_each_other_s_repetition() -> None:
    with pytest.raises(Duplicate):
        decide(Facts([held("10.0.0.7", ME)]), ask(pool("10.0.0.0/24")))


def test_a_repeated_call_is_told_nothing_of_other_calls() -> None:
    """The owner holds an address of another pool since an earlier call, when the configuration was another."""
    earlier, mine = held("10.0.0.7", ME, call="k1"), held("10.1.0.2", ME, call="k2")
    facts = Facts([earlier, mine])
    assert decide(facts, ask(pool("10.1.0.0/24"), call="k2")).held == (mine,)
    assert decide(facts, ask(pool("10.0.0.0/24"), call="k1")).held == (earlier,)


# Fences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "served"), [(9.9, False), (10.0, True), (10.1, True)])
def test_a_request_older_than_its_owner_s_release_is_not_served(asked: float, served: bool) -> None:
    facts = Facts(fences={ME: 10.0, OTHER: 99.0})
    if served:
        assert granted(decide(facts, ask(pool("10.0.0.0/24"), asked=asked))) == ["10.0.0.2"]
        return
    with pytest.raises(Superseded) as refusal:
        decide(facts, ask(pool("10.0.0.0/24"), asked=asked))
    assert refusal.value.temporary
    assert refusal.value.facts == {"owner": "me/eth0"}


# Exhaustion, cooldown, breaking the glass --------------------------------------------------------------------


@pytest.mark.parametrize("subnets", [("10.0.0.0/30",), ("10.0.0.0/29",), TWO])
def test_a_full_pool_says_so(subnets: tuple[str, ...]) -> None:
    """Case 25."""
    full = pool(*subnets)
    facts = Facts([held(a) for a in candidates(full, None)])
    with pytest.raises(Exhausted) as refusal:
        decide(facts, ask(full))
    assert str(refusal.value) == f"no IP addresses available in range set: {full}"
    assert refusal.value.facts == {"pool": 0, "ranges": str(full)}


def test_a_cooling_address_waits_while_another_is_free() -> None:
    facts = Facts([cooling("10.0.0.2")])
    decision = decide(facts, ask(pool("10.0.0.0/29")))
    assert granted(decision) == ["10.0.0.3"]
    assert decision.grants[0].broken is None


def test_the_glass_is_broken_for_the_oldest_of_all_ranges() -> None:
    oldest = cooling("10.0.1.2", since=3.0)
    facts = Facts([cooling("10.0.0.2", since=5.0), oldest])
    decision = decide(facts, ask(pool(*TWO)))
    assert granted(decision) == ["10.0.1.2"]
    assert decision.grants[0].broken == oldest
    assert decision.grants[0].range == subnet(TWO[1])


def test_the_glass_is_not_broken_for_a_gateway() -> None:
    """A lease from before the address became the gateway is cooling there."""
    facts = Facts([cooling("10.0.0.1", since=1.0), cooling("10.0.0.2", since=5.0)])
    assert granted(decide(facts, ask(pool("10.0.0.0/30")))) == ["10.0.0.2"]
    with pytest.raises(Exhausted):
        decide(Facts([cooling("10.0.0.1"), held("10.0.0.2")]), ask(pool("10.0.0.0/30")))


def test_a_wish_for_a_cooling_address_is_refused_to_others_and_granted_to_its_last_owner() -> None:
    request = ask(pool("10.0.0.0/29"), wishes=["10.0.0.5"])
    with pytest.raises(Taken):
        decide(Facts([cooling("10.0.0.5")]), request)
    mine = cooling("10.0.0.5", owner=ME)
    decision = decide(Facts([mine]), request)
    assert granted(decision) == ["10.0.0.5"]
    assert decision.grants[0].broken == mine


@pytest.mark.parametrize(
    ("since", "until", "now", "over"),
    [
        (100.0, 220.0, 219.9, False),
        (100.0, 220.0, 220.0, True),
        (100.0, 220.0, 100.0 - CLOCK_SLACK, False),  # within what clocks correct themselves by
        (100.0, 220.0, 99.9 - CLOCK_SLACK, True),  # set back: its stamps mean nothing
        (100.0, None, 1e9, False),
    ],
)
def test_when_a_cooldown_is_over(since: float, until: float | None, now: float, over: bool) -> None:
    assert is_cool(held("10.0.0.2")._replace(state=COOLING, since=since, until=until), now) is over


# Everything at once ------------------------------------------------------------------------------------------


@st.composite
def situations(draw: st.DrawFn) -> tuple[Facts, Request]:
    """A crowded little network, and somebody who asks it for something."""
    base = draw(oracle.bases.filter(lambda b: b > 0))
    half = oracle.SPAN // 2
    pools = []
    for number in range(draw(st.integers(1, 2))):
        first = base + number * half + draw(st.integers(0, 3))
        last = first + draw(st.integers(0, 7))
        gateway = draw(st.one_of(st.none(), st.integers(first, last)))
        pools.append(Pool(number, (PoolRange(first, last, 120, gateway),)))
    places = sorted(oracle.members(r.span for p in pools for r in p.ranges))
    facts = Facts()
    for address in draw(st.sets(st.sampled_from(places))):
        owner = draw(st.sampled_from((ME, OTHER, OTHER, OTHER)))
        one = cooling(address, draw(st.integers(1, 9)), owner) if draw(st.booleans()) else held(address, owner)
        facts.claims.append(one)
    facts.cursors = draw(st.dictionaries(st.integers(0, 1), st.sampled_from(places)))
    wishes = draw(st.lists(st.sampled_from([*places, base + oracle.SPAN - 1]), max_size=2, unique=True))
    return facts, Request(ME, tuple(pools), tuple(wishes))


def expected(facts: Facts, request: Request) -> list[int] | type[Refused]:
    """The rules as the specification tells them, pool by pool."""
    wishes, found = list(request.wishes), []
    mine = {c.first for c in facts.claims if c.owner == ME and c.state == HELD}
    for each in request.pools:
        span = each.ranges[0]
        inside = set(range(span.first, span.last + 1))
        fitting = [w for w in wishes if w in inside]
        address = _wish(facts, span, fitting[0]) if fitting else None
        if isinstance(address, type):
            return address
        if mine & inside:
            return Duplicate
        if address is None:
            address = _turn(facts, each)
        if isinstance(address, type):
            return address
        wishes = [w for w in wishes if w not in fitting[:1]]
        found.append(address)
    return Unmet if wishes else found


def _wish(facts: Facts, span: PoolRange, wish: int) -> int | type[Refused]:
    there = facts.claim_at(wish)
    if wish == span.gateway:
        return IsGateway
    return wish if there is None or (there.owner == ME and there.state == COOLING) else Taken


def _turn(facts: Facts, each: Pool) -> int | type[Refused]:
    address = oracle.next_address(each, facts.cursors.get(each.cursor), {c.first for c in facts.claims})
    if address is not None:
        return address
    usable = [a for _, a in oracle.walk(each.ranges, None)]
    resting = [c for c in facts.claims if c.state == COOLING and c.first in usable]
    return min(resting, key=lambda c: c.since).first if resting else Exhausted


@given(situations())
@example(
    (
        Facts([cooling(V4_FIRST + 1)]),
        Request(ME, (Pool(0, (PoolRange(V4_FIRST + 1, V4_FIRST + 1, 120, V4_FIRST + 1),)),)),
    )
)
def test_decisions_are_those_of_the_specification(situation: tuple[Facts, Request]) -> None:
    facts, request = situation
    wanted = expected(facts, request)
    try:
        found: list[int] | type[Refused] = [g.address for g in decide(facts, request).grants]
    except Refused as refusal:
        assert facts.claims == situation[0].claims
        found = type(refusal)
    if isinstance(wanted, list) and isinstance(found, list):  # equally old cooldowns may give way in any order
        ages = {c.first: c.since for c in facts.claims}
        assert [ages.get(a, a) for a in found] == [ages.get(a, a) for a in wanted]
    else:
        assert found == wanted


def test_usable_ranges_leave_gateways_out() -> None:
    spans = (between("10.0.0.1", "10.0.0.6", "10.0.0.3"), between("10.0.1.1", "10.0.1.2", "10.0.1.1"))
    taken = RangeSet([(parse_address("10.0.0.5"), parse_address("10.0.0.5"))])
    free = [part for span in spans for gap in taken.gaps(span.first, span.last) for part in usable(span, *gap)]
    assert [str(r) for r in free] == [
        "10.0.0.1-10.0.0.2", "10.0.0.4-10.0.0.4", "10.0.0.6-10.0.0.6", "10.0.1.2-10.0.1.2",
    ]  # fmt: skip


def test_a_pool_reads_as_its_ranges() -> None:
    assert str(pool(*TWO)) == "10.0.0.1-10.0.0.2,10.0.1.1-10.0.1.2"
    assert pool(*TWO).find(parse_address("10.0.1.2")) == subnet("10.0.1.0/30")
    assert pool(*TWO).find(parse_address("10.0.2.2")) is None
    v6 = Pool(0, (PoolRange(1, 2**128 - 1, 0),))
    assert v6.find(parse_address("10.0.2.2")) is None, "between IPv6 addresses on the line, and none of them"
    assert subnet("10.0.1.0/30").span == Range(parse_address("10.0.1.1"), parse_address("10.0.1.2"))
