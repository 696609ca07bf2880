"""Debian's bridge plugin delegates to unipam, and what comes of it is a network that carries packets."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from tests.real.node import Node, Said, missing

_MISSING = missing({"containernetworking-plugins": "/usr/lib/cni/bridge", "iputils-ping": "ping"})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

STACKS = {"IPv4": ["10.77.0.0/24"], "IPv6": ["fd77::/64"], "dual stack": ["10.77.0.0/24", "fd77::/64"]}


@pytest.fixture(params=["agent", "cold"])
def served(request: pytest.FixtureRequest, node: Node) -> Iterator[Node]:
    """A node with an agent, and one without."""
    with node.agent() if request.param == "agent" else nullcontext():
        yield node
        lines = [line for line in node.log().splitlines() if '"event":"call"' in line]
    assert bool(lines) is (request.param == "agent"), "the agent answers when there is one, and nobody else"


class Network:
    """A bridge in one namespace that connects others."""

    def __init__(self, node: Node, host: str, ranges: list[str]) -> None:
        self.node = node
        self.host = host
        self.conf: dict[str, Any] = {
            "cniVersion": "1.0.0", "name": "real", "type": "bridge", "bridge": "br0", "isGateway": True,
            "ipam": node.ipam(*ranges),
        }  # fmt: skip

    def call(self, verb: str, namespace: str, **more: Any) -> Said:
        netns = f"/run/netns/{namespace}"
        conf = self.conf | more
        return self.node.call(verb, conf, f"c-{namespace}", plugin="bridge", netns=netns, inside=self.host)


def ping(namespace: str, address: str) -> bool:
    command = ["ip", "netns", "exec", namespace, "ping", "-n", "-c3", "-i0.2", "-w20", address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return " 3 received" in done.stdout


@pytest.mark.parametrize("stack", STACKS)
def test_two_namespaces_ping_each_other(served: Node, namespace: Callable[[], str], stack: str) -> None:
    network = Network(served, namespace(), STACKS[stack])
    one, two = namespace(), namespace()
    results = {each: network.call("ADD", each) for each in (one, two)}
    assert served.held() == {a: f"c-{each}" for each, said in results.items() for a in said.addresses}
    assert [len(said.addresses) for said in results.values()] == [len(STACKS[stack])] * 2

    for address in results[two].addresses:
        assert ping(one, address)
    for address in results[one].addresses:
        assert ping(two, address)

    for each, said in results.items():
        assert network.call("CHECK", each, prevResult=said.document) == Said(0, b"")
    swapped = network.call("CHECK", one, prevResult=results[two].document)
    assert swapped.code == 1

    for each, said in results.items():
        assert network.call("DEL", each, prevResult=said.document) == Said(0, b"")
    assert served.held() == {}
    assert network.call("DEL", one) == Said(0, b""), "a second DEL finds nothing, and that is all right"
    gone = network.call("CHECK", one, prevResult=results[one].document)
    assert gone.code == 1


def test_what_fails_after_us_is_taken_back(served: Node, namespace: Callable[[], str]) -> None:
    network = Network(served, namespace(), STACKS["IPv4"])
    first, second = namespace(), namespace()
    assert network.call("ADD", first).code == 0
    other = network.conf | {"ipam": served.ipam("10.78.0.0/24"), "name": "other"}
    refused = network.call("ADD", second, **other)
    assert "already has an IP address different from" in refused.document["msg"], "after it had asked us for one"
    verbs = [entry.verb for entry in served.journal() if entry.owner.holder == f"c-{second}"]
    assert verbs == ["allocate", "release"], "the bridge plugin gave it back itself"
    assert network.call("DEL", second, **other) == Said(0, b"")
    assert list(served.held().values()) == [f"c-{first}"]


def test_a_full_pool_is_said_in_the_plugins_error(served: Node, namespace: Callable[[], str]) -> None:
    network = Network(served, namespace(), ["10.77.1.0/30"])  # .1 is the gateway's: one address is left
    one, two, three = namespace(), namespace(), namespace()
    assert network.call("ADD", one).addresses == ["10.77.1.2"]
    refused = network.call("ADD", two)
    assert refused.code == 1
    assert "no IP addresses available in range set: 10.77.1.1-10.77.1.2" in refused.document["msg"]
    assert network.call("DEL", one).code == 0
    assert network.call("ADD", three).addresses == ["10.77.1.2"]
