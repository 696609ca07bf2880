"""A large plan, written into a store in bulk: the same rows that its API would have written, in minutes less."""

from __future__ import annotations

import uuid
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
    plan.write(_frame, Author("bench"))
    block = {name: plan.read(lambda tx: find_block(tx, find_space(tx, "S").id, name)) for name in BLOCKS}  # noqa: B023
    standing = size.networks + size.reservations + size.externals
    past = _past(block["many"].id, (size.entries - standing) // 2, plan.clock())
    while some := list(islice(past, _WRITTEN // 2)):
        plan.write(lambda tx, _: _record(tx, some), Author("bench"))
    for first in range(0, size.reservations, MOST):
        plan.write(lambda tx, by: _reserve(tx, by, first, size.reservations), _author(first))  # noqa: B023
    plan.write(lambda tx, by: create_all(tx, *_networks(by, block["nets"].id, size)), _author(1))
    plan.write(lambda tx, by: create_all(tx, *_externals(by, block["out"].id, size)), _author(2))
    plan.store.close()


def _author(number: int) -> Author:
    return Author(f"person{number % 40}@example.org", f"person{number % 40}")


def _frame(tx: Tx, by: Author) -> None:
    blocks.create_space(tx, by, "S", "large")
    for name, cidr in BLOCKS.items():
        blocks.create_block(tx, by, "S", blocks.NewBlock(name, parse_cidr(cidr)))


def _past(block: int, amount: int, now: float) -> Iterator[Entry]:
    """Yield the beginnings of reservations, of a /28 each, that were cancelled later on."""
    length, first = line_length(28, 4), parse_cidr(BLOCKS["many"]).first
    for n in range(amount):
        by, at = _author(n), now - YEAR + YEAR * n / amount
        facts = Reservation(uuid.UUID(int=n).hex, at, by.actor, by.subject, desc=f"project {n % 900}")
        prefix = Prefix(first + 16 * (n % 100_000), length)
        details = objects.encode(facts)
        yield Entry(at, CREATE, block, prefix.first, prefix.last, Owner(facts.id), 0, by.actor, "", details)


def _record(tx: Tx, made: list[Entry]) -> None:
    """Write down that each came, and that it was cancelled: an end names the number of its beginning."""
    numbers = tx.record_all(made)
    ends = (
        e._replace(verb="settle", generation=n, reason="no longer needed") for e, n in zip(made, numbers, strict=True)
    )
    tx.record_all(list(ends))


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
