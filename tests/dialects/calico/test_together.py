"""Calls that come at once are answered by one write of a block, and each with what it would be answered by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest
from tests.dialects.calico.cluster import Cluster

from unipam.cni import protocol
from unipam.cni.call import Answer, Call
from unipam.cni.context import Context
from unipam.dialects import registry
from unipam.dialects.calico import connection
from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import HOST, AffinityKey, Key, PoolKey
from unipam.dialects.calico.datastore.memory import Fault
from unipam.ledger.open import Ledgers

NETWORK = {
    "cniVersion": "1.0.0", "name": "net", "type": "calico", "nodename": "host-a", "etcd_endpoints": "http://nowhere:1",
    "ipam": {"type": "calico-ipam"},
}  # fmt: skip
CONTEXT = Context(Ledgers(), attended=True)

Faults = Callable[[str, object], Fault | None]


class Node:
    """A node whose agent knows its part of a datastore. `wrote` are the keys of each write."""

    def __init__(self) -> None:
        self.cluster = Cluster()
        self.cluster.node("host-a")
        self.cluster.node("host-b")
        self.cluster.pool("v4", "10.0.0.0/16", blockSize=28)
        self.wrote: list[tuple[Key, ...]] = []
        self.fault: Faults = lambda _call, _about: None
        self.cluster.store.faults = self._meet

    def _meet(self, call: str, about: tuple[Key, ...] | Selection) -> Fault | None:
        if call == "write":
            self.wrote.append(about)  # type: ignore[arg-type]
        return self.fault(call, about)

    def alone(self, verb: str, container: str) -> Answer:
        """What a call by itself is answered."""
        return registry.answer(call(verb, container), CONTEXT)

    def at_once(self, *calls: Call, heard: Callable[[], bool] = lambda: True) -> list[Answer | None]:
        """What calls that come at once are answered; None where each is to be asked by itself."""
        answers: list[Answer | None] = [None] * len(calls)
        self.wrote.clear()
        for numbers, act in registry.together(calls, [heard] * len(calls), CONTEXT):
            for number, given in zip(numbers, act(CONTEXT), strict=True):
                answers[number] = given
        return answers

    def check(self) -> None:
        """Every handle counts what the blocks hold."""
        assert self.cluster.handles() == self.cluster.recounted()


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node with one block, whose watches stand and have told of it."""
    made = Node()
    monkeypatch.setattr(connection, "datastore", lambda _where: made.cluster.store)
    assert made.alone("ADD", "first").code == 0
    until = time.monotonic() + 30
    while not knows_its_claim(until):
        assert time.monotonic() < until
        time.sleep(0.01)
    yield made
    connection.close()


def knows_its_claim(until: float) -> bool:
    """Return whether the node's agent knows by its watches that a block is the node's."""
    (watched,) = connection._opened
    claims = watched.list(Selection(AffinityKey, "host-a", HOST), until).items  # type: ignore[union-attr]
    return watched.known() and [item.document["state"] for item in claims] == ["confirmed"]  # type: ignore[union-attr]


def call(verb: str, container: str, args: str = "", **more: object) -> Call:
    """A call that has been read, as the agent's loop reads it."""
    environment = {
        "CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": "/n", "CNI_IFNAME": "eth0", "CNI_PATH": "/p",
        "CNI_ARGS": args,
    }  # fmt: skip
    made = Call("calico-ipam", environment, json.dumps({**NETWORK, **more}).encode(), pid=1)
    protocol.read(made, protocol.VERSIONS, apart=False)
    return made


def addresses(answers: list[Answer | None]) -> list[str]:
    """The addresses that were handed out."""
    return [json.loads(each.stdout)["ips"][0]["address"] for each in answers if each and each.stdout and not each.code]


def test_they_share_a_write(node: Node) -> None:
    found = node.at_once(*(call("ADD", f"c{number}") for number in range(10)))
    assert len(set(addresses(found))) == 10
    assert [len(keys) for keys in node.wrote] == [11]
    assert set(node.cluster.handles()) == {"net.first", *(f"net.c{number}" for number in range(10))}
    found = node.at_once(*(call("DEL", f"c{number}") for number in range(10)))
    assert [each and (each.code, len(each.facts["addresses"])) for each in found] == [(0, 1)] * 10  # type: ignore[arg-type]
    assert [len(keys) for keys in node.wrote] == [11]
    assert set(node.cluster.handles()) == {"net.first"}
    node.check()


