"""An agent's calls go by what it has at hand, and share the writes of a block: what is asked, and what may be old."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
from tests.dialects.calico.cluster import Cluster, texts

from unipam.addr.prefix import format_address
from unipam.dialects.calico.connection import Watched
from unipam.dialects.calico.datastore.api import Item, Selection, Write
from unipam.dialects.calico.datastore.keys import BlockKey, HandleKey, Key
from unipam.dialects.calico.datastore.memory import Call, Fault, MemoryDatastore
from unipam.dialects.calico.datastore.watched import WatchedDatastore
from unipam.dialects.calico.documents.pool import WORKLOAD
from unipam.dialects.calico.engine import releasing
from unipam.dialects.calico.engine.auto import Assigned, Request, auto_assign
from unipam.dialects.calico.engine.combining import Combiner, Place
from unipam.dialects.calico.engine.session import Session
from unipam.model.errors import NotFound, SourceFailed, UnipamError


class Counted(MemoryDatastore):
    """Notes what is asked of it but by the threads that watch."""

    def __init__(self, *, transactional: bool) -> None:
        super().__init__(transactional=transactional, faults=self._count)
        self.asked: list[tuple[str, object]] = []

    def _count(self, call: object, about: object) -> None:
        if threading.current_thread().name not in {"following", "inbox"}:
            self.asked.append((str(call), about))


class Agent:
    """An agent's view of a cluster."""

    def __init__(self, cluster: Cluster, store: Counted, host: str = "host-a") -> None:
        self.cluster, self.store, self.host = cluster, store, host
        self.watched = Watched(WatchedDatastore(store, host), Combiner(), set())

    def session(self, timeout: float = 30.0) -> Session:
        deadline = time.monotonic() + timeout
        return Session(self.watched.datastore, deadline, time.time_ns, combiner=self.watched.combiner, patience=timeout)

    def add(self, handle: str, family: int = 4, timeout: float = 30.0) -> Assigned:
        request = Request(1, family, self.host, handle, {"pod": handle}, use=WORKLOAD)
        return auto_assign(self.session(timeout), request)

    def drop(self, handle: str) -> list[str]:
        return list(map(format_address, releasing.by_handle(self.session(), handle)))

    def asks(self, act: Callable[[], object]) -> list[str]:
        """What is asked of the datastore for something."""
        self.store.asked.clear()
        act()
        return [call for call, _ in self.store.asked]

    def close(self) -> None:
        self.watched.datastore.close()


@pytest.fixture(params=[True, False], ids=["at once", "in turn"])
def agent(request: pytest.FixtureRequest) -> Iterator[Agent]:
    """An agent whose watches stand."""
    cluster = Cluster(transactional=bool(request.param))
    cluster.store = store = Counted(transactional=bool(request.param))
    for host in ("host-a", "host-b"):
        cluster.node(host)
    cluster.pool("v4", "10.0.0.0/16")
    made = Agent(cluster, store)
    made.add("first")
    await_watches(made)
    yield made
    made.close()


def await_watches(agent: Agent) -> None:
    """Wait until the view is kept by watches, and not by lists."""
    until = time.monotonic() + 30
    while not all(each._good_until == float("inf") for each in agent.watched.datastore._followings.values()):
        assert time.monotonic() < until
        time.sleep(0.01)


def check(agent: Agent) -> None:
    """Every handle counts what the blocks hold."""
    assert agent.cluster.handles() == agent.cluster.recounted()


def writes(agent: Agent) -> list[str]:
    return ["write"] if agent.store.transactional else ["write", "write"]


def place(agent: Agent) -> Place:
    """Where the agent keeps its one block."""
    (prefix,) = agent.watched.combiner._places
    return agent.watched.combiner.place(prefix)


@contextmanager
def busy(agent: Agent) -> Iterator[None]:
    """Keep the block busy, as a slow write does, until `release`."""
    with place(agent).turn:
        place(agent).busy = True
    try:
        yield
    finally:
        release(agent)


def release(agent: Agent) -> None:
    """Let those go on who wait for the block."""
    with place(agent).turn:
        place(agent).busy = False
        place(agent).turn.notify_all()


def await_queue(agent: Agent, length: int) -> None:
    """Wait until so many calls wait for the block."""
    until = time.monotonic() + 30
    while len(place(agent).waiting) < length:
        assert time.monotonic() < until
        time.sleep(0.005)


# How much is asked ---------------------------------------------------------------------------------------------------


def test_a_call_costs_its_writes_alone(agent: Agent) -> None:
    """The original: 10 and 9 requests on etcd, 11 and 11 on Kubernetes (spec §9)."""
    assert agent.asks(lambda: agent.add("a")) == writes(agent)
    assert agent.asks(lambda: agent.drop("a")) == writes(agent)
    check(agent)


