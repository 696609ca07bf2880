"""A process that leads, then another one, then the first again: what it knew of the time before counts no more."""

from __future__ import annotations

from tests.controllers.cilium.simulation import Simulation
from tests.controllers.cilium.test_blocks import ranges
from tests.controllers.driven import NoWait
from tests.fakes.azure_http import Refused

from unipam.dialects.cilium.planning import Policy


def test_what_another_leader_has_taken_is_not_given_out_again() -> None:
    """It went to another machine meanwhile."""
    operator = Simulation(2, policy=Policy(release=True, release_after=20.0), cidr="10.240.0.0/26")
    assert operator.run(30, operator.ready)
    operator.use("n0", 8)
    assert operator.run(30, lambda: len(operator.pool("n0")) == 16)
    operator.run(1)
    first, before = (operator.operator, operator.dispatcher), operator.pool("n0")
    operator.start()
    operator.use("n0", -8)
    while len(operator.pool("n0")) > 8:
        operator.run(15)
        operator.agents["n0"].tell()
    gone = before - operator.pool("n0")
    operator.compute.cursor = operator.compute.prefix.first + 4
    operator.use("n1", 8)
    operator.run(30)
    assert operator.pool("n1") & gone
    operator.operator, operator.dispatcher = first
    operator.cluster.changed = operator.operator._wake
    operator._term = NoWait()
    for _ in range(200):
        operator.run(0.05)
        assert not operator.pool("n0") & operator.pool("n1"), "an address of two nodes"
    operator.run(120)
    assert {name: len(operator.pool(name)) for name in ("n0", "n1")} == {"n0": 8, "n1": 16}


def test_a_write_that_waits_is_not_made_in_a_later_term() -> None:
    """It was to take addresses that their agent holds again by then."""
    operator, agent = ranges()
    busy = Refused(409, "OperationNotAllowed", "The machine is being updated.")
    operator.azure.fault = lambda ask: busy if ask.writes else None
    written = len(operator.azure.asked("PUT"))
    assert operator.run(300, lambda: len(operator.azure.asked("PUT")) > written + 5), "it waits for a minute now"
    first, dispatcher = operator.operator, operator.dispatcher
    operator._term.end()
    operator.start()
    operator.azure.fault = lambda _: None
    for _ in range(80):  # the first process would ask again by now, were it looked after
        agent.hold(16)
        operator.run(1)
    assert len(agent.held) == 24
    operator.operator, operator.dispatcher = first, dispatcher
    operator.cluster.changed = first._wake
    operator._term = NoWait()
    for _ in range(200):
        agent.hold(16)
        operator.run(1)
        assert agent.held <= operator.compute.addresses(operator.ids[0]), "an address in use was taken"
    assert len(agent.held) == 24
