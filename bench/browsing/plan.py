"""A large plan, written into a store in bulk: the same rows that its API would have written, in minutes less."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from tests.plan.clouds import MemoryCloud

from unipam.addr.prefix import Prefix, line_length
from unipam.model import objects
from unipam.model.cloud import key
from unipam.model.objects import External, Network, Reservation, parse_cidr
from unipam.model.records import Entry, Owner
from unipam.plan import blocks
from unipam.plan.open import open_store
from unipam.plan.reserve import MOST, ReservationRequest, reserve
from unipam.plan.tree import CREATE, Author, Draft, Plan, create_all, find_block, find_space
from unipam.store.api import Tx

YEAR = 365 * 86400.0
BLOCKS = {"many": "10.0.0.0/8", "nets": "172.16.0.0/12", "out": "100.64.0.0/10"}
_LIFE = 30 * 86400.0
"""Seconds for which a reservation of the past was there."""
_WRITTEN = 20_000
"""Lines of the journal that one transaction carries."""


class Size(NamedTuple):
    """How many there are of each."""

    networks: int
    reservations: int
    externals: int
    entries: int

    @classmethod
    def of(cls, thousands: int) -> Size:
        """Return the size with so many thousand reservations; 60 is the size that the limits are for."""
        return cls(*(thousands * 1000 * each // 60 for each in (10, 60, 10, 1000)))

    def __str__(self) -> str:
        return (
            f"{self.networks:,} networks, {self.reservations:,} reservations, {self.externals:,} externals,"
            f" {self.entries:,} lines of journal"
        )


def cloud(size: Size) -> MemoryCloud:
    """Return what Azure has: the networks, of a /28 with one subnet each."""
    made = MemoryCloud()
    for n in range(size.networks):
        base = f"172.{16 + n // 4096}.{n // 16 % 256}.{n % 16 * 16}"
        made.put(f"net-{n}", f"{base}/28", subnets={"a": f"{base}/29"})
    return made


def fill(database: str, size: Size) -> None:
    """Write the plan: a year of reservations that came and went, then what is there now."""
    plan = Plan(open_store(database))
    now = plan.clock()
    Plan(plan.store, lambda: now - YEAR).write(_frame, Author("bench"))
    block = {name: plan.read(lambda tx: find_block(tx, find_space(tx, "S").id, name)) for name in BLOCKS}  # noqa: B023
    standing = size.networks + size.reservations + size.externals
    past = _past(block["many"].id, (size.entries - standing) // 2, now, plan.read(lambda tx: tx.last_entry()))
    while some := list(islice(past, _WRITTEN)):
        plan.write(lambda tx, _: tx.record_all(some), Author("bench"))
    for first in range(0, size.reservations, MOST):
        plan.write(lambda tx, by: _reserve(tx, by, first, size.reservations), _author(first))  # noqa: B023
    plan.write(lambda tx, by: create_all(tx, *_networks(by, block["nets"].id, size)), _author(1))
    plan.write(lambda tx, by: create_all(tx, *_externals(by, block["out"].id, size)), _author(2))
    plan.store.settle()
    plan.store.close()


def _author(number: int) -> Author:
    return Author(f"person{number % 40}@example.org", f"person{number % 40}")


def _frame(tx: Tx, by: Author) -> None:
    blocks.create_space(tx, by, "S", "large")
    for name, cidr in BLOCKS.items():
        blocks.create_block(tx, by, "S", blocks.NewBlock(name, parse_cidr(cidr)))


def _past(block: int, amount: int, now: float, number: int) -> Iterator[Entry]:
    """Yield, in the order of time, how reservations of a /28 each began and were cancelled `_LIFE` later.

    An end names the number of its beginning; `number` is that of the last line before all of these.
    """
    living: deque[Entry] = deque()
    for n in range(amount):
        begun = _beginning(block, n, now - YEAR + (YEAR - _LIFE) * n / amount)
        number += 1
        yield begun
        living.append(begun._replace(id=number))
        while living and living[0].at + _LIFE <= begun.at:
            number += 1
            yield _end(living.popleft())
    yield from map(_end, living)


def _beginning(block: int, n: int, at: float) -> Entry:
    by = _author(n)
    facts = Reservation(uuid.UUID(int=n).hex, at, by.actor, by.subject, desc=f"project {n % 900}")
    first = parse_cidr(BLOCKS["many"]).first + 16 * (n % 100_000)
    last = first + 15
    return Entry(at, CREATE, block, first, last, Owner(facts.id), 0, by.actor, "", objects.encode(facts))


def _end(begun: Entry) -> Entry:
    at, reason = begun.at + _LIFE, "no longer needed"
    return begun._replace(at=at, verb="settle", generation=begun.id, reason=reason, id=0)


def _reserve(tx: Tx, by: Author, first: int, all_of_them: int) -> None:
    amount = min(MOST, all_of_them - first)
    reserve(tx, ReservationRequest(by, "S", ("many",), 28, amount=amount, desc=f"no {first}"), by.now)


def _networks(by: Author, block: int, size: Size) -> tuple[list[Author], list[Draft]]:
    """Return nine of ten networks as what the plan knows; the others drift."""
    known = list(cloud(size).networks.values())[: size.networks * 9 // 10]
    drafts = [
        Draft(block, prefix, Owner(key(each.id)), Network(each.id, each.name))
        for each in known
        for prefix in each.prefixes
    ]
    return [by] * len(drafts), drafts


def _externals(by: Author, block: int, size: Size) -> tuple[list[Author], list[Draft]]:
    length, first = line_length(28, 4), parse_cidr(BLOCKS["out"]).first
    drafts = [
        Draft(block, Prefix(first + 16 * n, length), Owner(f"x{n}"), External(f"x{n}", "outside"))
        for n in range(size.externals)
    ]
    return [by] * len(drafts), drafts
