"""A small cluster's day, in which everything goes wrong that may: what `scenarios` runs for Cilium's operator."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from tests.controllers.cilium.simulation import Agent, Simulation
from tests.controllers.driven import ORIGIN, Driven, FaultyDay
from tests.controllers.scenarios import Event, Wrong
from tests.fakes.azure_compute import BLOCK, GROUP
from tests.fakes.weather import Weather

from unipam.addr.prefix import parse_address
from unipam.clients.azure.arm import Answer
from unipam.dialects.cilium.formulas import MOST, excess, needed
from unipam.dialects.cilium.node import KEPT, node_of
from unipam.dialects.cilium.planning import Policy
from unipam.model.errors import SourceFailed

SCALE_SET = f"{GROUP}/providers/Microsoft.Compute/virtualMachineScaleSets/np"
COPY = "copy"
TICK = 15.0
"""Seconds between two reports of an agent, and after which the operator looks though nothing woke it."""
_SUBNETS = ("10.240.0.0/25", "10.240.0.0/26")
_SETTLED = 8
"""So many times in a row is it looked whether all is well: for two minutes, and two surveys."""


class Machines(Driven, Simulation):
    """The operator as `Driven` looks after it."""

    longest = TICK

    def begin(self) -> None:
        self.operator = self.made()

    def round(self) -> None:
        seen = self.operator.observe(self.term)
        done = self.operator.carry_out(self.operator.desired(seen, self.wall()), self.term)
        self.operator.report(seen, done)

    def due(self) -> float:
        return self.operator.due()

    def wall(self) -> float:
        """The clock on the wall, which anybody may set."""
        return self.world.now


class Day(FaultyDay):
    """What `scenarios.Run` says. A seed says how large the cluster is, and how often requests go wrong."""

    def __init__(self, seed: int, traced: bool) -> None:
        dice = self.dice = random.Random(f"day {seed}")
        self.trace: list[str] = []
        self.blocks = dice.random() < 0.3
        policy = Policy(
            release=True,
            release_after=dice.choice((20.0, 60.0, 180.0)),
            strict=dice.random() < 0.2,
            blocks=self.blocks,
        )
        self.of: Machines = Machines(0, policy=policy, cidr="10.240.0.0/24" if self.blocks else dice.choice(_SUBNETS))
        self.of.weather = self.weather = Weather(self.of.azure, self.of.world, dice, dice.choice((0.0, 0.1, 0.3)))
        self.of.azure.arm.takes = dice.choice((0.1, 3.0, 40.0))
        self.of.compute.half = dice.random() < 0.5
        self.of.cluster.fault = self._fault
        self._slow = self.seen = 0
        self._wall = 0.0
        self.of.wall = lambda: self.of.world.now + self._wall  # type: ignore[method-assign]
        self.machines = 0
        for _ in range(dice.randint(1, 3)):
            self._join(Event("join", much=dice.randint(1, 12)))
        self.of.start()
        self._tick_at = self.of.world.now
        if traced:
            self._keep_trace()

    # What may happen

    def _node(self, event: Event) -> str:
        """The node that an event is about; empty when there is none."""
        names = sorted(self.of.agents)
        return names[event.which % len(names)] if names else ""

    def _agent(self, event: Event) -> Agent | None:
        name = self._node(event)
        return self.of.agents[name] if name in self.of.cluster.documents else None

    def _more(self, event: Event) -> None:
        if agent := self._agent(event):
            if event.which % 2:
                agent.look()
            for ip in agent.free[: event.much]:
                self._give(agent, ip)

    def _fewer(self, event: Event) -> None:
        if agent := self._agent(event):
            agent.use(-event.much)

    def _tell(self, event: Event) -> None:
        agent = self._agent(event)
        if agent and not self.of.cluster.away:
            agent.tell()

    def _sleep(self, event: Event) -> None:
        super()._sleep(event)
        self._check()

    def _clock(self, event: Event) -> None:
        self._wall = (event.much - 6) * 3600.0

    def _api(self, _: Event) -> None:
        cluster = self.of.cluster
        cluster.away = not cluster.away
        cluster.changed()

    def _stale(self, event: Event) -> None:
        self.of.cluster.stale = True
        self.of.world.after(event.much * 5.0, self.of.cluster.catch_up)

    def _slower(self, event: Event) -> None:
        self._slow = event.much

    def _join(self, event: Event) -> None:
        if self.machines >= 4 or self.room <= 1:
            return
        name, machine = f"n{self.machines}", self._machine()
        self.of.node(name, machine, **self._wishes(event))

    def _wishes(self, event: Event) -> dict[str, int]:
        made = {1: {"min_allocate": 12}, 2: {"max_allocate": 10}, 3: {"max_above_watermark": 3}, 4: {"pre_allocate": 2}}
        return made.get(event.much, {})

    def _machine(self) -> str:
        """A machine more, of the scale set or, where there are blocks, one that may stand alone and have them."""
        self.machines += 1
        if self.blocks and self.dice.random() < 0.7:
            return self.of.compute.alone(f"vm{self.machines}")
        self.of.azure.arm.raw(SCALE_SET)["sku"]["capacity"] = self.machines
        return self.of.compute.machine(SCALE_SET, self.machines - 1)

    def _recreate(self, event: Event) -> None:
        """The CiliumNode is gone, and comes back under its name, with the pods that run."""
        if agent := self._agent(event):
            machine = agent.document["spec"]["instance-id"]
            self.of.cluster.remove(agent.name)
            self._pass(event.wait)
            self.of.node(agent.name, machine)
            self.of.agents[agent.name].pods = agent.pods

    def _replace(self, event: Event) -> None:
        """The machine is gone with its pods, and another one has its name."""
        agent = self._agent(event)
        if agent is None or self.machines >= 6:
            return
        machine = agent.document["spec"]["instance-id"]
        self.of.agents.pop(agent.name)
        self.of.compute.gone(machine)
        self._pass(event.wait)
        if event.much < 6:
            self.of.cluster.remove(agent.name)
            self._pass(event.wait)
        if self.room > 1:
            self.of.node(agent.name, self._machine())
        elif agent.name in self.of.cluster.documents:
            self.of.cluster.remove(agent.name)

    def _edit(self, event: Event) -> None:
        """Somebody edits a CiliumNode by hand."""
        if agent := self._agent(event):
            document, edits = agent.document, (self._no_pool, self._bogus, self._no_interfaces, self._kept, self._said)
            spec, status = dict(document["spec"]), dict(document.get("status", {}))
            spec["ipam"], status["ipam"] = dict(spec.get("ipam", {})), dict(status.get("ipam", {}))
            edits[event.much % len(edits)](spec["ipam"], status)
            self.of.cluster.put(agent.name, {**document, "spec": spec, "status": status})

    def _written(self, event: Event) -> None:
        """Somebody else writes a machine's interfaces, as he may while nobody else does."""
        agent = self._agent(event)
        if agent and not self.of.compute.is_written(machine := agent.document["spec"]["instance-id"]):
            self.of.compute.write_begins(machine)
            self.of.world.after(event.much * 15.0, lambda: self.of.compute.write_ends(machine))

    def _copy(self, event: Event) -> None:
        """Somebody copies a CiliumNode; a later one is deleted by the next such event."""
        agent = self._agent(event)
        if COPY in self.of.cluster.documents:
            self.of.cluster.remove(COPY)
        elif agent:
            spec = {**agent.document["spec"], "ipam": {}}
            about = {"uid": COPY, "creationTimestamp": f"{self.of.world.now:.0f}"}
            self.of.cluster.put(COPY, {"metadata": about, "spec": spec})

    def _no_pool(self, ipam: dict[str, Any], _: dict[str, Any]) -> None:
        ipam.pop("pool", None)

    def _bogus(self, ipam: dict[str, Any], _: dict[str, Any]) -> None:
        ipam["pool"] = {**ipam.get("pool", {}), "192.0.2.1": {"resource": "by hand"}}

    def _no_interfaces(self, _: dict[str, Any], status: dict[str, Any]) -> None:
        status.pop("azure", None)

    def _kept(self, _: dict[str, Any], status: dict[str, Any]) -> None:
        release = status["ipam"].get("release-ips", {})
        status["ipam"]["release-ips"] = {
            ip: KEPT if state == "marked-for-release" else state for ip, state in release.items()
        }

    def _said(self, ipam: dict[str, Any], status: dict[str, Any]) -> None:
        ipam["min-allocate"] = 10
        status["ipam"]["operator-status"] = {"error": "somebody's"}

    def _others(self, event: Event) -> None:
        """Others fill the subnet, or leave it."""
        if not self._others_go() and self.room > 8:
            self.of.compute.fill(left=event.much % 5 + 3)

    def _others_go(self) -> bool:
        holders = self.of.compute.holders
        theirs = [ip for ip, holder in holders.items() if holder == "others"]
        for ip in theirs:
            del holders[ip]
        return bool(theirs)

    @property
    def room(self) -> int:
        return self.of.compute.room

    def _fault(self) -> str:
        """How a write to the API server goes."""
        self.weather.step()
        if self._slow:
            self._slow -= 1
            self.of.world.now += 3.0
        if self.weather.bad and self.dice.random() < self.weather.bad / 2:
            return self.dice.choice(("lost", "applied", "conflict"))
        return ""

    # Time, and what must hold

    def _give(self, agent: Agent, ip: str) -> None:
        """A pod gets an address: it must be its machine's, and nobody else's."""
        machine = agent.document["spec"]["instance-id"]
        if ip not in self.of.compute.addresses(machine):
            raise Wrong(f"a pod of {agent.name} gets {ip}, which its machine does not have")
        users = [each.name for each in self.of.agents.values() if ip in each.pods]
        if users:
            raise Wrong(f"a pod of {agent.name} gets {ip}, which a pod of {users} has")
        copy = self.of.cluster.documents.get(COPY)
        if copy and copy["spec"]["instance-id"] == machine and ip in self.of.pool(COPY):
            raise Wrong(f"a pod of {agent.name} gets {ip}, which {COPY} may give to others")
        agent.pods.add(ip)

    def _pass(self, seconds: float) -> None:
        end = self.of.world.now + seconds
        while True:
            until = min(end, self._tick_at)
            self.of.run(max(0.0, until - self.of.world.now))
            self._check()
            if self.of.world.now >= self._tick_at:
                self._tick()
            elif self.of.world.now >= end:
                return

    def _tick(self) -> None:
        self._tick_at = self.of.world.now + TICK
        for agent in self.of.agents.values() if not self.of.cluster.away else ():
            if agent.name in self.of.cluster.documents:
                agent.tell()

    def _check(self) -> None:
        history = self.of.compute.history
        for verb, ip, holder in history[self.seen :]:
            users = [each.name for each in self.of.agents.values() if ip in each.pods]
            if verb == "take" and users:
                raise Wrong(f"{ip} was taken from {holder} while a pod of {users} uses it")
        self.seen = len(history)

    def end(self) -> None:
        """All goes well again: before long every node has what it is to have, nothing more, and it stays so."""
        self._note("all goes well again")
        self.weather.clear()
        self._slow, self.of.cluster.away = 0, False
        self._others_go()
        if COPY in self.of.cluster.documents:
            self.of.cluster.remove(COPY)
        self.of.cluster.catch_up()
        for agent in self.of.agents.values():
            agent.use(4 - len(agent.pods) if len(agent.pods) > 4 else 0)
        settled, give_up = 0, self.of.world.now + 4 * 3600.0
        while settled < _SETTLED:
            self._pass(TICK)
            problem = self._unsettled()
            settled = 0 if problem else settled + 1
            if problem and self.of.world.now > give_up:
                raise Wrong(problem)

    def _unsettled(self) -> str:
        """What is not as it is to be; empty when all is."""
        for agent in self.of.agents.values():
            if agent.name not in self.of.cluster.documents:
                return f"{agent.name} is not there"
            node = node_of(agent.document)
            at_azure, pool = self.of.compute.addresses(node.instance), self.of.pool(agent.name)
            if pool != at_azure:
                return f"{agent.name}: pool {sorted(pool)}, at Azure {sorted(at_azure)}"
            if not agent.pods <= pool:
                return f"{agent.name}: pods use {sorted(agent.pods - pool)}, which are not in the pool"
            much = excess(len(pool), len(agent.pods), node.wanted)
            if needed(len(pool), len(agent.pods), node.wanted) or much >= self._least(agent, at_azure):
                return f"{agent.name} has {len(pool)} addresses for {len(agent.pods)} pods, and wants {node.wanted}"
            if node.release or self.of.error(agent.name):
                return f"{agent.name}: release {dict(node.release)}, error {self.of.error(agent.name)}"
        return self._leaked()

    def _least(self, agent: Agent, at_azure: set[str]) -> int:
        """So many addresses too many there must be for some to go: a block goes as a whole, when no pod is in it."""
        compute = self.of.compute
        if len(at_azure) == compute.configurations(agent.document["spec"]["instance-id"]):
            return 1
        free = Counter(map(_block, at_azure))
        for ip in agent.pods:
            free.pop(_block(ip), None)
        return BLOCK if BLOCK in free.values() else MOST

    def _leaked(self) -> str:
        """Which addresses are held for an interface that no node's machine has."""
        machines = [each.document["spec"]["instance-id"] for each in self.of.agents.values()]
        interfaces = {each for machine in machines for each in self.of.compute.interfaces(machine)}
        for ip, holder in self.of.compute.holders.items():
            if holder.rpartition("/")[0] not in interfaces:
                return f"{ip} is held by {holder}, and no node has that machine"
        return ""

    # What is printed of a run that fails

    def _note(self, line: str) -> None:
        self.trace.append(f"{self._at()} {line}")

    def _keep_trace(self) -> None:
        azure, operator = self.of.azure, self.of
        send, publish, put = azure.send, operator.cluster.publish, operator.cluster.put

        def sent(ask: Any, deliver: Any) -> None:
            what, at = f"{ask.method} {'/'.join(str(ask).split('/')[-2:])}", self.of.world.now - ORIGIN

            def came(outcome: Answer | SourceFailed) -> None:
                if ask.writes or not isinstance(outcome, Answer):
                    said = outcome.status if isinstance(outcome, Answer) else outcome.message[:90]
                    self._note(f"  {what}, asked at {at:.2f}: {said}")
                deliver(outcome)

            send(ask, came)

        def published(node: Any, said: Any) -> bool:
            self._note(f"  writes {node.name}: pool {sorted(said.pool)}, {dict(said.release)} {said.error[:80]}")
            return publish(node, said)

        def was_put(name: str, document: dict[str, Any]) -> None:
            ipam = document.get("status", {}).get("ipam", {})
            self._note(f"  {name} is: used {sorted(ipam.get('used', {}))}, {ipam.get('release-ips', {})}")
            put(name, document)

        azure.send = sent  # type: ignore[method-assign]
        operator.cluster.publish = published  # type: ignore[method-assign]
        operator.cluster.put = was_put  # type: ignore[method-assign]


def _block(ip: str) -> int:
    return parse_address(ip) // BLOCK


USUAL = ("more", "more", "fewer", "fewer", "tell")
RARE = (
    "restart", "die", "sleep", "clock", "api", "stale", "slower", "azure", "throttle", "join", "recreate", "replace",
    "edit", "others", "written", "copy",
)  # fmt: skip
