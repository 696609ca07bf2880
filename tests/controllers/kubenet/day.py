"""A small cluster's day, in which everything goes wrong that may: what `scenarios` runs for kubenet's controller."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.controllers.driven import Driven, FaultyDay, Woken
from tests.controllers.kubenet.simulation import Cluster, Simulation
from tests.controllers.scenarios import Event, Wrong
from tests.dialects.kubenet.nodes import node, route
from tests.fakes.weather import Weather

from unipam.addr.prefix import format_address
from unipam.controllers.kubenet.controller import Kubenet
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Policy, policy

NAMES = (
    "aks-np-1-vmss000000", "aks-np-1-vmss000001", "aks-np-1-vmss00000a",
    "aks-set-12-1", "aks-set-12-10", "aks-set-12-3",
)  # fmt: skip
"""As AKS gives them: of another name, a dead node's route is not known as one after a restart: it is told."""
READY = ("False", "RouteCreated")
_SLOTS = 8


class Mirrored(Cluster):
    """The API server's nodes, behind a mirror that may stand still."""

    def __init__(self) -> None:
        super().__init__()
        self.wake: Callable[[], None] = lambda: None
        self._frozen: dict[str, Node] | None = None

    def changed(self) -> None:
        """Something is different, which whoever looks is told of unless the mirror stands still."""
        if self._frozen is None:
            self.wake()

    def snapshot(self) -> Mapping[str, Node]:
        shown = super().snapshot()
        return shown if self._frozen is None else dict(self._frozen)

    def freeze(self) -> None:
        """The mirror stands still."""
        self._frozen = dict(self.nodes)

    def catch_up(self) -> None:
        """It goes on."""
        self._frozen = None
        self.changed()

    def assign(self, node: Node, ranges: tuple[str, ...]) -> str:
        said = super().assign(node, ranges)
        self.changed()
        return said

    def condition(self, node: Node, *, created: bool) -> str:
        """As the API server: a node that is gone is not found, and one of another UID is another."""
        there = self.nodes.get(node.name)
        if there is None or there.uid != node.uid:
            return "not found"
        said = super().condition(node, created=created)
        self.changed()
        return said


class Watched(Driven, Simulation):
    """The controller as `Driven` looks after it."""

    def begin(self) -> None:
        self.controller = Kubenet(
            self.policy, self.settings, self._watched, self.cluster, self.dispatcher, self._tell, self.world
        )
        self.controller.ranges.passive_until = 0.0

    def _watched(self, changed: Callable[[], None]) -> Cluster:
        assert isinstance(self.cluster, Mirrored)
        self.cluster.wake = changed
        return self.cluster

    def round(self) -> None:
        seen = self.controller.observe(self.term)
        self.controller.report(seen, self.controller.carry_out(self.controller.desired(seen, 0.0), self.term))

    def due(self) -> float:
        parts, now = self.controller, self.world.now
        return min(parts.table.due(now), parts.ranges.due(now), parts.surroundings.due)


