"""Checks of sizes: which moment is the first that does not fit, and how grave that is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from unipam.sizing.checks import capacity
from unipam.sizing.cluster import Cluster
from unipam.sizing.document import read
from unipam.sizing.findings import Finding, Severity
from unipam.sizing.plan import plan

Make = Callable[..., Cluster]


def told(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.rule.id, each.severity.value) for each in findings]


def nodes(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": "system", "nodes": count, "max_surge": 1, "max_pods": 30} | fields]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (12, [("U11", "error")]),
        (11, [("U11", "error")]),
        (10, [("U5", "warning")]),
        (9, [("U5", "warning")]),
        (8, [("U9", "warning")]),
        (5, []),
    ],
)
def test_the_first_moment_that_does_not_fit(make: Make, count: int, expected: list[tuple[str, str]]) -> None:
    """A /28 holds 11: steady n, upgrade n + 1, at 33% 4/3 n rounded up, blue-green 2 n."""
    expected = [("U1", "error")] if count == 12 else expected
    cluster = make("kubenet", nodes(count), networks={"subnets": {"nodes": "10.1.0.0/28"}})
    assert told(capacity.fits(cluster)) == expected


@pytest.mark.parametrize(
    ("variant", "count", "expected"),
    [
        ("overlay", 8, [("U11", "warning")]),
        ("kubenet", 8, [("U11", "error")]),
        ("overlay", 9, [("2.8", "error")]),
        ("kubenet", 9, [("2.1", "error")]),
        ("overlay", 4, []),
    ],
)
def test_a_pod_range_short_of_surge(make: Make, variant: str, count: int, expected: list[tuple[str, str]]) -> None:
    """A /21 holds eight nodes. Whether AKS counts surge in Overlay is not known, so that is a warning (2.8)."""
    networks = {"pod_cidr": "10.244.0.0/21", "subnets": {"nodes": "10.1.0.0/24"}}
    assert told(capacity.fits(make(variant, nodes(count), networks=networks))) == expected


def test_ranges_to_be_made_are_only_noted_to_be_tight(make: Make) -> None:
    """10 + 1 fill a /28, 14 do not: but the /28 is the plan's own."""
    assert told(capacity.fits(make("overlay", nodes(10)))) == [("U5", "note")]


def test_what_fits_no_range(make: Make) -> None:
    pools = [*nodes(1000, max_pods=250), {"name": "user", "nodes": 1000, "max_pods": 250}]
    (finding,) = [each for each in capacity.fits(make("pod-subnet", pools)) if "pods" in each.message.split(":")[0]]
    assert finding.severity.value == "error"
    assert "fit no range, the largest is /16: split pools" in finding.message


def test_what_fits_a_range_until_it_is_upgraded(make: Make) -> None:
    """240 nodes hold 240 x 273 = 65,520 of the 65,531 addresses of a /16; their surge has no room anywhere."""
    (finding,) = [
        each for each in capacity.fits(make("pod-subnet", nodes(240, max_pods=250))) if "pods" in each.message
    ]
    assert told([finding]) == [("U11", "error")]
    assert "(upgrade) fit no range" in finding.message


def test_the_message_says_what_to_take(make: Make) -> None:
    cluster = make("node-subnet", nodes(10), networks={"subnets": {"nodes": "10.1.0.0/24"}})
    (finding,) = capacity.fits(cluster)
    assert finding.message == (
        "node subnet nodes: 10.1.0.0/24 holds 251 addresses, not 310 addresses (steady): take a /23, or plan less"
    )


def test_limits_of_the_cluster(make: Make) -> None:
    pools = [*nodes(1000), *({"name": f"p{index}", "nodes": 900} for index in range(5))]
    assert told(capacity.cluster_limits(make("overlay", pools))) == [("L6", "error"), ("L9", "warning")]
    assert told(capacity.cluster_limits(make("kubenet", nodes(400)))) == [("L5", "error")]
    assert told(capacity.cluster_limits(make("kubenet", nodes(399)))) == []
    assert told(capacity.cluster_limits(make("overlay", nodes(900, growth="50%"), tier="free"))) == [
        ("L6", "error"),
        ("L6", "warning"),
        ("L11", "warning"),
    ]


