"""Reservations and networks of a plan against a whole Azure on loopback: tags, prefixes, deletions, rights.

Every step looks through the real client and brings the plan up to what was seen, as the running register does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.clock import Clock
from tests.fakes.azure import FakeAzure, azure

from unipam.addr.prefix import parse_prefix
from unipam.clients.azure.settings import Settings
from unipam.clients.azure.source import Azure
from unipam.model import objects
from unipam.model.cloud import Snapshot
from unipam.plan import blocks, reservations
from unipam.plan import networks as plan_networks
from unipam.plan.cloud import drift as cloud_drift
from unipam.plan.cloud.findings import planned
from unipam.plan.cloud.sync import GRACE, SYSTEM, sync
from unipam.plan.reads import use_of
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import ReservationRequest, reserve
from unipam.plan.tree import Author, Plan, find_block, find_space
from unipam.store.memory import MemoryStore

ME = Author("me@example.com", "me")


class Register:
    """A plan with one space `s` and one block `b` of 10.0.0.0/16, beside a fake Azure with one subscription."""

    def __init__(self, fake: FakeAzure, clock: Clock) -> None:
        self.fake = fake
        self.clock = clock
        self.subscription = fake.subscribe("prod")
        entra = fake.entra
        self.source = Azure(
            Settings(entra.tenant, entra.client, entra.secret, authority=fake.base, endpoint=fake.base, ca_file=fake.ca)
        )
        self.plan = Plan(MemoryStore(), clock)
        self.plan.write(lambda tx, by: blocks.create_space(tx, by, "s", "space"), ME)
        self.block("b", "10.0.0.0/16")
        self.snapshot = Snapshot()

    def block(self, name: str, prefix: str) -> None:
        new = blocks.NewBlock(name, parse_prefix(prefix))
        self.plan.write(lambda tx, by: blocks.create_block(tx, by, "s", new), ME)

    def reserve(self, prefix: str, block: str = "b") -> str:
        wanted = ReservationRequest(ME, "s", (block,), prefix=parse_prefix(prefix))
        return self.plan.write(lambda tx, by: reserve(tx, wanted, by.now), ME)[0].facts.id

    def associate(self, resource_id: str) -> None:
        self.look()
        network = self.snapshot.network(resource_id)
        assert network is not None
        self.plan.write(lambda tx, by: plan_networks.associate(tx, by, "s", "b", network), ME)

    def look(self) -> None:
        self.snapshot = self.source.read(self.snapshot)

    def follow(self) -> int:
        """Look, and bring the plan up to it; how many objects changed."""
        self.look()
        return self.plan.write(lambda tx, _: sync(tx, SYSTEM._replace(now=self.clock()), self.snapshot), SYSTEM)

    def reservation(self, number: str) -> Reserved:
        return self.plan.read(lambda tx: reservations.find(tx, "s", "b", number))

    def status(self, number: str) -> str:
        return self.reservation(number).facts.status

    def networks(self) -> dict[str, tuple[list[str], bool]]:
        """The block's networks by name, with their prefixes and whether they are there."""
        rows = self.plan.read(lambda tx: plan_networks.associated(tx, find_block(tx, find_space(tx, "s").id, "b")))
        return {row.facts.name: (sorted(map(str, row.prefixes)), row.active) for row in rows}

    def used(self) -> int:
        return self.plan.read(lambda tx: use_of(tx, find_block(tx, find_space(tx, "s").id, "b"))).used

    def findings(self) -> set[str]:
        blocks = self.plan.read(lambda tx: planned(tx, self.snapshot)).blocks
        return {finding.rule for finding in cloud_drift.findings(blocks, self.snapshot)}

    def vnet(self, name: str, *prefixes: str, tag: str = "", key: str = "X-IPAM-RES-ID") -> str:
        return self.fake.vnet(self.subscription, name, *prefixes, tags={key: tag} if tag else {})


@pytest.fixture
def register(tmp_path: Path, clock: Clock) -> Iterator[Register]:
    clock.now = time.time()
    with azure(tmp_path) as fake:
        made = Register(fake, clock)
        with closing(made.source):
            yield made


@pytest.mark.parametrize("key", ["X-IPAM-RES-ID", "x-ipam-res-id", "ipam-res-id"])
def test_a_tagged_network_fulfils_its_reservation(register: Register, key: str) -> None:
    number = register.reserve("10.0.4.0/24")
    assert (register.follow(), register.status(number)) == (0, objects.WAIT)
    register.vnet("v", "10.0.4.0/24", tag=number, key=key)
    assert register.follow() > 0
    facts = register.reservation(number).facts
    assert (facts.status, facts.settled_by, facts.settled_on) == (objects.FULFILLED, "AzureIPAM", register.clock.now)
    assert register.networks() == {"v": (["10.0.4.0/24"], True)}
    assert register.findings() == set()


def test_once_is_enough(register: Register) -> None:
    number = register.reserve("10.0.4.0/24")
    register.vnet("v", "10.0.4.0/24", tag=number)
    register.follow()
    entries = register.plan.read(lambda tx: len(tx.journal(limit=1000)))
    assert [register.follow() for _ in range(3)] == [0, 0, 0]
    assert register.plan.read(lambda tx: len(tx.journal(limit=1000))) == entries, "it wrote although nothing changed"
    assert register.used() == 256