class Day(FaultyDay):
    """What `scenarios.Run` says. A seed says which policy there is, and how often requests go wrong."""

    def __init__(self, seed: int, traced: bool) -> None:
        dice = self.dice = random.Random(f"day {seed}")
        self.trace: list[str] = []
        self.of: Watched = Watched(_policy(dice))
        self.cluster = self.of.cluster = Mirrored()
        self.of.weather = self.weather = Weather(self.of.azure, self.of.world, dice, dice.choice((0.0, 0.1, 0.3)))
        self.of.azure.arm.takes = dice.choice((0.1, 2.0, 40.0))
        lag = dice.choice((0.0, 0.0, 5.0))
        self.of.azure.arm.lags = lambda path: lag if "/routetables/" in path else 0.0
        self.cluster.fault = self._fault
        self.of.azure.arm.hooks["/routetables/"] = self
        self.foreign: list[dict[str, Any]] = []
        self._blank_ones: dict[str, tuple[int, ...]] = {}
        """By node: addresses that are not known at the moment, or were not."""
        self._blanked: set[str] = set()
        """UIDs of nodes that had their routes when their addresses became unknown."""
        self._joined = 0
        self._traced = traced
        self.of.start()

    # What Azure's fake asks of whoever has a say in writes of the table

    def check(self, _: str, body: dict[str, Any]) -> None:
        """A whole table is about to replace the one that is there. Raises Wrong."""
        after = {each["name"]: each for each in body["properties"]["routes"]}
        self._note(f"  table: {sorted((n, r['properties']['addressPrefix']) for n, r in after.items())}")
        for each in self.of.routes:
            if each["name"] in self._owned() and each["name"] not in after:
                raise Wrong(f"the route {each['name']} of a living node is taken away")
        for each in self.foreign:
            if each in self.of.routes and after.get(each["name"]) != each:
                raise Wrong(f"the foreign route {each['name']} was {each}, and becomes {after.get(each['name'])}")

    def begun(self, path: str, body: dict[str, Any]) -> None:
        """It has begun."""

    def ended(self, path: str, body: dict[str, Any], *, well: bool) -> None:
        """It has ended."""

    def _owned(self) -> set[str]:
        """The names of routes in the table that lead to a living node that may be used, to its range, as they must."""
        ready = [each for each in self.cluster.nodes.values() if each.condition == READY or each.uid in self._blanked]
        hops = {(each, format_address(ip)) for of in ready for each in of.ranges for ip in self._addresses(of)}
        return {
            each["name"]
            for each in self.of.routes
            if (each["properties"]["addressPrefix"], each["properties"].get("nextHopIpAddress")) in hops
        }

    def _addresses(self, of: Node) -> tuple[int, ...]:
        """Its addresses, or those that it had before they were not known for a while."""
        return of.addresses or self._blank_ones.get(of.name, ())

    # What may happen

    def _name(self, event: Event) -> str:
        names = sorted(self.cluster.nodes)
        return names[event.which % len(names)] if names else ""

    def _join(self, event: Event) -> None:
        name = NAMES[event.which % len(NAMES)]
        if name not in self.cluster.nodes:
            self._joined += 1
            self._put(node(name, ip=f"10.240.0.{self._joined + 3}", created=self.of.world.now))

    def _put(self, made: Node) -> None:
        """A Node object is new: it has a UID of its own."""
        self.cluster.nodes[made.name] = made._replace(uid=f"{made.name}-{self._joined}-{self.of.world.now}")
        self.cluster.changed()

    def _leave(self, event: Event) -> None:
        if name := self._name(event):
            del self.cluster.nodes[name]
            self.cluster.changed()

    def _recreate(self, event: Event) -> None:
        """A Node is gone, and comes back under its name."""
        if name := self._name(event):
            before = self.cluster.nodes[name]
            self._leave(event)
            self._pass(event.wait)
            self._put(before._replace(ranges=(), condition=("", ""), created=self.of.world.now))

    def _moved(self, event: Event) -> None:
        """A node has another address."""
        if name := self._name(event):
            self._joined += 1
            made = node(name, ip=f"10.240.1.{self._joined}")
            self.cluster.nodes[name] = self.cluster.nodes[name]._replace(addresses=made.addresses)
            self.cluster.changed()

    def _blank(self, event: Event) -> None:
        """A node's addresses are not known for a while."""
        found = self.cluster.nodes.get(self._name(event))
        if found is None or not found.addresses:
            return
        self._blank_ones[found.name] = found.addresses
        self._blanked |= {found.uid} if found.condition == READY else set()
        self.cluster.nodes[found.name] = found._replace(addresses=())
        self.cluster.changed()
        self.of.world.after(event.much * 60.0, self._unblank)

    def _unblank(self) -> None:
        """The addresses of all nodes are known again."""
        for each in self.cluster.nodes.values():
            self.cluster.nodes[each.name] = each._replace(addresses=self._addresses(each))
        self.cluster.changed()

    def _again(self, _: Event) -> None:
        """The process leads in another term."""
        self.of.term = Woken()

    def _fails(self, _: Event) -> None:
        """The next write of the table ends badly, and leaves in it what it wrote."""
        self.of.azure.arm.fail_next = ("InternalServerError", "it did not work")

    def _api(self, _: Event) -> None:
        self.cluster.away = not self.cluster.away
        self.cluster.changed()

    def _stale(self, event: Event) -> None:
        self.cluster.freeze()
        self.of.world.after(event.much * 5.0, self.cluster.catch_up)

    def _edit(self, event: Event) -> None:
        """Somebody edits the table by hand."""
        routes, at = self.of.routes, event.which
        edits = (self._add_foreign, self._remove_one, self._turn_one, self._empty)
        self.of.write(edits[event.much % len(edits)](routes, at))

    def _add_foreign(self, routes: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
        made = route(f"mine-{at}", f"192.168.{at}.0/24", "10.9.9.9")
        if any(each["name"] == made["name"] for each in routes):
            return routes
        self.foreign.append(made)
        return [*routes, made]

    def _remove_one(self, routes: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
        gone = routes[at % len(routes)] if routes else None
        self.foreign = [each for each in self.foreign if each != gone]
        return [each for each in routes if each is not gone]

    def _turn_one(self, routes: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
        """A node's route leads elsewhere."""
        ours = [each for each in routes if each not in self.foreign]
        if ours:
            ours[at % len(ours)]["properties"]["nextHopIpAddress"] = "10.9.9.9"
        return routes

    def _empty(self, _: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
        self.foreign = []
        return []

    def _fault(self, _: Node) -> str:
        self.weather.step()
        bad = self.weather.bad and self.dice.random() < self.weather.bad
        return self.dice.choice(("lost", "applied", "refused")) if bad else ""

    # Time, and what must hold

    def _pass(self, seconds: float) -> None:
        self.of.run(seconds, self._is_shared)
        self._check()

    def _ranges(self) -> list[str]:
        return [each for of_node in self.cluster.nodes.values() for each in of_node.ranges]

    def _is_shared(self) -> bool:
        ranges = self._ranges()
        return len(set(ranges)) < len(ranges)

    def _check(self) -> None:
        if self._is_shared():
            raise Wrong(f"two nodes have one range: {[(n.name, n.ranges) for n in self.cluster.nodes.values()]}")

    def end(self) -> None:
        """All goes well again: every node has its range and its route, others' are as they were, every slot is free."""
        self._note("all goes well again")
        self.weather.clear()
        self.of.azure.arm.fail_next = None
        self._unblank()
        self.cluster.fault = lambda _: ""
        self.cluster.away = False
        self.cluster.catch_up()
        self._settle()
        for index in range(_SLOTS - len(self.cluster.nodes)):
            self._joined += 1
            self._put(node(f"late-{index}", ip=f"10.240.2.{index + 4}", created=self.of.world.now))
        self._settle()

    def _settle(self) -> None:
        give_up = self.of.world.now + 4 * 3600.0
        while problem := self._unsettled():
            self._pass(60.0)
            if self.of.world.now > give_up:
                raise Wrong(problem)
        self._pass(400.0)
        if problem := self._unsettled():
            raise Wrong(f"and then: {problem}")

    def _unsettled(self) -> str:
        """What is not as it is to be; empty when all is."""
        for each in self.cluster.nodes.values():
            if len(each.ranges) != len(self.of.policy.families):
                return f"{each.name} has the ranges {each.ranges}"
            if each.condition != READY:
                return f"{each.name} is {each.condition}"
        wanted = {r: format_address(n.addresses[0]) for n in self.cluster.nodes.values() for r in n.ranges}
        theirs = {each["properties"]["addressPrefix"]: "10.9.9.9" for each in self.foreign}
        if self.of.hops != wanted | theirs:
            return f"the table is {self.of.hops}, and should be {wanted | theirs}"
        return ""

    def _note(self, line: str) -> None:
        if self._traced or not line.startswith("  "):
            self.trace.append(f"{self._at()} {line}")


def _policy(dice: random.Random) -> Policy:
    return policy("10.244.0.0/21", rest=dice.choice((0.0, 60.0, 600.0)))


USUAL = ("join", "join", "leave", "recreate")
RARE = (
    "restart",
    "die",
    "sleep",
    "api",
    "stale",
    "azure",
    "throttle",
    "edit",
    "edit",
    "moved",
    "blank",
    "again",
    "fails",
)
