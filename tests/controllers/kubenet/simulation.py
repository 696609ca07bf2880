"""kubenet's controller against a cluster in memory and the fake Azure, by a simulated clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.controllers.driven import NoWait, Simulated
from tests.dialects.kubenet.nodes import node
from tests.fakes.simulated import SimulatedAzure, World

from unipam.clients.azure.write.budget import Budget
from unipam.controllers.kubenet.controller import Kubenet
from unipam.controllers.kubenet.table import Settings
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Policy, policy
from unipam.model.errors import SourceFailed, Unanswered

TABLE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/routeTables/rt"
SUBNET = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/nodes"
PLAIN = policy("10.244.0.0/16", rest=0.0)


class Cluster:
    """The API server's nodes, as the controller reads and writes them. `fault` says how a write goes wrong."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.events: list[tuple[str, str, str]] = []
        self.away = False
        self.fault: Callable[[Node], str] = lambda _: ""
        self.writes = 0

    def snapshot(self) -> Mapping[str, Node]:
        if self.away:
            raise SourceFailed("the API server is away", source="kubernetes")
        return dict(self.nodes)

    def close(self) -> None:
        """Nothing to let go of."""

    def assign(self, node: Node, ranges: tuple[str, ...]) -> str:
        self.writes += 1
        fault, there = self.fault(node), self.nodes.get(node.name)
        if fault == "refused":
            return "the object has been modified"
        if there is None or there.uid != node.uid:
            return "not found"
        if there.ranges and there.ranges != ranges:
            return 'node updates may not change podCIDR except from "" to valid'
        if fault != "lost":
            self.nodes[node.name] = there._replace(ranges=ranges)
        if fault:
            raise Unanswered("no answer: it may have been written", source="kubernetes")
        return ""

    def read(self, node: Node) -> Mapping[str, object] | None:
        found = self.nodes.get(node.name)
        return {"spec": {"podCIDR": found.ranges[0]} if found.ranges else {}} if found else None

    def condition(self, node: Node, *, created: bool) -> str:
        self.writes += 1
        words = ("False", "RouteCreated") if created else ("True", "NoRouteCreated")
        self.nodes[node.name] = self.nodes[node.name]._replace(condition=words)
        return ""

    def event(self, node: Node, component: str, reason: str, message: str, *, warning: bool = False) -> str:
        self.events.append((node.name, reason, message))
        return ""


class Simulation:
    """A cluster of kubenet. `told` is the controller's log."""

    def __init__(self, of: Policy = PLAIN, *, table: bool = True, **settings: Any) -> None:
        self.world = World()
        self.azure = SimulatedAzure(self.world)
        self.azure.arm.takes = 2.0
        self.cluster = Cluster()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.policy = of
        self.settings = Settings(TABLE, **{"subnet": SUBNET, "settling": 5.0, **settings})
        if table:
            self.write([])
        self.start()

    def start(self) -> None:
        """A new process: nothing is remembered."""
        self.dispatcher = Simulated(self.azure.send, self.world, Budget)
        self.controller = Kubenet(
            self.policy, self.settings, lambda _: self.cluster, self.cluster, self.dispatcher, self._tell, self.world
        )
        self.controller.ranges.alone = True
        self._term = NoWait()

    def lead_again(self) -> None:
        """The same process in another term; meanwhile it did not look."""
        self._term = NoWait()

    def _tell(self, event: str, **facts: Any) -> None:
        self.told.append((event, facts))

    def step(self) -> float:
        """One round of the controller, and of what it asks Azure."""
        self.dispatcher.step()
        try:
            seen = self.controller.observe(self._term)
        except SourceFailed:
            return min(self.dispatcher.step(), self.world.now + 1.0)
        changes = self.controller.desired(seen, 0.0)
        self.controller.report(seen, self.controller.carry_out(changes, self._term))
        now = self.world.now
        parts = self.controller
        due = min(parts.table.due(now), parts.ranges.due(now), parts.surroundings.due, self.dispatcher.step())
        return now + 0.1 if changes.conditions or changes.ranges.assignments else due

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass."""
        return self.world.run(seconds, self.step, until)

    def add(self, name: str, *ranges: str, ip: str = "10.240.0.4", **fields: Any) -> None:
        """A node joins."""
        self.cluster.nodes[name] = node(name, *ranges, ip=ip, created=self.world.now, **fields)

    def write(self, routes: list[dict[str, Any]], **properties: Any) -> None:
        """Somebody writes the table."""
        fields = {"subnets": [{"id": SUBNET}], "disableBgpRoutePropagation": True, **properties}
        self.azure.arm.put(TABLE, {"routes": routes, **fields}, location="westeurope", tags={"owner": "us"})

    @property
    def routes(self) -> list[dict[str, Any]]:
        """The table's routes."""
        found = self.azure.arm.get(TABLE)
        return list(found["properties"]["routes"]) if found else []

    @property
    def hops(self) -> dict[str, str]:
        """The table, as prefix and next hop."""
        return {r["properties"]["addressPrefix"]: r["properties"].get("nextHopIpAddress", "") for r in self.routes}

    def condition(self, name: str) -> tuple[str, str]:
        """What NetworkUnavailable says of a node."""
        return self.cluster.nodes[name].condition

    def ready(self) -> bool:
        """Whether every node has a route that may be used."""
        return all(each.condition == ("False", "RouteCreated") for each in self.cluster.nodes.values())

    def findings(self, kind: str) -> list[str]:
        """Whom findings of a kind are about."""
        return [each.about for each in self.controller.findings() if each.kind == kind]
