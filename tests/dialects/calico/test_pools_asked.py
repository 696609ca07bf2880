"""AC-16: which pools an ADD draws from, and in which words it is refused.

Annotations of pod and namespace reach an IPAM plugin as `ipv4_pools` and `ipv6_pools`: the plugin before it has put
them there, a pod's over its namespace's and both over the file's (spec §1.13). Here they come before what pools select.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.dialects.calico.cluster import Cluster
from tests.dialects.calico.node import Node

from unipam.dialects.calico import connection


@pytest.fixture
def node(cluster: Cluster, known: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    monkeypatch.setattr(connection, "datastore", lambda _where: cluster.store)
    cluster.pool("selected", "10.0.0.0/28", blockSize=30)
    cluster.pool("named", "10.1.0.0/28", blockSize=30, nodeSelector="has(nothing)", assignmentMode="Manual")
    cluster.pool("six", "fd00::/120", blockSize=122)
    cluster.pool("off", "10.2.0.0/28", blockSize=30, disabled=True)
    yield Node(cluster, known)
    connection.close()


@pytest.mark.parametrize(
    ("ipam", "begins"),
    [
        ({}, "10.0."), ({"ipv4_pools": ["named"]}, "10.1."), ({"ipv4_pools": ["10.1.0.0/28"]}, "10.1."),
        ({"ipv4_pools": ["named", "selected"]}, "10.1."), ({"ipv4_pools": []}, "10.0."),
        ({"assign_ipv4": "false", "assign_ipv6": "true", "ipv6_pools": ["six"]}, "fd00::"),
    ],
)  # fmt: skip
def test_pools_that_are_named_come_before_those_that_select(node: Node, ipam: dict[str, Any], begins: str) -> None:
    answer = node.ask("ADD", "a", **ipam)
    assert answer.code == 0, answer
    (found,) = json.loads(answer.stdout)["ips"]
    assert found["address"].startswith(begins)


@pytest.mark.parametrize(
    ("ipam", "said"),
    [
        ({"ipv4_pools": ["nope"]}, 'error parsing pool "nope": invalid CIDR address: nope'),
        ({"ipv4_pools": ["six"]}, '"fd00::" isn\'t a IPv4 address'),
        ({"ipv6_pools": ["named"], "assign_ipv6": "true"}, '"10.1.0.0" isn\'t a IPv6 address'),
        ({"ipv4_pools": ["off"]}, "the given pool (10.2.0.0/28) does not exist, or is not enabled"),
        ({"ipv4_pools": ["10.9.0.0/28"]}, "the given pool (10.9.0.0/28) does not exist, or is not enabled"),
    ],
)
def test_pools_that_cannot_be_are_refused_in_the_originals_words(node: Node, ipam: dict[str, Any], said: str) -> None:
    answer = node.ask("ADD", "a", **ipam)
    assert (answer.code, json.loads(answer.stdout)["msg"]) == (1, said)
    assert node.held() == {}
