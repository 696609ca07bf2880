"""Days of a node: its agents, its pods, an operator and people's hands, in any order and as late as it may be.

The operator is the adversary's: it marks whatever it likes, and takes an address as soon as any document that it has
seen says that the node gives it up, however old that document is by then, but never what that says is used. Agents
look at documents that are behind, are killed between any two steps, and there are two of them. What must hold: no
address is taken from the machine while a pod has it, and no two pods have one.
"""

from __future__ import annotations

import copy
import os
import random
from typing import Any

import pytest
from tests.clock import Clock
from tests.dialects.native.cluster import NIC, cilium_node, merged

from unipam.addr.prefix import format_address
from unipam.dialects.cilium.node import KEPT, MARKED, READY, RELEASED, CiliumNode, node_of
from unipam.dialects.host_local.pod_cidr import Node
from unipam.dialects.native import handshake, space
from unipam.dialects.native.space import SPACE, Known
from unipam.ledger.ledger import Ledger
from unipam.model.errors import Refused
from unipam.model.records import HELD, Owner, Request
from unipam.store.memory import MemoryStore

WHOSE = Node("n1", "")
DAYS = int(os.environ.get("UNIPAM_DAYS", "30"))
STEPS = 1000


class Agent:
    """Sees documents up to `at`, and does one thing at a time."""

    def __init__(self) -> None:
        self.at = 0
        self.asked: tuple[Known, int] | None = None
        self.says: tuple[CiliumNode, space.Taken] | None = None