def test_answers_are_those_of_calls_by_themselves(node: Node) -> None:
    (together,) = node.at_once(call("ADD", "a"))
    alone = node.alone("ADD", "b")
    assert together
    (mine,), (theirs,) = addresses([together]), addresses([alone])
    assert together.stdout.replace(mine.encode(), theirs.encode()) == alone.stdout
    assert together.facts.keys() == alone.facts.keys()


def test_comings_and_goings_mix(node: Node) -> None:
    node.at_once(call("ADD", "a"), call("ADD", "b"))
    found = node.at_once(call("DEL", "a"), call("ADD", "c"), call("DEL", "b"), call("ADD", "d"))
    assert [each and each.code for each in found] == [0] * 4
    assert len(node.wrote) == 1
    assert set(node.cluster.handles()) == {"net.first", "net.c", "net.d"}
    node.check()


def test_each_block_is_written_by_itself(node: Node) -> None:
    """The block has room for 15 more; the node's second block takes the rest, and both are given up to at once."""
    for number in range(20):
        assert node.alone("ADD", f"c{number}").code == 0
    assert len(node.cluster.blocks()) == 2
    found = node.at_once(*(call("DEL", f"c{number}") for number in range(20)))
    assert all(each and not each.code for each in found)
    assert sorted(len(keys) for keys in node.wrote) == [6, 16]
    node.check()


def test_no_more_than_there_is_room_for(node: Node) -> None:
    """Whoever finds none is to claim a block, by itself."""
    found = node.at_once(*(call("ADD", f"c{number}") for number in range(20)))
    assert [each is None for each in found] == [False] * 15 + [True] * 5
    assert all(node.alone("ADD", f"c{number}").code == 0 for number in range(15, 20))
    assert len(node.cluster.handles()) == 21
    node.check()


def test_the_same_container_twice(node: Node) -> None:
    """As by themselves: both have an address, and the handle counts both."""
    assert len(set(addresses(node.at_once(call("ADD", "a"), call("ADD", "a"))))) == 2
    assert sum(node.cluster.handles()["net.a"].values()) == 2
    node.check()


@pytest.mark.parametrize(
    "odd",
    [
        call("ADD", "x", ipam={"assign_ipv6": "true"}),
        call("ADD", "x", ipam={"ipv4_pools": ["nope"]}),
        call("ADD", "x", args="IP=10.0.0.9"),
        call("ADD", "x", args="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=virt-launcher-x"),
        call("ADD", "x", args="WHAT=1"),
        call("DEL", "nobody"),
        call("CHECK", "first"),
    ],
    ids=["two families", "unknown pool", "an address by name", "a VM", "unknown arguments", "unknown handle", "CHECK"],
)
def test_what_needs_more_is_answered_by_itself(node: Node, odd: Call) -> None:
    assert node.at_once(odd) == [None]
    assert node.wrote == []


def test_a_datastore_that_writes_in_turn(node: Node) -> None:
    node.cluster.store.transactional = False
    assert node.at_once(call("ADD", "a")) == [None]


def test_what_is_known_is_old(node: Node) -> None:
    """Somebody else has written the block: it is read again, and no address is given twice."""
    taken = node.cluster.ask(4, "host-a", handle="cold").addresses
    found = node.at_once(call("ADD", "a"), call("DEL", "first"), call("ADD", "b"))
    assert all(each and not each.code for each in found)
    assert len(taken) == 4
    assert set(node.cluster.handles()) == {"cold", "net.a", "net.b"}
    node.check()


def test_somebody_else_has_filled_the_block(node: Node) -> None:
    node.cluster.ask(15, "host-a", handle="cold")
    assert node.at_once(call("ADD", "a"), call("ADD", "b")) == [None, None]
    node.check()