@pytest.mark.parametrize("blocks", [1, 20])
def test_whatever_the_number_of_blocks(agent: Agent, blocks: int) -> None:
    """At most 1.1 requests for an ADD on etcd, 2.1 on Kubernetes, those that claim a block among them."""
    number = blocks * 64
    asked = agent.asks(lambda: [agent.add(f"h{turn}") for turn in range(1, number)])
    assert len(agent.cluster.blocks()) == blocks
    assert len(asked) / (number - 1) <= (1.1 if agent.store.transactional else 2.1)
    asked = agent.asks(lambda: [agent.drop(f"h{turn}") for turn in range(1, number)])
    assert len(asked) / (number - 1) <= (1.0 if agent.store.transactional else 2.0)
    check(agent)


def test_callers_that_come_at_once_share_a_write(agent: Agent) -> None:
    """32 wait while the block is being written; one writes for all of them. So it is when they go."""
    for act in (lambda handle: texts(agent.add(handle)), agent.drop):
        with busy(agent), ThreadPoolExecutor(32) as threads:
            agent.store.asked.clear()
            running = [threads.submit(act, f"h{number}") for number in range(32)]
            await_queue(agent, 32)
            release(agent)
            found = [text for each in running for text in each.result()]
        assert len(set(found)) == 32
        of_blocks = [about for call, about in agent.store.asked if call == "write" and isinstance(about[0], BlockKey)]  # type: ignore[index]
        assert len(of_blocks) == 1
        check(agent)


def test_those_who_come_at_once_claim_one_block(agent: Agent) -> None:
    """The first block has 63 left: 100 callers need one more, and only one."""
    with ThreadPoolExecutor(32) as threads:
        found = [text for each in threads.map(agent.add, [f"h{n}" for n in range(100)]) for text in texts(each)]
    assert len(set(found)) == 100
    assert len(agent.cluster.blocks()) == 2
    check(agent)


def test_both_families(agent: Agent) -> None:
    agent.cluster.pool("v6", "fd00::/112")
    agent.watched.datastore.doubt()
    agent.add("x", 6)
    await_watches(agent)
    assert agent.asks(lambda: (agent.add("a"), agent.add("a", 6))) == writes(agent) * 2
    assert sum(agent.cluster.handles()["a"].values()) == 2
    agent.drop("a")
    assert "a" not in agent.cluster.handles()
    check(agent)


# What is at hand is old ----------------------------------------------------------------------------------------------


def test_somebody_else_writes_the_block(agent: Agent) -> None:
    """The block is read again, and the address is nobody else's."""
    before = agent.add("a")
    taken = agent.cluster.ask(1, "host-a", handle="cold")
    asked = agent.asks(lambda: agent.add("b"))
    assert asked.count("get") <= (1 if agent.store.transactional else 2)
    held = [*texts(before), *texts(taken)]
    assert len(set(held)) == 2
    check(agent)


def test_somebody_else_releases_what_is_known(agent: Agent) -> None:
    """A handle that is gone is not there, also where the agent wrote it."""
    agent.add("a")
    agent.cluster.drop("a")
    assert agent.drop("a") == []
    with pytest.raises(NotFound):
        agent.drop("a")
    check(agent)


def test_somebody_else_counts_on_the_same_handle(agent: Agent) -> None:
    """All of it goes."""
    agent.add("a")
    agent.cluster.pool("v6", "fd00::/112")
    agent.cluster.ask(1, "host-a", handle="a", family=6)
    assert len(agent.drop("a")) == 2
    assert "a" not in agent.cluster.handles()
    check(agent)


def test_a_block_that_others_have_emptied_is_used_again(agent: Agent) -> None:
    """The agent believes it full; before another one is claimed, the datastore is asked."""
    for number in range(63):
        agent.add(f"h{number}")
    agent.cluster.drop("h7")
    assert agent.add("again").error is None
    assert len(agent.cluster.blocks()) == 1
    check(agent)


def test_a_block_that_is_gone(agent: Agent) -> None:
    """Somebody made the node give it up; another one is claimed."""
    agent.drop("first")
    agent.cluster.abandon("host-a")
    assert agent.cluster.blocks() == {}
    found = agent.add("a")
    assert len(found.addresses) == 1, found
    assert set(agent.cluster.affinities().values()) == {"confirmed"}
    check(agent)


def test_a_block_that_became_somebody_elses(agent: Agent) -> None:
    """Addresses come from a block that is the node's own then."""
    agent.drop("first")
    agent.cluster.abandon("host-a")
    (prefix,) = agent.watched.combiner._places
    agent.cluster.give(format_address(prefix.first), "host-b", "theirs")
    found = agent.add("a")
    assert len(found.addresses) == 1, found
    held = agent.cluster.recounted()
    assert set(held) == {"theirs", "a"}
    check(agent)


def test_a_release_does_not_wait_for_a_block_that_is_gone(agent: Agent) -> None:
    """Only the handle was left over."""
    agent.add("a")
    (prefix,) = agent.watched.combiner._places
    item = agent.store.get(BlockKey(str(prefix)), time.monotonic() + 30)
    agent.store.delete(item.key, item.revision, time.monotonic() + 30)
    assert agent.drop("a") == []
    assert "a" not in agent.cluster.handles()