def test_limits_of_the_network(make: Make) -> None:
    networks = {"vnet_addresses": 65_532, "peered": "10.2.0.0/16", "peered_addresses": 62_464}
    assert told(capacity.network_limits(make(networks=networks))) == []
    networks["vnet_addresses"] = 65_533
    assert told(capacity.network_limits(make(networks=networks))) == [("L1", "error"), ("L2", "error")]


def test_room_to_replace_a_pool(make: Make) -> None:
    pools = [*nodes(8), {"name": "small", "nodes": 1, "max_surge": 1}]
    cluster = make(pools=pools, networks={"subnets": {"nodes": "10.1.0.0/28"}})
    (finding,) = capacity.replacement(cluster)
    assert finding.message == "node subnet nodes has no room to replace a pool side by side: system"


def test_room_to_replace_a_pool_to_the_last_address(make: Make) -> None:
    networks = {"subnets": {"nodes": {"prefix": "10.1.0.0/28", "used": 1}}}
    assert told(capacity.replacement(make(pools=nodes(5), networks=networks))) == []
    networks["subnets"]["nodes"]["used"] = 2
    assert told(capacity.replacement(make(pools=nodes(5), networks=networks))) == [("M6", "note")]


def test_guidance_on_pods(make: Make) -> None:
    """800 x 250 pods are what Overlay is good for; 500 x 100 and 650 x 100 what dynamic pod subnets are."""
    assert told(capacity.cluster_limits(make("overlay", nodes(800, max_pods=250)))) == []
    assert told(capacity.cluster_limits(make("overlay", nodes(801, max_pods=250)))) == [("L9", "warning")]
    for count, expected in ((500, []), (501, ["L9"]), (650, ["L9"]), (651, ["L9", "2.6"])):
        found = told(capacity.cluster_limits(make("pod-subnet", nodes(count, max_pods=100))))
        assert [rule for rule, _ in found] == expected


def test_a_full_subnet_cannot_grow(make: Make) -> None:
    cluster = make(pools=nodes(8, max=20), networks={"subnets": {"nodes": "10.1.0.0/28"}})
    assert told(capacity.replacement(cluster)) == [("E1", "note"), ("P5", "note")]


@pytest.mark.parametrize(
    ("variant", "networks"),
    [("overlay", {"pod_cidr": "10.128.0.0/20"}), ("node-subnet", {"subnets": {"nodes": "10.0.0.0/22"}})],
)
def test_the_prefix_that_a_finding_tells_to_take_is_the_one_that_works(variant: str, networks: dict[str, Any]) -> None:
    described = {"variant": variant, "pools": [{"name": "a", "nodes": 250, "max_pods": 30, "max_surge": "50%"}]}
    (told,) = [each for each in plan(read({**described, "networks": networks})).findings if "take a /" in each.message]
    (bits,) = re.findall(r"take a (/\d+)", told.message)
    if variant == "overlay":
        larger: dict[str, Any] = {"pod_cidr": f"10.128.0.0{bits}"}
    else:
        larger = {"subnets": {"nodes": f"10.0.0.0{bits}"}}
    again = plan(read({**described, "networks": larger})).findings
    assert not [each for each in again if each.severity is Severity.ERROR and "take a /" in each.message]


def test_more_nodes_than_the_quota_of_a_new_cluster_are_a_warning() -> None:
    described = {"variant": "overlay", "pools": [{"name": name, "nodes": 600, "max_surge": 1} for name in "ab"]}
    (told,) = [each for each in plan(read(described)).findings if "quota" in each.message]
    assert told.severity is Severity.WARNING
    assert "ask Azure's support for more beforehand, up to 5,000" in told.message