class Day:
    """Everything there is, and what may happen next."""

    def __init__(self, seed: int) -> None:
        self.dice, self.clock = random.Random(seed), Clock()
        self.ledger = Ledger(MemoryStore(), self.clock, 2)
        self.machine = {f"10.240.0.{10 + i}" for i in range(8)}
        self.documents: list[Any] = [cilium_node(*sorted(self.machine))]
        self.agents = [Agent(), Agent()]
        self.taking: set[str] = set()
        self.operator_at, self.pods, self.began = 0, 0, 0.0

    # What the API server does

    def write(self, patch: dict[str, Any], at: str = "") -> bool:
        """Write the document, at a revision if one is named."""
        now = self.documents[-1]
        if at and at != now["metadata"]["resourceVersion"]:
            return False
        made = merged(now, patch)
        made["metadata"]["resourceVersion"] = str(int(now["metadata"]["resourceVersion"]) + 1)
        self.documents.append(made)
        return True

    # What pods do

    def held(self) -> dict[str, str]:
        with self.ledger.store.reading() as tx:
            parent = tx.space(SPACE)
            claims = list(tx.claims(parent)) if parent else []
        return {format_address(each.first): each.owner.holder for each in claims if each.state == HELD}

    def start(self) -> None:
        self.pods += 1
        before = self.held()
        cooldown = self.dice.choice([0, 0, 30])
        request = Request(Owner(f"c{self.pods}", "eth0"), (), cooldown=cooldown, boot=2)
        try:
            allocation, _ = space.allocate(self.ledger, request)
        except Refused:
            return
        (claim,) = allocation.claims
        assert claim.text not in before, "two pods have one address"
        assert claim.text in self.machine, f"{claim.text} is not the machine's any more"

    def end(self) -> None:
        if held := self.held():
            self.ledger.release(SPACE, Owner(self.dice.choice(sorted(held.values())), "eth0"), "DEL")

    # What agents do

    def look(self, agent: Agent) -> None:
        """See what has come, perhaps not all of it; take it in, or ask for what there is if it is known to be old."""
        if self.dice.random() < 0.5:
            agent.at = self.dice.randint(agent.at, len(self.documents) - 1)
        seen = node_of(self.documents[agent.at])
        taken = space.take(self.ledger, WHOSE, seen)
        before = space.known(self.ledger)
        if taken is None or before.is_over(self.clock.now):
            agent.asked = before, -1
        else:
            agent.says = seen, taken

    def ask(self, agent: Agent) -> None:
        """Ask, or hear what was answered a while ago."""
        if agent.asked is None:
            return
        before, answered = agent.asked
        if answered < 0:
            agent.asked = before, len(self.documents) - 1
            return
        agent.asked = None
        seen = node_of(self.documents[answered])
        if taken := space.take(self.ledger, WHOSE, seen, asked_after=before):
            agent.says = seen, taken

    def tell(self, agent: Agent) -> None:
        """Write what there is to be said, late."""
        if agent.says is None:
            return
        (seen, taken), agent.says = agent.says, None
        ipam: dict[str, Any] = {"used": handshake.used_patch(seen, taken.used)}
        if taken.answers:
            self.write({"status": {"ipam": ipam | {"release-ips": taken.answers}}}, seen.revision)
        else:
            self.write({"status": {"ipam": ipam}})

    def die(self, agent: Agent) -> None:
        """An agent is killed; the next one lists anew."""
        agent.asked = agent.says = None
        agent.at = len(self.documents) - 1

    # What the operator does

    def mark(self) -> None:
        seen = self.operator_sees()
        free = sorted(seen.pool - set(seen.release))
        if free:
            state = {self.dice.choice(free): MARKED}
            self.write({"status": {"ipam": {"release-ips": state}}}, seen.revision)

    def call_off(self) -> None:
        seen = self.operator_sees()
        if marked := sorted(ip for ip, state in seen.release.items() if state in (MARKED, KEPT)):
            self.write({"status": {"ipam": {"release-ips": {self.dice.choice(marked): None}}}}, seen.revision)

    def begin_taking(self) -> None:
        seen = self.operator_sees()
        self.began = self.began if self.taking else self.clock.now
        self.taking |= {ip for ip, state in seen.release.items() if state == READY} - seen.used

    def take(self) -> None:
        """What was begun is done at Azure."""
        for ip in sorted(self.taking & self.machine):
            assert ip not in self.held(), f"{ip} was taken from the machine, and a pod has it"
            self.machine.discard(ip)
        self.taking = set()

    def publish(self) -> None:
        """Say what the machine has, and that what it has no more is released."""
        seen = self.operator_sees()
        pool = dict.fromkeys(seen.pool - self.machine) | {ip: {"resource": NIC} for ip in self.machine - self.taking}
        gone = {ip: RELEASED for ip, state in seen.release.items() if state == READY and ip not in self.machine}
        if not gone or self.write({"status": {"ipam": {"release-ips": gone}}}, seen.revision):
            self.write({"spec": {"ipam": {"pool": pool}}})

    def grow(self) -> None:
        """The machine gets an address, perhaps one that it has had."""
        if len(self.machine) < 12:
            self.machine.add(f"10.240.0.{self.dice.randint(10, 30)}")

    def operator_sees(self) -> CiliumNode:
        self.operator_at = self.dice.randint(max(self.operator_at, len(self.documents) - 4), len(self.documents) - 1)
        return node_of(self.documents[self.operator_at])

    # What people do

    def meddle(self) -> None:
        """Somebody edits the CiliumNode; not that an address is given up which the node has not given up."""
        now = self.documents[-1]
        ip = self.dice.choice(sorted(now["spec"]["ipam"]["pool"]) or ["10.240.0.10"])
        self.write(
            self.dice.choice(
                [
                    {"status": {"ipam": {"release-ips": {ip: None}}}},
                    {"status": {"ipam": {"release-ips": None}}},
                    {"status": {"ipam": {"release-ips": {ip: KEPT, "nonsense": MARKED}}}},
                    {"status": {"ipam": {"used": {ip: None}}}},
                    {"status": {"ipam": {"used": {"10.9.9.9": {"owner": "a/b"}}}}},
                    {"spec": {"ipam": {"pool": {ip: None}}}},
                    {"status": {"azure": None}},
                ]
            )
        )

    def mend(self) -> None:
        self.write({"status": {"azure": copy.deepcopy(cilium_node()["status"]["azure"])}})

    def wait(self) -> None:
        """Time goes by; no write at Azure takes as long as what was given up is kept from everybody."""
        if self.taking and self.clock.now > self.began + space.WITHHELD / 3:
            self.take()
        while self.machine != node_of(self.documents[-1]).pool - self.taking and not self.taking:
            self.publish()
        self.clock.now += self.dice.choice([1, 20])

    def step(self) -> None:
        agent = self.dice.choice(self.agents)
        deeds = [
            (12, self.start), (10, self.end), (14, lambda: self.look(agent)), (6, lambda: self.ask(agent)),
            (14, lambda: self.tell(agent)), (1, lambda: self.die(agent)), (6, self.mark), (0.5, self.call_off),
            (4, self.begin_taking), (4, self.take), (6, self.publish), (5, self.grow), (0.4, self.meddle),
            (3, self.mend), (3, self.wait),
        ]  # fmt: skip
        weights, what = zip(*deeds, strict=True)
        self.dice.choices(what, weights)[0]()


@pytest.mark.parametrize("seed", range(DAYS))
def test_nothing_that_a_pod_has_is_taken_and_nothing_is_given_twice(seed: int) -> None:
    """Seeds are tests' names: UNIPAM_DAYS says how many."""
    day = Day(seed)
    for _ in range(STEPS):
        day.step()


def test_days_are_not_empty() -> None:
    """Pods start, addresses are taken, and come back, in the days that are tried."""
    given, taken = set[str](), 0
    for seed in range(10):
        day = Day(seed)
        for _ in range(STEPS):
            before = len(day.machine)
            day.step()
            given |= day.held().keys()
            taken += len(day.machine) < before
    assert len(given) > 15
    assert taken > 15
