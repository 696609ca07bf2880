"""A write of the table that got no answer arrives when its sender has long given up."""

from __future__ import annotations

import pytest
from tests.controllers.driven import next_write_late
from tests.controllers.kubenet.simulation import Simulation
from tests.fakes.simulated import LOST, UNSENT

from unipam.clients.azure.write.jobs import Ask


@pytest.fixture
def kubenet() -> Simulation:
    """A cluster with a node whose route is there and used."""
    made = Simulation()
    made.add("n0")
    assert made.run(60, made.ready)
    return made


def test_a_late_write_takes_no_route_of_a_node_that_was_told_ready(kubenet: Simulation) -> None:
    """The node comes back while its route's removal is on the way: it is ready only when that can land no more."""
    sent = next_write_late(kubenet.azure, kubenet.dispatcher, 60.0)
    del kubenet.cluster.nodes["n0"]
    assert kubenet.run(10, sent)
    kubenet.add("n0", "10.244.0.0/24")
    assert kubenet.run(60, kubenet.ready)
    assert not kubenet.run(3600, lambda: not kubenet.hops), "its route is gone"
    _, ours, late = kubenet.azure.asked("PUT")
    assert (ours.status, late.status) == (200, 412), "one write more, by which the version is another"
    assert ours.ask.body
    assert ours.ask.body["properties"]["routes"] == kubenet.routes


def test_writes_that_get_no_answer_though_nothing_differs_any_more_are_not_made_in_a_row(kubenet: Simulation) -> None:
    sent: list[Ask] = []

    def lost(ask: Ask) -> str | None:
        sent.extend([ask] if ask.writes else [])
        return UNSENT if ask.writes else None

    kubenet.azure.fault = lost
    node = kubenet.cluster.nodes.pop("n0")
    assert kubenet.run(30, lambda: bool(sent))
    kubenet.cluster.nodes["n0"] = node
    kubenet.run(600)
    assert 2 <= len(sent) <= 12


def test_a_late_write_of_a_process_that_is_gone_takes_no_route_of_a_node_that_was_told_ready(
    kubenet: Simulation,
) -> None:
    """Whoever follows it does not know what is on its way: the node waits until nothing can be."""
    sent = next_write_late(kubenet.azure, kubenet.dispatcher, 31.0)
    del kubenet.cluster.nodes["n0"]
    assert kubenet.run(10, sent)
    kubenet.start()
    kubenet.add("n0", "10.244.0.0/24")
    assert kubenet.run(120, kubenet.ready)
    assert not kubenet.run(3600, lambda: not kubenet.hops), "its route is gone"


def test_what_was_written_without_an_answer_is_nobody_elses_edit(kubenet: Simulation) -> None:
    """Seen on a simulated day: three within ten minutes, and nothing was written for half an hour."""
    for index in range(1, 5):
        faults = iter([LOST])
        kubenet.azure.fault = lambda ask: next(faults, None) if ask.writes else None  # noqa: B023 (called meanwhile)
        kubenet.add(f"n{index}", ip=f"10.240.0.{index + 4}")
        assert kubenet.run(60, kubenet.ready)
    assert kubenet.findings("another writer") == []
    assert "route table changed by others" not in [event for event, _ in kubenet.told]


def test_a_late_write_that_makes_the_table_takes_no_route_of_a_node_that_was_told_ready() -> None:
    """It has no version at which it would be refused."""
    kubenet = Simulation(table=False, location="westeurope")
    sent = next_write_late(kubenet.azure, kubenet.dispatcher, 60.0)
    kubenet.add("n0")
    assert kubenet.run(10, sent)
    kubenet.run(35)
    kubenet.add("n1", ip="10.240.0.5")

    def robbed() -> bool:
        nodes = [each for each in kubenet.cluster.nodes.values() if each.condition == ("False", "RouteCreated")]
        return any(range_ not in kubenet.hops for each in nodes for range_ in each.ranges)

    assert not kubenet.run(3600, robbed), "a route is gone"
    assert kubenet.ready()
