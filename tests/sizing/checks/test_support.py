"""Checks of what lies around a cluster: extras, variants, versions, migration, retirement."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from unipam.sizing import checks
from unipam.sizing.checks import ranges, support
from unipam.sizing.cluster import Cluster
from unipam.sizing.findings import Finding

Make = Callable[..., Cluster]


def told(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.rule.id, each.severity.value) for each in findings]


def test_load_balanced_services(make: Make) -> None:
    extras = {"load_balanced_services": 299, "internal_load_balancers": 1}
    assert told(support.extras(make(extras=extras))) == []
    extras["internal_load_balancers"] = 2
    assert told(support.extras(make(extras=extras))) == [("L7", "error")]


def test_the_private_endpoint_moves_with_the_first_pool(make: Make) -> None:
    pools = [{"name": "system", "nodes": 3}, {"name": "user", "nodes": 3, "node_subnet": "other"}]
    assert told(support.extras(make(pools=pools, extras={"private_cluster": True}))) == [("X3", "warning")]
    assert told(support.extras(make(extras={"private_cluster": True}))) == []


def test_static_blocks_and_private_link(make: Make) -> None:
    extras = {"private_link_services": [1]}
    assert told(support.extras(make("pod-subnet-static", extras=extras))) == [("2.7", "error")]
    assert told(support.extras(make("overlay", extras=extras))) == []


def test_a_margin_is_asked_for(make: Make) -> None:
    assert told(support.extras(make("pod-subnet"))) == [("2.6", "note")]
    assert told(support.extras(make("pod-subnet", extras={"pod_churn": 32}))) == []


@pytest.mark.parametrize(
    ("variant", "fields", "expected"),
    [
        ("node-subnet", {}, [("2.3", "note")]),
        ("pod-subnet", {}, [("2.6", "note")]),
        ("pod-subnet-static", {"kubernetes": "1.27"}, [("2.7", "note"), ("2.7", "note"), ("2.7", "error")]),
        ("pod-subnet-static", {"kubernetes": "1.28"}, [("2.7", "note"), ("2.7", "note")]),
        ("overlay", {}, [("5", "note")]),
        ("kubenet", {}, [("E4", "note"), ("P10", "note")]),
        ("byo", {}, [("M9", "note"), ("2.10", "note"), ("2.10", "warning")]),
        ("byo-cilium", {"networks": {"pod_cidr": "10.8.0.0/16"}}, [("M9", "note"), ("2.10", "note")]),
        ("byo-cilium", {}, [("2.10", "warning"), ("M9", "note"), ("2.10", "note")]),
    ],
)
def test_what_a_variant_brings(
    make: Make, variant: str, fields: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert told(support.variant(make(variant, **fields))) == expected


def test_wasted_addresses_of_static_blocks(make: Make) -> None:
    findings = [each.message for each in support.variant(make("pod-subnet-static")) if "wastes" in each.message]
    assert findings == ["pool system wastes 1 addresses a node: max_pods 31 costs no more blocks"]


@pytest.mark.parametrize(
    ("variant", "fields", "expected"),
    [
        ("overlay", {"migrate_from": "kubenet"}, []),
        ("cilium-overlay", {"migrate_from": "node-subnet"}, []),
        ("overlay", {"migrate_from": "pod-subnet"}, [("E5", "error")]),
        ("node-subnet", {"migrate_from": "kubenet"}, [("E5", "error")]),
        ("overlay", {"migrate_from": "kubenet", "network_policy": "calico"}, [("E5", "error")]),
        ("overlay", {"migrate_from": "kubenet", "kubernetes": "1.26"}, [("E5", "error")]),
        ("overlay", {"migrate_from": "kubenet", "kubernetes": "1.27"}, []),
    ],
)
def test_migration(make: Make, variant: str, fields: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert [each for each in told(support.variant(make(variant, **fields))) if each[1] == "error"] == expected


@pytest.mark.parametrize(
    ("now", "later", "variant", "expected"),
    [
        ("10.244.0.0/18", "10.244.0.0/16", "overlay", []),
        ("10.244.0.0/16", "10.244.0.0/16", "kubenet", []),
        ("10.244.0.0/18", "10.245.0.0/16", "overlay", ["E3"]),
        ("10.244.0.0/16", "10.244.0.0/18", "overlay", ["E3"]),
        ("10.244.0.0/18", "10.244.0.0/16", "kubenet", ["E4"]),
        ("10.244.0.0/18", "10.244.0.0/16", "byo-cilium", []),
    ],
)
def test_expanding_a_pod_range(make: Make, now: str, later: str, variant: str, expected: list[str]) -> None:
    cluster = make(variant, networks={"pod_cidr_now": now, "pod_cidr": later})
    assert [each.rule.id for each in ranges.pod_range(cluster) if each.severity.value == "error"] == expected


def test_windows_and_ipv6_keep_a_pod_range_from_growing(make: Make) -> None:
    networks = {"pod_cidr_now": "10.244.0.0/18", "pod_cidr": "10.244.0.0/16"}
    pools = [{"name": "system", "nodes": 3}, {"name": "win", "nodes": 3, "os": "windows"}]
    for fields in ({"pools": pools}, {"dual_stack": True}):
        assert ("E3", "error") in told(ranges.pod_range(make(networks=networks, **fields)))


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        ({"pod_cidr_ipv6": "fd12::/64", "service_cidr_ipv6": "fd13::/108"}, []),
        ({"pod_cidr_ipv6": "fd12::/56", "service_cidr_ipv6": "fd13::/108"}, ["O14"]),
        ({"pod_cidr_ipv6": "fd12::/64", "service_cidr_ipv6": "fd13::/107"}, ["O14"]),
        ({"pod_cidr_ipv6": "fd12::/64", "service_cidr_ipv6": "fd12::/108"}, ["O7"]),
        ({}, []),
    ],
)
def test_dual_stack(make: Make, networks: dict[str, str], expected: list[str]) -> None:
    findings = [each for each in checks.run(make(dual_stack=True, networks=networks)) if each.severity.value == "error"]
    assert [each.rule.id for each in findings] == expected


def test_only_linux_nodes_save_addresses(make: Make) -> None:
    pools = [{"name": "system", "nodes": 3}, {"name": "win", "nodes": 9, "os": "windows"}]
    (finding,) = support.variant(make("node-subnet", pools))
    assert finding.message.startswith("Linux nodes likely reserve 2 fewer each, 6 in all")


@pytest.mark.parametrize(
    ("version", "expected"), [("1.32", set()), ("1.33", {"O3"}), ("1.34", {"O3"}), ("1.35", {"O3", "U6"})]
)
def test_what_newer_versions_bring(make: Make, version: str, expected: set[str]) -> None:
    assert {each.rule.id for each in checks.run(make(kubernetes=version))} & {"O3", "U6"} == expected


def test_retirement(make: Make) -> None:
    assert told(support.retirement(make("kubenet"))) == [("1.9", "warning")]
    assert told(support.retirement(make("node-subnet"))) == [("1.9", "note")]
    assert told(support.retirement(make("overlay", network_policy="azure"))) == [("1.9", "warning")]
    assert told(support.retirement(make("pod-subnet-static"))) == [("1.9", "note")]
    assert told(support.retirement(make("overlay"))) == []


def test_where_older_pages_say_less(make: Make) -> None:
    large = [{"name": f"p{index}", "nodes": 1000, "max_surge": 1} for index in range(2)]
    assert "2.8" in {each.rule.id for each in support.variant(make("overlay", large))}
    assert "2.8" not in {each.rule.id for each in support.variant(make("overlay", large[:1]))}
    for max_pods, expected in ((110, False), (111, True)):
        pools = [{"name": "system", "nodes": 3, "max_pods": max_pods}]
        assert ("M7" in {each.rule.id for each in support.variant(make("kubenet", pools))}) == expected


def test_findings_come_in_the_order_of_the_specification(make: Make) -> None:
    networks = {
        "vnet": "10.1.0.0/16", "subnets": {"nodes": "10.1.0.0/29"}, "pod_cidr": "10.1.0.0/16",
        "service_cidr": "172.30.0.0/12", "vnet_addresses": 65_536,
    }  # fmt: skip
    networks["service_cidr"] = "172.16.0.0/12"
    cluster = make("kubenet", [{"name": "system", "nodes": 500, "max_pods": 30}], networks=networks)
    found = [each.rule.id for each in checks.run(cluster) if each.severity.value != "note"]
    assert found == ["O1", "O1", "O2", "O7", "O8", "L5", "U1", "2.1", "L1", "1.9"]
