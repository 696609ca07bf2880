"""Days with faults: nothing that a pod uses is unassigned, nothing is handed out twice, nothing leaks for good.

`UNIPAM_CILIUM_DAYS` says how many, `UNIPAM_CILIUM_SEED` with which one to begin; a failure names its seed.
"""

from __future__ import annotations

import os
import random

import pytest
from tests.controllers.cilium.simulation import Agent, Simulation
from tests.fakes.azure_compute import GROUP
from tests.fakes.azure_http import Refused
from tests.fakes.simulated import LOST, UNSENT

from unipam.clients.azure.write.jobs import Ask
from unipam.dialects.cilium.planning import Policy

DAYS = int(os.environ.get("UNIPAM_CILIUM_DAYS", "25"))
FIRST = int(os.environ.get("UNIPAM_CILIUM_SEED", "0"))
SCALE_SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/np"
_LIMITED = Refused(429, "TooManyRequests", "throttled", {"Retry-After": "20"})
_BUSY = Refused(409, "Conflict", "another operation is in progress")
_FAULTS = (LOST, UNSENT, _LIMITED, _BUSY, Refused(503, "ServerBusy", ""), Refused(500, "InternalServerError", ""))


class Day:
    """A small cluster, and what goes wrong in it."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.operator = Simulation(
            self.dice.randint(1, 3),
            policy=Policy(release=True, release_after=self.dice.choice([20.0, 60.0, 180.0])),
            cidr=self.dice.choice(["10.240.0.0/25", "10.240.0.0/26"]),
        )
        self.operator.azure.arm.takes = self.dice.choice([0.1, 3.0, 40.0])
        self.operator.azure.fault = self.fault
        self.operator.cluster.fault = self.lost
        self.bad = 0.3
        self.seen = 0
        self.machines = len(self.operator.ids)

    def fault(self, ask: Ask) -> str | Refused | None:
        if self.dice.random() > self.bad:
            return None
        if ask.writes and self.dice.random() < 0.2:
            self.operator.azure.arm.fail_next = self.dice.choice(
                [("InternalServerError", "failed halfway"), ("Canceled", "by another")]
            )
            return None
        return self.dice.choice(_FAULTS)

    def lost(self) -> str:
        return self.dice.choice(["lost", "applied"]) if self.dice.random() < self.bad / 3 else ""

    def happen(self) -> None:
        """Something."""
        operator, dice = self.operator, self.dice
        what = dice.choice(
            ["more", "more", "fewer", "fewer", "tell", "tell", "restart", "away", "join", "leave", "others"]
        )
        name = dice.choice(sorted(operator.agents)) if operator.agents else ""
        if what in ("more", "fewer") and name:
            operator.agents[name].use(dice.randint(1, 12) * (1 if what == "more" else -1))
        elif what == "tell" and name:
            operator.agents[name].tell()
        elif what == "restart":
            operator.start()
        elif what == "away":
            operator.cluster.away = not operator.cluster.away
        elif what == "join" and self.machines < 4 and self.room > 1:
            machine = operator.compute.machine(SCALE_SET, self.machines)
            operator.node(f"n{self.machines}", machine)
            self.machines += 1
        elif what == "leave" and name:  # the CiliumNode is gone, and comes back under its name with its pods
            self._recreate(name)
        elif what == "others":
            self._others()

    def _recreate(self, name: str) -> None:
        pods, machine = self.operator.agents[name].pods, self.operator.cluster.documents[name]["spec"]["instance-id"]
        self.operator.cluster.remove(name)
        self.check(self.dice.uniform(0, 40))
        self.operator.node(name, machine)
        self.operator.agents[name].pods = pods
        self.operator.agents[name].tell()

    @property
    def room(self) -> int:
        return self.operator.compute._size - len(self.operator.compute.holders)

    def _others(self) -> None:
        taken = [ip for ip, holder in self.operator.compute.holders.items() if holder == "others"]
        if taken:
            for ip in taken:
                del self.operator.compute.holders[ip]
        elif self.room > 8:
            self.operator.compute.fill(left=self.dice.randint(4, 8))

    def check(self, seconds: float) -> None:
        """Let time pass, agents telling every 15 s, and look that nothing is wrong."""
        end = self.operator.world.now + seconds
        while self.operator.world.now < end:
            self.operator.run(min(15.0, end - self.operator.world.now), self._is_wrong)
            assert not self._is_wrong(), self._is_wrong()
            for agent in self.operator.agents.values():
                if agent.name in self.operator.cluster.documents and not self.operator.cluster.away:
                    agent.tell()

    def _is_wrong(self) -> str:
        agents = self.operator.agents.values()
        history, self.seen = self.operator.compute.history[self.seen :], len(self.operator.compute.history)
        for verb, ip, holder in history:
            users = [each.name for each in agents if ip in each.pods]
            if verb == "take" and users:
                return f"{ip} was taken from {holder} while a pod of {users} uses it"
        every = [ip for each in agents for ip in each.pods]
        return "" if len(set(every)) == len(every) else f"two pods have one address: {sorted(every)}"

    def end(self) -> None:
        """All goes well again: within an hour every node has what it is to have, and nothing more."""
        self.bad, self.operator.cluster.away = 0.0, False
        self.operator.azure.arm.fail_next = None
        self._others_go()
        for agent in self.operator.agents.values():
            agent.use(4 - len(agent.pods))
            agent.tell()
        self.check(3 * 3600.0 + 900.0)
        for agent in self.operator.agents.values():
            self._is_settled(agent)

    def _others_go(self) -> None:
        holders = self.operator.compute.holders
        for ip in [ip for ip, holder in holders.items() if holder == "others"]:
            del holders[ip]

    def _is_settled(self, agent: Agent) -> None:
        machine = agent.document["spec"]["instance-id"]
        assert self.operator.pool(agent.name) == self.operator.compute.addresses(machine)
        assert len(self.operator.pool(agent.name)) == len(agent.pods) + 8
        assert agent.pods <= self.operator.pool(agent.name)
        assert agent.document["status"]["ipam"].get("release-ips", {}) == {}


@pytest.mark.parametrize("seed", range(FIRST, FIRST + DAYS))
def test_a10_a_day_with_faults(seed: int) -> None:
    """A10: and whatever else may happen within some hours."""
    day = Day(seed)
    for _ in range(day.dice.randint(10, 60)):
        day.happen()
        day.check(day.dice.choice([0.1, 2.0, 20.0, 120.0]))
    day.end()
