"""A write that takes addresses got no answer, and arrives when its sender has long given up."""

from __future__ import annotations

from tests.controllers.cilium.simulation import Simulation
from tests.controllers.cilium.test_blocks import ranges
from tests.controllers.driven import next_write_late

from unipam.clients import tcp
from unipam.dialects.cilium.planning import Policy


def test_what_a_late_write_takes_is_not_shown_to_an_agent_again() -> None:
    """The agent needs it again while the write is on its way: not before it can land no more."""
    operator, agent = ranges()
    assert operator.run(200, next_write_late(operator.azure, operator.dispatcher, 60.0))
    for _ in range(60):
        agent.hold(16)
        operator.run(5)
        assert agent.held <= operator.compute.addresses(operator.ids[0]), "an address in use was taken"
    assert len(agent.held) == 24


def test_what_a_late_write_takes_is_not_in_the_pool_of_a_node_that_was_made_anew() -> None:
    operator = Simulation(1, policy=Policy(release=True, release_after=60.0))
    for used in (8, 8):
        assert operator.run(60, operator.ready)
        operator.use("n0", used)
        operator.run(30)
    operator.use("n0", -16)
    sent = next_write_late(operator.azure, operator.dispatcher, 90.0)
    while not operator.run(5, sent):
        operator.agents["n0"].tell()
    operator.cluster.remove("n0")
    operator.run(1)
    operator.node("n0", operator.ids[0])
    agent = operator.agents["n0"]
    for _ in range(60):
        operator.run(5)
        agent.look()
        agent.pods |= set(agent.free[: 16 - len(agent.pods)])
        agent.tell()
        assert agent.pods <= operator.compute.addresses(operator.ids[0]), "an address in use was taken"


def test_what_a_late_write_of_a_process_that_is_gone_takes_is_not_shown_to_an_agent_again() -> None:
    """Whoever follows it does not know what is on its way."""
    operator, agent = ranges()
    assert operator.run(200, next_write_late(operator.azure, operator.dispatcher, 31.0))
    operator.start()
    for _ in range(60):
        agent.hold(16)
        operator.run(5)
        assert agent.held <= operator.compute.addresses(operator.ids[0]), "an address in use was taken"
    assert len(agent.held) == 24


def test_what_an_agent_takes_up_again_while_the_watch_is_dead_is_not_taken() -> None:
    """Whose other end is gone without a word: that is found out a while later, and until then it shows what was."""
    operator, agent = ranges()
    operator.run(55)
    operator.cluster.stale = True
    agent.hold(16)
    for _ in range(int(tcp.DEAD_AFTER)):
        operator.run(1)
        assert agent.held <= operator.compute.addresses(operator.ids[0]), "an address in use was taken"
    operator.cluster.catch_up()
    operator.run(300)
    assert agent.held <= operator.compute.addresses(operator.ids[0])
    assert len(agent.held) == 24
