"""CiliumNodes of a wrong shape, as a server without their schema may have them: nothing ends in a traceback."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from tests.dialects.cilium.test_nodes import ROOM, captured, nic

from unipam.dialects.cilium.explaining import address_facts, node_facts
from unipam.dialects.cilium.looking import findings
from unipam.dialects.cilium.node import CiliumNode, node_of, published, spec_patch, status_patch
from unipam.dialects.cilium.planning import Policy, growth
from unipam.dialects.cilium.releasing import release
from unipam.dialects.native import handshake
from unipam.dialects.native.pools import pooled, pools_of

GARBAGE: list[Any] = [None, -1, 10**12, True, 3.5, "", "x", "::1", "10.0.0.1/33", [], [1], {}, {"pool": "default"}]
USED = "10.240.0.5"


def whole() -> dict[str, Any]:
    """A CiliumNode that has every part that is read."""
    found: dict[str, Any] = captured("ciliumnode-3-eight-used.json")
    found["status"]["ipam"]["release-ips"] = {"10.240.0.20": "marked-for-release", "10.240.0.19": "ready-for-release"}
    found["status"]["ipam"]["operator-status"] = {"error": "SubnetIsFull: full"}
    found["spec"]["azure"] = {"interface-name": "aks-nic"}
    found["spec"]["ipam"] |= {
        "pools": {
            "allocated": [{"pool": "default", "cidrs": [f"{USED}/32"]}],
            "requested": [{"pool": "default", "needed": {"ipv4-addrs": 12}}],
        },
        "static-ip-tags": {"a": "b"},
    }
    return found


def places(document: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, but one address of each kind stands for all."""
    inner: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(document, dict):
        inner = iter([each for each in document.items() if not str(each[0]).startswith("10.") or each[0] == USED])
    elif isinstance(document, list):
        inner = iter(list(enumerate(document))[:1])
    for name, value in inner:
        yield (*before, name)
        yield from places(value, (*before, name))


def read_everywhere(node: CiliumNode) -> None:
    nics = [nic(count=11)]
    for policy in (Policy(), Policy(release=True, release_after=0.0), Policy(strict=True, blocks=True)):
        growth(node, nics, ROOM, policy)
        said = published(nics, ROOM, release(node, nics, policy, {}, 100.0).states)
        status_patch(node, said)
        spec_patch(node, said)
    findings([node], {node.instance: nics}, {})
    list(node_facts(node, {node.instance: nics}))
    list(address_facts(USED, node, {node.instance: nics}, {}))
    pools_of(node)
    pooled(node)
    handshake.answers(node, set(), set())
    handshake.used_patch(node, handshake.used(node, []))


@pytest.mark.parametrize("place", list(places(whole())), ids=lambda place: ".".join(map(str, place)))
def test_garbage_counts_as_absent(place: tuple[Any, ...]) -> None:
    for each in GARBAGE:
        document = whole()
        part = document
        for name in place[:-1]:
            part = part[name]
        part[place[-1]] = copy.deepcopy(each)
        read_everywhere(node_of(document))
