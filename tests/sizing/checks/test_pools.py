"""Checks of pools: when each speaks, and when it holds its tongue."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from unipam.sizing.checks import pools
from unipam.sizing.cluster import Cluster
from unipam.sizing.findings import Finding

Make = Callable[..., Cluster]


def told(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.rule.id, each.severity.value) for each in findings]


def system(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "system", "nodes": 3, "max_surge": 1} | fields]


@pytest.mark.parametrize(
    ("nodes", "max_pods", "expected"),
    [
        (3, 10, []),
        (2, 10, [("M4", "error")]),
        (2, 15, []),
        (2, 20, [("M4", "warning")]),
        (1, 20, [("M4", "error")]),
        (1, 30, []),
    ],
)
def test_a_pool_offers_thirty_pods(make: Make, nodes: int, max_pods: int, expected: list[tuple[str, str]]) -> None:
    assert told(pools.max_pods(make(pools=system(nodes=nodes, max_pods=max_pods)))) == expected


def test_an_empty_user_pool_offers_nothing_and_is_fine(make: Make) -> None:
    assert told(pools.max_pods(make(pools=[*system(), {"name": "user", "nodes": 0}]))) == []


def test_more_pods_than_max_pods(make: Make) -> None:
    assert told(pools.max_pods(make(pools=system(max_pods=30, pods=31)))) == [("M6", "error")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_surge": 1}, []),
        ({"max_surge": 0}, [("U3", "error")]),
        ({"max_surge": "0%"}, [("U3", "error")]),
        ({"max_surge": None, "nodes": 10}, []),
        ({"max_surge": None, "nodes": 11}, [("U4", "note")]),
        ({"max": 9}, [("P3", "note")]),
    ],
)
def test_surge(make: Make, fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(pools.surge(make(pools=system(**fields)))) == expected


@pytest.mark.parametrize(("unavailable", "expected"), [(0, [("U3", "error")]), (1, []), ("10%", [])])
def test_user_pools_may_do_without_surge(make: Make, unavailable: object, expected: list[tuple[str, str]]) -> None:
    user = {"name": "user", "nodes": 5, "max_surge": 0, "max_unavailable": unavailable}
    found = told(pools.surge(make(pools=[*system(), user])))
    assert [each for each in found if each[0] == "U3"] == expected


def test_pools_upgrade_together(make: Make) -> None:
    several = [{"name": f"p{index}", "nodes": 4, "max_surge": "50%"} for index in range(5)]
    (finding,) = [each for each in pools.surge(make(pools=several)) if each.rule.id == "U7"]
    assert finding.message == "if all 5 pools upgrade together they add 10 nodes"


@pytest.mark.parametrize(
    ("variant", "max_pods", "expected"),
    [
        ("overlay", 110, [("2.11", "note")]),
        ("overlay", 111, [("M8", "warning"), ("2.11", "note")]),
        ("kubenet", 110, [("2.11", "error"), ("2.11", "note")]),
        ("cilium-overlay", 110, [("2.11", "error"), ("2.11", "note")]),
        ("byo", 110, [("2.11", "error"), ("2.11", "note")]),
    ],
)
def test_windows(make: Make, variant: str, max_pods: int, expected: list[tuple[str, str]]) -> None:
    several = [*system(max_pods=30), {"name": "win", "nodes": 3, "os": "windows", "max_pods": max_pods}]
    assert told(pools.windows(make(variant, several))) == expected


def test_the_first_pool_is_linux(make: Make) -> None:
    assert ("2.11", "error") in told(pools.windows(make(pools=system(os="windows", max_pods=30))))


def test_zones(make: Make) -> None:
    assert told(pools.zones(make(pools=system(zones=[1, 2, 3])))) == [("P7", "note"), ("S7", "note")]
    assert told(pools.zones(make(pools=system(zones=[1, 2, 3], pool_per_zone=True)))) == [("S7", "note")]
    assert told(pools.zones(make())) == []


@pytest.mark.parametrize(
    ("variant", "policy", "expected"),
    [
        ("overlay", "cilium", []),
        ("node-subnet", "none", []),
        ("overlay", "calico", [("P11", "error")]),
        ("node-subnet-calico", "none", [("P11", "error")]),
        ("kubenet", "none", [("P11", "error")]),
        ("pod-subnet", "none", [("P11", "error")]),
    ],
)
def test_auto_provisioning(make: Make, variant: str, policy: str, expected: list[tuple[str, str]]) -> None:
    cluster = make(variant, system(max=5), network_policy=policy, auto_provisioning=True)
    assert told(pools.auto_provisioning(cluster)) == expected