def test_somebody_else_has_released_what_is_known(node: Node) -> None:
    node.cluster.drop("net.first")
    found = node.at_once(call("DEL", "first"), call("ADD", "a"))
    assert found[0] is None
    assert len(addresses(found)) == 1
    assert node.alone("DEL", "first").code == 0
    node.check()


def test_the_datastore_is_away(node: Node) -> None:
    """A caller hears it, and has nothing."""
    node.fault = lambda asked, _about: "away" if asked == "write" else None
    added, released = node.at_once(call("ADD", "a"), call("DEL", "first"))
    assert added
    assert released
    assert (json.loads(added.stdout)["code"], json.loads(released.stdout)["code"]) == (999, 999)
    assert set(node.cluster.handles()) == {"net.first"}


@pytest.mark.parametrize("fault", ["lost", "unmade"])
def test_an_answer_is_lost(node: Node, fault: Fault) -> None:
    """Whether the write was made is found out: an ADD has its address, a DEL is done again by itself."""
    pending = [fault]
    node.fault = lambda asked, _about: pending.pop() if asked == "write" and pending else None
    found = node.at_once(call("ADD", "a"), call("DEL", "first"), call("ADD", "b"))
    assert len(set(addresses(found))) == 2
    assert (found[1] is None) == (fault == "unmade")
    assert node.alone("DEL", "first").code == 0
    assert set(node.cluster.handles()) == {"net.a", "net.b"}
    node.check()


def test_what_nobody_hears_is_given_back(node: Node) -> None:
    found = node.at_once(call("ADD", "a"), call("ADD", "b"))
    for each in found[:1]:
        assert each
        assert each.undo
        each.undo(CONTEXT)
    assert set(node.cluster.handles()) == {"net.first", "net.b"}
    node.check()


def test_an_emptied_block_that_is_not_the_nodes_any_more_is_given_up(node: Node) -> None:
    node.cluster.pool("v4", "10.0.0.0/16", blockSize=28, nodeSelector="has(other)")
    (watched,) = connection._opened
    until = time.monotonic() + 30
    while watched.list(Selection(PoolKey), until).items[0].document["spec"].get("nodeSelector") is None:  # type: ignore[union-attr]
        assert time.monotonic() < until
        time.sleep(0.01)
    assert [each and each.code for each in node.at_once(call("DEL", "first"))] == [0]
    assert node.cluster.blocks() == {}


def test_what_is_given_back_is_this_very_allocation(node: Node) -> None:
    """The container was given another address since, by whom it asked again."""
    (found,) = node.at_once(call("ADD", "a"))
    assert found
    assert found.undo
    assert node.alone("DEL", "a").code == 0
    assert node.alone("ADD", "a").code == 0
    found.undo(CONTEXT)
    assert sum(node.cluster.handles()["net.a"].values()) == 1
    node.check()


def test_a_release_that_nobody_waits_for_is_not_made(node: Node) -> None:
    """Whoever gave it up may have asked again, and an ADD after that has been answered since."""
    assert node.at_once(call("DEL", "first"), heard=lambda: False) == [None]
    assert set(node.cluster.handles()) == {"net.first"}


def test_nothing_is_given_to_whom_nobody_waits_for(node: Node) -> None:
    """It would only have to be taken back; those who come at the same time are answered."""
    waits = iter([False, True])
    assert [each is None for each in node.at_once(call("ADD", "a"), call("ADD", "b"), heard=lambda: next(waits))] == [
        True, False,
    ]  # fmt: skip
    assert set(node.cluster.handles()) == {"net.first", "net.b"}
    assert [len(keys) for keys in node.wrote] == [2]
    node.check()


def test_what_may_be_left_is_taken_back_later(node: Node) -> None:
    """Nobody can find out whether it was written, since the datastore is away from then on."""
    broken = ["lost"]
    node.fault = lambda asked, _about: "lost" if asked == "write" and broken and broken.pop() else "away"
    (found,) = node.at_once(call("ADD", "a"))
    assert found
    assert (found.code, bool(found.undo)) == (1, True)
    node.fault = lambda _asked, _about: None
    assert found.undo
    found.undo(CONTEXT)
    assert set(node.cluster.handles()) == {"net.first"}
    node.check()