# Time is over --------------------------------------------------------------------------------------------------------


def test_a_call_that_waits_too_long_leaves_nothing(agent: Agent) -> None:
    """It leaves the queue of its block, with time of its own for what it has counted; the others are served."""
    with busy(agent), ThreadPoolExecutor(1) as threads:
        patient = threads.submit(agent.add, "patient")
        await_queue(agent, 1)
        assert isinstance(agent.add("late", timeout=0.1).error, SourceFailed)
        release(agent)
        assert patient.result().error is None
    assert "late" not in agent.cluster.recounted()
    check(agent)


def test_a_call_whose_time_ends_when_somebody_else_was_faster_leaves_nothing(agent: Agent) -> None:
    """What it has counted is counted off before it tries again, also where it does not come to that any more."""
    before, raced = agent.store.faults, threading.Event()

    def late(call: Call, about: tuple[Key, ...] | Selection) -> Fault | None:
        """Somebody else writes the block; the call's time is over once it has read what they have written."""
        (key, *_) = about if isinstance(about, tuple) else (None,)
        if call == "write" and isinstance(key, BlockKey) and not raced.is_set():
            raced.set()
            return "conflict"
        if call == "get" and isinstance(key, HandleKey):
            time.sleep(0.5)  # the write has begun before
        return before(call, about)

    agent.store.faults = late
    given = agent.add("late", timeout=0.5)
    agent.store.faults = before
    assert raced.is_set()
    assert agent.store.transactional or isinstance(given.error, SourceFailed)
    check(agent)


def test_a_write_has_its_time_after_the_queue(agent: Agent) -> None:
    """A call that has waited for nearly all of its time is written by one that has just begun to write."""
    given: list[float] = []
    really = agent.store.transact

    def noted(writes: tuple[Write, ...], deadline: float) -> tuple[Item, ...]:
        given.append(deadline - time.monotonic())
        return really(writes, deadline)

    with busy(agent), ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(agent.add, "a", timeout=5.0)
        await_queue(agent, 1)
        time.sleep(0.5)
        agent.store.transact = noted  # type: ignore[method-assign]
        release(agent)
        assert waiting.result().error is None
    assert given[0] > 4.5


# The same handle at once ---------------------------------------------------------------------------------------------


def test_add_and_del_of_one_handle_at_once(agent: Agent) -> None:
    """However they come, no address is without a handle that leads to it."""

    def turn(number: int) -> None:
        with suppress(UnipamError):
            agent.drop("a") if number % 2 else agent.add("a")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(turn, range(200)))
    check(agent)
    with suppress(NotFound):
        agent.drop("a")
    assert "a" not in agent.cluster.recounted()


def test_others_add_and_del_the_same_handle(agent: Agent) -> None:
    """As another process on the node would."""

    def turn(number: int) -> None:
        with suppress(UnipamError):
            if number % 2:
                agent.drop("a") if number % 4 == 1 else agent.cluster.drop("a")
            else:
                agent.add("a") if number % 4 == 0 else agent.cluster.ask(1, "host-a", handle="a")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(turn, range(200)))
    counted, held = agent.cluster.handles(), agent.cluster.recounted()
    for handle, places in held.items():
        for place, number in places.items():
            assert counted[handle][place] >= number
    with suppress(NotFound):
        agent.drop("a")
    assert "a" not in agent.cluster.recounted()
    assert "a" not in agent.cluster.handles()


@pytest.mark.parametrize("seed", range(6))
def test_many_things_go_wrong_at_once(agent: Agent, seed: int) -> None:
    """Others are faster, answers are lost, writes are not made; ADDs and DELs of many share them all the same."""
    dice, lock = random.Random(seed), threading.Lock()
    kinds: list[Fault | None] = [None, None, None, "conflict", "lost", "unmade"]
    count = agent.store.faults

    def faults(call: Call, about: tuple[Key, ...] | Selection) -> Fault | None:
        count(call, about)
        with lock:
            return dice.choice(kinds) if call == "write" else None

    living: dict[str, list[str]] = {}

    def caller(number: int) -> None:
        own = random.Random(f"{seed}-{number}")
        held: list[str] = []
        for turn in range(30):
            if held and own.random() < 0.4:
                handle = held.pop(own.randrange(len(held)))
                agent.drop(handle)
                del living[handle]
                continue
            handle = f"h{number}-{turn}"
            found = agent.add(handle)
            assert found.error is None, found
            living[handle] = texts(found)
            held.append(handle)

    agent.store.faults = faults
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(caller, range(8)))
    agent.store.faults = count
    told = [address for addresses in living.values() for address in addresses]
    assert len(set(told)) == len(told) == len(living)
    held = agent.cluster.recounted()
    assert held.keys() == living.keys() | {"first"}
    counted = agent.cluster.handles()
    assert counted.keys() == held.keys()
    for handle, places in held.items():
        assert sum(places.values()) == 1
        assert all(counted[handle][at] >= number for at, number in places.items())
    assert not agent.store.transactional or counted == held
