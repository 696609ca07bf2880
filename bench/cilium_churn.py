"""A large cluster's hours: pods come and go, nodes are replaced, and Azure's budget is the real one."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

from tests.controllers.cilium.day import SCALE_SET
from tests.controllers.cilium.simulation import Simulation
from tests.controllers.driven import Woken

from bench.needs import Need
from bench.table import Row, row, show
from unipam.dialects.cilium.formulas import needed
from unipam.dialects.cilium.planning import Policy

NEEDS: tuple[Need, ...] = ()
SHORT = 120.0
"""Seconds for which no node may be short while its subnet has room."""
LOOK = 10.0
"""Seconds between two looks at who is short."""


class Laborious(Simulation):
    """The operator of a large cluster, which looks no more often than once a second, and only when there is something.

    In truth a round takes as long as it takes; here none would, and each event would have its own.
    """

    _next = 0.0

    def start(self) -> None:
        """A new process: nothing is remembered."""
        super().start()
        self._term: Woken = Woken()

    def step(self) -> float:
        """One round, if it is time for one."""
        asked, due = self.dispatcher.step(), self._due()
        if self.world.now < due:
            return min(asked, due)
        self._term.woken, self._next = False, self.world.now + 1.0
        super().step()
        return min(self.dispatcher.step(), self._due())

    def _due(self) -> float:
        return max(self._next, self.world.now if self._term.woken else self.operator.due())


def churn(nodes: int, hours: float) -> Iterator[Row]:
    """A large cluster's day: pods come and go, nodes are replaced, and Azure's budget is the real one."""
    operator = Laborious(nodes, policy=Policy(release=True), cidr="10.192.0.0/12")
    dice, born = random.Random(7), operator.world.now
    while not operator.ready():
        operator.run(10.0)
        assert operator.world.now - born < 3 * nodes, "it did not come about"
    told: dict[str, str] = {}
    short: dict[str, float] = {}
    longest, began, tokens = 0.0, operator.world.now, operator.dispatcher.tokens
    names, joined = list(operator.agents), nodes
    while operator.world.now - began < hours * 3600:
        for name in dice.sample(names, max(1, nodes // 100)):  # one node in a hundred has other pods, each minute
            operator.use(name, dice.choice((-6, -3, 3, 6)))
        gone = names.pop(dice.randrange(len(names)))
        operator.cluster.remove(gone)
        operator.compute.gone(gone_machine(operator, gone))
        names.append(f"n{joined}")
        operator.node(names[-1], operator.compute.machine(SCALE_SET, joined))
        joined += 1
        for _ in range(int(60 / LOOK)):
            operator.run(LOOK)
            longest = max(longest, longest_of(operator, names, short))
            tell(operator, told)
    used = (operator.dispatcher.tokens - tokens) / (operator.world.now - began)
    yield row(f"{nodes} nodes, {hours:g} h of churn: tokens a second", used, "-", 4.0)
    yield row(f"{nodes} nodes, {hours:g} h of churn: longest short, s", longest, "-", SHORT, " s")


def tell(operator: Simulation, told: dict[str, str]) -> None:
    """Let those agents answer whose CiliumNodes have changed since they did so last."""
    documents = operator.cluster.documents
    for name, agent in operator.agents.items():
        if documents[name]["metadata"]["resourceVersion"] != told.get(name):
            agent.tell()
            told[name] = documents[name]["metadata"]["resourceVersion"]


def gone_machine(operator: Simulation, name: str) -> str:
    """Return the machine of a node that is gone."""
    return str(operator.agents.pop(name).view["spec"]["instance-id"])


def longest_of(operator: Simulation, names: list[str], short: dict[str, float]) -> float:
    """Note which nodes lack addresses, and return for how long the one does at the most that has for longest."""
    now, nodes = operator.world.now, operator.cluster.snapshot()
    for name in names:
        node = nodes[name]
        if needed(len(node.pool), node.in_use, node.wanted):
            short.setdefault(name, now - LOOK)
        else:
            short.pop(name, None)
    return max((now - short[name] for name in names if name in short), default=0.0)


def rows() -> Iterator[Row]:
    """Measure a quarter of an hour of 1,000 nodes; `UNIPAM_BENCH_CHURN_HOURS` has 5,000 live through so many hours."""
    hours = os.environ.get("UNIPAM_BENCH_CHURN_HOURS", "")
    yield from churn(5000, float(hours)) if hours else churn(1000, 0.25)


def main() -> None:
    """Print the rows."""
    show("Cilium on Azure, simulated: pods and nodes come and go", rows())
