"""Random plans against a slow, obvious oracle: a set of addresses for each block.

`UNIPAM_PLANS` says how many plans (two thousand unless set); a million take half an hour.
"""

from __future__ import annotations

import os
import random

from unipam.addr.prefix import BITS, V4_FIRST, Prefix
from unipam.model.errors import Exhausted, Overlap
from unipam.plan import blocks
from unipam.plan.reservations import cancel
from unipam.plan.reserve import ReservationRequest, reserve
from unipam.plan.tree import Author, Plan
from unipam.store.memory import MemoryStore
from unipam.store.sqlite import SqliteStore

PLANS = int(os.environ.get("UNIPAM_PLANS", "2000"))
ME = Author("me", "me")
BASE = V4_FIRST + (10 << 24)


class Oracle:
    """The free addresses of one block, as a set; prefixes are found by trying each."""

    def __init__(self, block: Prefix) -> None:
        self.block = block
        self.free = set(range(block.first, block.last + 1))

    def holes(self) -> list[Prefix]:
        """The free space as the fewest prefixes: halve what is not wholly free."""
        found, todo = [], [self.block]
        while todo:
            prefix = todo.pop()
            inside = sum(address in self.free for address in range(prefix.first, prefix.last + 1))
            if inside == prefix.size:
                found.append(prefix)
            elif inside:
                half = prefix.length + 1
                todo += [Prefix(prefix.first + (1 << (BITS - half)), half), Prefix(prefix.first, half)]
        return found

    def find(self, length: int, reverse: bool, smallest: bool) -> Prefix | None:
        """As the original's allocator chooses (spec azure-ipam-application §1.5)."""
        holes = [hole for hole in self.holes() if hole.length <= length]
        if smallest and holes:
            longest = max(hole.length for hole in holes)
            holes = [hole for hole in holes if hole.length == longest]
        if not holes:
            return None
        hole = holes[-1] if reverse else holes[0]
        return Prefix(hole.last - (1 << (BITS - length)) + 1 if reverse else hole.first, length)

    def take(self, prefix: Prefix) -> None:
        self.free -= set(range(prefix.first, prefix.last + 1))

    def give(self, prefix: Prefix) -> None:
        self.free |= set(range(prefix.first, prefix.last + 1))


def test_random_plans_are_what_sets_of_addresses_say() -> None:
    for seed in range(PLANS):
        live(Plan(MemoryStore(), lambda: 1.0), random.Random(seed), steps=12, bits=6)


def test_one_long_life_on_a_file(tmp_path: object) -> None:
    store = SqliteStore(f"{tmp_path}/plan.db")
    live(Plan(store, lambda: 1.0), random.Random(7), steps=400, bits=9)
    assert store.check() == []
    store.close()


def live(plan: Plan, dice: random.Random, steps: int, bits: int) -> None:
    """Some reservations and cancellations in one block; after each, plan and oracle agree."""
    block = Prefix(BASE, BITS - bits)
    oracle, held = Oracle(block), dict[str, Prefix]()
    plan.write(lambda tx, by: blocks.create_space(tx, by, "S", "s"), ME)
    plan.write(lambda tx, by: blocks.create_block(tx, by, "S", blocks.NewBlock("B", block)), ME)
    for _ in range(steps):
        if held and dice.random() < 0.35:
            name = dice.choice(sorted(held))
            plan.write(lambda tx, by, n=name: cancel(tx, by, "S", "B", [n], lambda _: None), ME)  # type: ignore[misc]
            oracle.give(held.pop(name))
        else:
            held |= step(plan, oracle, dice, bits)


def step(plan: Plan, oracle: Oracle, dice: random.Random, bits: int) -> dict[str, Prefix]:
    """One reservation, or a few at once, if they are possible: by size or by prefix. What is reserved, by its id."""
    length, amount = BITS - dice.randrange(bits), dice.choice((1, 1, 2, 3))
    wanted = ReservationRequest(
        ME, "S", ("B",), length - 96, None, amount, None, dice.random() < 0.5, dice.random() < 0.5
    )
    if dice.random() < 0.3:
        place = oracle.block.first + (dice.randrange(1 << bits) >> (BITS - length) << (BITS - length))
        wanted = wanted._replace(prefix=Prefix(place, length), amount=1)
    expected = choose(oracle, wanted, length)
    try:
        rows = plan.write(lambda tx, by: reserve(tx, wanted, by.now), ME)
    except (Exhausted, Overlap):
        rows = []
    assert [row.prefix for row in rows] == [str(prefix) for prefix in expected], wanted
    return dict(zip([row.facts.id for row in rows], expected, strict=True))


def choose(oracle: Oracle, wanted: ReservationRequest, length: int) -> list[Prefix]:
    """What a request must get, one after the other, all or none; it is taken then."""
    found: list[Prefix] = []
    for _ in range(wanted.amount):
        prefix = wanted.prefix or oracle.find(length, wanted.reverse, wanted.smallest)
        if prefix is None or not set(range(prefix.first, prefix.last + 1)) <= oracle.free:
            for each in found:
                oracle.give(each)
            return []
        oracle.take(prefix)
        found.append(prefix)
    return found
