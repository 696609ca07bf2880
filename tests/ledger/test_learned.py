"""What a space has learned of its pools, through merges, vanishing addresses, reboots and reservations."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.addr.prefix import Prefix, Range, parse_address, parse_prefix
from unipam.ledger import learned
from unipam.ledger.change import Change, nothing
from unipam.ledger.learned import Learned, LearnedPool
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Exhausted
from unipam.model.pool_notes import recall as recall_pools
from unipam.model.records import Owner, Request
from unipam.store.memory import MemoryStore

SPACE = "space"


def pool(network: str, *addresses: str, interface: str = "eth0", priority: int = 0) -> LearnedPool:
    prefix = parse_prefix(network)
    return LearnedPool(prefix, prefix.first + 1, interface, priority, learned.ranges(map(parse_address, addresses)))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(MemoryStore(), lambda: 1000.0, boot=1)


def merge(ledger: Ledger, *pools: LearnedPool, boot: int = 1) -> Learned:
    with Change(ledger, SPACE, nothing) as (tx, (parent, *_), _):
        return learned.merge(tx, parent, pools, boot)


def take(ledger: Ledger, holder: str, pools: Sequence[LearnedPool], boot: int = 1) -> str:
    request = Request(Owner(holder), tuple(pool.pool for pool in pools), boot=boot)
    return ledger.allocate(SPACE, request).claims[0].text


FOUR = pool("10.0.0.0/24", "10.0.0.5", "10.0.0.6", "10.0.0.9")
OTHER = pool("10.1.0.0/24", "10.1.0.5")
SIX = pool("fd00::/64", "fd00::5")


def test_what_was_learned_is_known(ledger: Ledger) -> None:
    merge(ledger, OTHER, FOUR, SIX)
    known, holders = learned.snapshot(ledger, SPACE)
    assert (known.pools, holders) == ((SIX, FOUR, OTHER) if SIX.network < FOUR.network else (FOUR, OTHER, SIX), {})
    assert known.find("10.0.0.0/24") == FOUR
    assert known.find("10.0.0.1/24") is None
    assert known.holding(parse_address("10.1.0.77")) == OTHER
    assert known.holding(parse_address("10.2.0.1")) is None
    assert FOUR.capacity == 3


def test_the_pools_stand_where_everybody_looks_for_them(ledger: Ledger) -> None:
    merge(ledger, FOUR)
    with ledger.store.reading() as tx:
        parent = tx.space(SPACE)
        found = recall_pools(tx.note(f"pools/{parent}"))
    assert [str(r.span) for r in found[0].ranges] == ["10.0.0.5-10.0.0.6", "10.0.0.9-10.0.0.9"]


def test_a_free_address_that_vanished_is_gone(ledger: Ledger) -> None:
    merge(ledger, FOUR)
    fewer = pool("10.0.0.0/24", "10.0.0.9")
    assert merge(ledger, fewer).pools == (fewer,)


def test_a_held_address_that_vanished_stays_with_its_holder_and_is_nobodys_after_it(ledger: Ledger) -> None:
    merge(ledger, OTHER)
    assert take(ledger, "c1", [OTHER]) == "10.1.0.5"
    (emptied,) = merge(ledger, pool("10.0.0.0/24", "10.0.0.5")).pools[1:]
    assert emptied == OTHER._replace(addresses=())
    assert learned.snapshot(ledger, SPACE)[1] == {parse_address("10.1.0.5"): "c1"}
    ledger.release(SPACE, Owner("c1"), "DEL")
    with pytest.raises(Exhausted):
        take(ledger, "c2", [emptied])
    assert [p.name for p in merge(ledger, pool("10.0.0.0/24", "10.0.0.5")).pools] == ["10.0.0.0/24"]


def test_a_network_that_was_resized_takes_over_what_is_held_in_it(ledger: Ledger) -> None:
    merge(ledger, FOUR)
    assert take(ledger, "c1", [FOUR]) == "10.0.0.5"
    smaller = pool("10.0.0.0/25", "10.0.0.5", "10.0.0.6")
    known = merge(ledger, smaller)
    assert known.pools == (smaller,)
    assert known.holding(parse_address("10.0.0.5")) == smaller


def test_an_address_is_of_the_pool_that_lists_it(ledger: Ledger) -> None:
    inner = pool("10.0.0.0/28", "10.0.0.7")
    known = merge(ledger, FOUR, inner)
    assert known.holding(parse_address("10.0.0.7")) == inner
    assert known.holding(parse_address("10.0.0.5")) == FOUR


def test_an_address_that_comes_back_can_be_handed_out_again(ledger: Ledger) -> None:
    for pools in ([OTHER], [FOUR], [FOUR, OTHER]):
        merge(ledger, *pools)
    assert take(ledger, "c1", [learned.snapshot(ledger, SPACE)[0].pools[-1]]) == "10.1.0.5"


@pytest.mark.parametrize("answer", [(), (pool("10.0.0.0/24"),), (SIX,), (SIX, pool("10.9.0.0/24"))])
def test_an_answer_without_a_usable_address_of_a_family_empties_none_of_its_pools(
    ledger: Ledger, answer: tuple[LearnedPool, ...]
) -> None:
    merge(ledger, FOUR)
    assert merge(ledger, *answer).find("10.0.0.0/24") == FOUR


def test_the_reservation_of_a_pool_outlives_a_merge(ledger: Ledger) -> None:
    merge(ledger, FOUR)
    assert learned.reserve(ledger, SPACE, lambda known: known.pools, inherit=nothing) == FOUR
    assert merge(ledger, FOUR).pools == (FOUR._replace(reserved=True),)


def test_a_pool_is_reserved_once_while_it_is_used(ledger: Ledger) -> None:
    merge(ledger, FOUR)

    def reserve() -> LearnedPool | None:
        return learned.reserve(ledger, SPACE, lambda known: known.pools, inherit=nothing)

    assert reserve() is not None
    assert reserve() is not None, "nobody uses it: it may be taken over"
    take(ledger, "c1", [FOUR])
    assert reserve() is None
    learned.unreserve(ledger, SPACE, FOUR.network, inherit=nothing)
    assert reserve() is None, "a pool in use is not given back"
    ledger.release(SPACE, Owner("c1"), "DEL")
    learned.unreserve(ledger, SPACE, FOUR.network, inherit=nothing)
    assert learned.snapshot(ledger, SPACE)[0].pools == (FOUR,)


def settle(ledger: Ledger, boot: int) -> Learned:
    with Change(ledger, SPACE, nothing) as (tx, (parent, *_), now):
        return learned.settle(tx, parent, boot, now)


def test_leases_of_an_earlier_boot_are_let_go_at_the_first_look(ledger: Ledger) -> None:
    merge(ledger, FOUR._replace(reserved=True))
    take(ledger, "before", [FOUR], boot=1)
    assert settle(ledger, 1).pools[0].reserved
    assert learned.snapshot(ledger, SPACE)[1]
    assert settle(ledger, 2) == Learned(2, (FOUR,))
    assert learned.snapshot(ledger, SPACE)[1] == {}
    with ledger.store.reading() as tx:
        assert tx.journal(limit=1)[0].reason == "the machine was rebooted since"


def test_a_lease_of_no_known_boot_is_kept(ledger: Ledger) -> None:
    merge(ledger, FOUR)
    take(ledger, "whenever", [FOUR], boot=0)
    settle(ledger, 2)
    assert list(learned.snapshot(ledger, SPACE)[1].values()) == ["whenever"]


addresses = st.integers(0, (1 << 128) - 1)
pools = st.builds(
    lambda first, length, gateway, interface, priority, spans, reserved: LearnedPool(
        Prefix(first >> (128 - length) << (128 - length), length), gateway, interface, priority,
        tuple(Range(min(s), max(s)) for s in spans), reserved,
    ),
    addresses, st.integers(97, 128), st.none() | addresses, st.text(), st.integers(-5, 5),
    st.lists(st.tuples(addresses, addresses)), st.booleans(),
)  # fmt: skip


@given(st.builds(Learned, st.integers(0, 9), st.lists(pools, max_size=4).map(tuple)))
def test_what_is_written_down_is_read_back(known: Learned) -> None:
    assert learned.decode(learned.encode(known)) == known


def test_nothing_written_is_nothing_known() -> None:
    assert learned.decode("") == Learned()