def test_one_network_fulfils_several_and_counts_once(register: Register) -> None:
    numbers = [register.reserve("10.0.4.0/24"), register.reserve("10.0.8.0/22")]
    register.vnet("v", "10.0.4.0/24", "10.0.8.0/22", tag=f" {numbers[0]} ,{numbers[1]},{numbers[0]}, unknown")
    register.follow()
    assert [register.status(number) for number in numbers] == [objects.FULFILLED] * 2
    assert register.networks() == {"v": (["10.0.4.0/24", "10.0.8.0/22"], True)}
    assert register.used() == 256 + 1024
    assert register.findings() == {cloud_drift.TAG_UNKNOWN}


def test_another_prefix_does_not_fulfil_until_it_is_put_right(register: Register) -> None:
    number = register.reserve("10.0.4.0/24")
    register.vnet("v", "10.0.4.0/23", tag=number)
    register.follow()
    assert register.status(number) == objects.MISMATCH
    assert register.networks() == {}
    assert register.findings() == {cloud_drift.TAG_MISMATCH}
    register.vnet("v", "10.0.4.0/24", tag=number)
    register.follow()
    assert (register.status(number), register.findings()) == (objects.FULFILLED, set())


def test_a_tag_that_is_taken_away_makes_it_wait_again(register: Register) -> None:
    number = register.reserve("10.0.4.0/24")
    register.vnet("v", "10.0.0.0/24", tag=number)
    register.follow()
    register.vnet("v", "10.0.0.0/24")
    register.follow()
    assert register.status(number) == objects.WAIT


@pytest.mark.parametrize("other", ["10.0.4.0/24", "10.0.4.128/25", "10.0.4.0/22"])
def test_what_lies_there_already_hinders_it_also_in_part(register: Register, other: str) -> None:
    there = register.vnet("there", "10.0.128.0/24")
    register.associate(there)
    number = register.reserve("10.0.4.0/24")
    register.vnet("there", "10.0.128.0/24", other)
    register.vnet("v", "10.0.4.0/24", tag=number)
    register.follow()
    assert register.status(number) == objects.EXISTS
    assert register.networks() == {"there": (["10.0.128.0/24"], True)}
    assert register.findings() == {cloud_drift.CONTESTED}
    register.vnet("there", "10.0.128.0/24")
    register.follow()
    assert register.status(number) == objects.FULFILLED


def test_prefixes_come_and_go_with_the_network(register: Register) -> None:
    register.associate(register.vnet("v", "10.0.0.0/24", "172.16.0.0/24"))
    assert register.findings() == {cloud_drift.OUTSIDE}
    register.vnet("v", "10.0.1.0/24", "10.0.2.0/24")
    register.follow()
    assert register.networks() == {"v": (["10.0.1.0/24", "10.0.2.0/24"], True)}
    assert register.findings() == set()


def test_a_network_that_is_gone_gives_its_place_back_after_a_while(register: Register) -> None:
    number = register.reserve("10.0.4.0/24")
    resource = register.vnet("v", "10.0.4.0/24", tag=number)
    register.follow()
    register.fake.arm.drop(resource)
    register.follow()
    assert register.networks() == {"v": (["10.0.4.0/24"], False)}
    assert register.findings() == {cloud_drift.VANISHED, cloud_drift.LOST}
    register.clock.now += GRACE
    register.follow()
    assert (register.networks(), register.used()) == ({"v": ([], False)}, 0)
    again = register.reserve("10.0.4.0/24")
    assert register.status(again) == objects.WAIT


def test_what_cannot_be_read_keeps_its_place(register: Register) -> None:
    register.associate(register.vnet("v", "10.0.4.0/24"))
    register.fake.revoke(register.fake.entra.principal, register.subscription)
    register.clock.now += 10 * GRACE
    register.follow()
    assert register.networks() == {"v": (["10.0.4.0/24"], True)}
    assert register.findings() == {cloud_drift.UNSEEN}
    with pytest.raises(Exception, match=r"10\.0\.4\.0/24 overlaps"):
        register.reserve("10.0.4.0/24")


def test_a_stale_listing_does_not_take_a_place_away(register: Register) -> None:
    register.fake.arm.stale = True
    number = register.reserve("10.0.4.0/24")
    register.vnet("v", "10.0.4.0/24", tag=number)
    register.follow()
    assert register.status(number) == objects.WAIT, "Resource Graph does not know of it yet"
    register.fake.arm.catch_up()
    register.follow()
    assert register.status(number) == objects.FULFILLED


def test_two_networks_for_one_reservation(register: Register) -> None:
    number = register.reserve("10.0.4.0/24")
    register.vnet("a", "10.0.9.0/24", tag=number)
    register.vnet("b", "10.0.4.0/24", tag=number)
    register.look()
    assert cloud_drift.TAG_TWICE in register.findings()
    register.follow()
    assert register.status(number) == objects.FULFILLED, "the one that has the prefix is the one that counts"
    assert register.networks() == {"b": (["10.0.4.0/24"], True)}


def test_an_id_in_capitals_is_the_same_network(register: Register) -> None:
    resource = register.vnet("v", "10.0.4.0/24")
    register.associate(resource)
    register.fake.arm.drop(resource)
    register.fake.vnet(register.subscription, "V", "10.0.4.0/24")
    assert register.follow() == 0
    assert register.networks() == {"v": (["10.0.4.0/24"], True)}
