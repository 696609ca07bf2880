"""kubenet's controller: how often the route table is written and read for many nodes, by a simulated clock."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.controllers.kubenet.simulation import Simulation

from bench.needs import Need
from bench.table import Row, row, show
from unipam.dialects.kubenet.policy import policy

NEEDS: tuple[Need, ...] = ()


def rows() -> Iterator[Row]:
    """400 nodes within five seconds, then an hour in which nothing happens, then a restart."""
    kubenet = Simulation(policy("10.0.0.0/8", rest=0.0))
    ips = {f"n{i}": f"10.240.{i // 250}.{i % 250 + 4}" for i in range(400)}
    for index, (name, ip) in enumerate(ips.items()):
        kubenet.world.after(index * 5 / 400, partial(kubenet.add, name, ip=ip))
    began = kubenet.world.now
    assert kubenet.run(300, lambda: len(kubenet.cluster.nodes) == 400 and kubenet.ready())
    yield row("400 nodes at once: writes of the table", puts(kubenet), "-", 3.0)
    yield row("400 nodes at once: all ready", kubenet.world.now - began, "-", None, " s")
    wrong = sum(kubenet.hops.get(each.ranges[0]) != ips[name] for name, each in kubenet.cluster.nodes.items())
    yield row("400 nodes at once: routes that are wrong", wrong, "-", 0.0)
    before, calls, writes = puts(kubenet), len(kubenet.azure.calls), kubenet.cluster.writes
    kubenet.run(3600)
    yield row("an idle hour: writes of the table", puts(kubenet) - before, "-", 0.0)
    yield row("an idle hour: reads", len(kubenet.azure.calls) - calls, "-", 3600 / kubenet.settings.audit)
    yield row("an idle hour: writes to the cluster", kubenet.cluster.writes - writes, "-", 0.0)
    kubenet.start()
    kubenet.run(600)
    yield row("a restart: writes of the table", puts(kubenet) - before, "-", 0.0)


def puts(kubenet: Simulation) -> int:
    """Return how often the table was written."""
    return len(kubenet.azure.asked("PUT"))


def main() -> None:
    """Print the rows."""
    show("kubenet on Azure, simulated", rows())
