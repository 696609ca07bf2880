"""The policies that take a number, and holdings that count only within ranges."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.addr.prefix import Range
from unipam.ledger.change import View
from unipam.model import rules
from unipam.model.errors import Exhausted, Unmet
from unipam.model.records import HELD, LEASE, Claim, Owner, Pool, PoolRange, Request
from unipam.store.memory import MemoryStore

SPANS = ((10, 12), (20, 20), (30, 39))
POOL = Pool(-1, tuple(PoolRange(first, last, 120) for first, last in SPANS))
ALL = [address for first, last in SPANS for address in range(first, last + 1)]


class World:
    """A space with some of the addresses held."""

    def __init__(self, holders: dict[int, str]) -> None:
        store = MemoryStore()
        with store.transaction() as tx:
            parent = tx.create_space("s", 0.0)
            for address, holder in holders.items():
                tx.insert(Claim(parent, address, address, LEASE, Owner(holder), HELD))
        with store.reading() as tx:
            self.view = View(tx, parent)


@given(st.sets(st.sampled_from(ALL)), st.integers(0, (1 << 32) - 1))
def test_the_address_behind_a_place_or_the_next_free_one_round_and_round(taken: set[int], number: int) -> None:
    place = number % len(ALL)
    expected = next((a for a in ALL[place + 1 :] + ALL[: place + 1] if a not in taken), None)
    found = rules.from_place(number)(World(dict.fromkeys(taken, "other")).view, POOL)
    assert (found and found[1]) == expected
    assert found is None or found[0].first <= found[1] <= found[0].last


def test_every_free_address_can_be_chosen() -> None:
    view = World({11: "other", 35: "other"}).view
    chosen = Counter(found[1] for number in range(len(ALL)) if (found := rules.from_place(number)(view, POOL)))
    assert set(chosen) == set(ALL) - {11, 35}


def test_a_gateway_is_never_chosen() -> None:
    pool = Pool(-1, (PoolRange(1, 3, 120, gateway=2),))
    assert {f[1] for n in range(9) if (f := rules.from_place(n)(World({}).view, pool))} == {1, 3}


def test_an_empty_pool_has_nothing() -> None:
    assert rules.from_place(7)(World({}).view, Pool(-1, ())) is None


def test_the_first_part_that_has_anything_is_preferred() -> None:
    parts = [Pool(-1, (r,)) for r in POOL.ranges]
    choose = rules.preferring(parts, rules.from_place(0))
    for taken, expected in ((set(), 11), ({10, 11, 12}, 20), ({10, 11, 12, 20}, 31)):
        found = choose(World(dict.fromkeys(taken, "other")).view, POOL)
        assert found
        assert found[1] == expected
    assert choose(World(dict.fromkeys(ALL, "other")).view, POOL) is None


def test_what_is_held_elsewhere_does_not_count() -> None:
    view = World({12: "me", 31: "me"}).view
    request = Request(Owner("me"), (Pool(-1, POOL.ranges[2:]),), again=True, within=(Range(30, 39),))
    assert [c.first for c in rules.decide(view, request).held] == [31]
    elsewhere = request._replace(pools=(Pool(-1, POOL.ranges[1:2]),), within=(Range(20, 29),))
    assert [g.address for g in rules.decide(view, elsewhere).grants] == [20]


def test_a_held_address_outside_of_every_pool_is_still_its_holders() -> None:
    view = World({25: "me"}).view
    request = Request(Owner("me"), (), (25,), again=True, within=(Range(25, 25),))
    assert [c.first for c in rules.decide(view, request).held] == [25]
    with pytest.raises(Unmet):
        rules.decide(view, request._replace(owner=Owner("other")))
    with pytest.raises(Exhausted):
        rules.decide(view, Request(Owner("other"), (Pool(-1, ()),)))
