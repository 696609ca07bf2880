"""An agent dies at each of its writes, before or after it is made; another one, and a cold call, go on from there.

Nothing that was told is lost, nothing is held twice, and the handle of what was under way leads to all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from tests.dialects.calico.cluster import Cluster, texts
from tests.dialects.calico.engine.test_combining import Agent, Counted

from unipam.dialects.calico.datastore.api import Item, Write
from unipam.model.errors import NotFound, UnipamError

WRITES = range(6)
"""No verb here writes more often."""


class Death(BaseException):
    """The process is gone."""


class Mortal(Counted):
    """Its caller dies at a write: `before` it is made, or right after. Nobody else of that process lives on."""

    left = -1
    before = False
    dead = False

    def transact(self, writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        if self.dead:
            raise Death
        if self.left < 0:
            return super().transact(writes, deadline)
        self.left -= 1
        if self.left >= 0:
            return super().transact(writes, deadline)
        self.dead = True
        if not self.before:
            with suppress(UnipamError):
                super().transact(writes, deadline)
        raise Death


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("number", WRITES)
@pytest.mark.parametrize("act", ["first", "add", "second family", "del", "del of both"])
@pytest.mark.parametrize("transactional", [True, False], ids=["at once", "in turn"])
def test_an_agent_dies_at_a_write(transactional: bool, act: str, number: int, before: bool) -> None:
    cluster = Cluster(transactional=transactional)
    cluster.store = store = Mortal(transactional=transactional)
    cluster.node("host-a")
    cluster.pool("v4", "10.0.0.0/24", blockSize=30)
    cluster.pool("v6", "fd00::/112")
    agent = Agent(cluster, store)
    acts: dict[str, Callable[[], object]] = {
        "first": lambda: agent.add("h"),
        "add": lambda: agent.add("h"),
        "second family": lambda: agent.add("h", 6),
        "del": lambda: agent.drop("h"),
        "del of both": lambda: agent.drop("h"),
    }
    living = prepare(agent, act)
    store.before, store.left = before, number
    with suppress(Death):
        acts[act]()
    store.left, store.dead = -1, False
    agent.close()
    go_on(cluster, store, living)


def prepare(agent: Agent, act: str) -> dict[str, list[str]]:
    """What was there before; of whom what is told."""
    if act == "first":
        return {}
    living = {"before": texts(agent.add("before"))}
    if act != "add":
        agent.add("h")
    if act == "del of both":
        agent.add("h", 6)
    return living


def go_on(cluster: Cluster, store: Counted, living: dict[str, list[str]]) -> None:
    """Let another agent and a cold call work on, and the runtime remove what it never heard of."""
    heir = Agent(cluster, store)
    for turn in range(3):
        living[f"warm{turn}"] = texts(heir.add(f"warm{turn}"))
        living[f"cold{turn}"] = texts(cluster.ask(1, "host-a", handle=f"cold{turn}"))
    living["six"] = texts(heir.add("six", 6))
    told = [address for addresses in living.values() for address in addresses]
    assert len(told) == len(set(told)) == len(living)
    with suppress(NotFound):
        heir.drop("h")
    held = cluster.recounted()
    assert {handle: sum(counted.values()) for handle, counted in held.items()} == dict.fromkeys(living, 1)
    counted = cluster.handles()
    assert "h" not in counted
    assert counted == held
    for place, block in cluster.blocks().items():
        assert block.affinity is None or cluster.affinities()[block.affinity, place] == "confirmed"
    heir.close()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("transactional", [True, False], ids=["at once", "in turn"])
def test_an_agent_dies_over_a_write_of_many(transactional: bool, before: bool) -> None:
    """Eight calls share it: all of them are in it, or none; each can be undone by its handle."""
    cluster = Cluster(transactional=transactional)
    cluster.store = store = Mortal(transactional=transactional)
    cluster.node("host-a")
    cluster.pool("v4", "10.0.0.0/24")
    agent = Agent(cluster, store)
    living = {"before": texts(agent.add("before"))}
    store.before, store.left = before, 0 if transactional else 8

    def add(handle: str) -> None:
        with suppress(Death, UnipamError):
            agent.add(handle)

    threads = [threading.Thread(target=add, args=(f"h{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.left, store.dead = -1, False
    agent.close()
    heir = Agent(cluster, store)
    living["after"] = texts(heir.add("after"))
    for number in range(8):
        with suppress(NotFound):
            heir.drop(f"h{number}")
    assert cluster.recounted().keys() == cluster.handles().keys() == living.keys()
    heir.close()
