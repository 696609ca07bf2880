"""The table of exclusions: every pair that clashes is told, by the right rule, and no other."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from unipam.sizing import checks, overlap
from unipam.sizing.cluster import Cluster
from unipam.sizing.findings import Severity
from unipam.sizing.overlap import Role

Make = Callable[..., Cluster]
CLEAR = {
    "vnet": "10.1.0.0/16", "subnets": {"nodes": "10.1.0.0/20"}, "pod_cidr": "10.244.0.0/16",
    "service_cidr": "10.0.0.0/16", "peered": "10.2.0.0/16", "on_premises": ["192.168.0.0/16"],
}  # fmt: skip


def told(cluster: Cluster) -> set[tuple[str, str]]:
    findings = checks.run(cluster)
    return {(each.rule.id, each.severity.value) for each in findings if each.severity is not Severity.NOTE}


def test_clear_ranges_say_nothing(make: Make) -> None:
    assert told(make(networks=CLEAR)) == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"pod_cidr": "172.30.0.0/16"}, {("O1", "error")}),
        ({"service_cidr": "172.31.1.0/24"}, {("O1", "error")}),
        ({"pod_cidr": "192.0.2.0/24"}, {("O1", "error"), ("O9", "warning"), ("2.8", "error")}),
        ({"subnets": {"nodes": "10.1.0.0/20", "x": "10.1.8.0/24"}}, {("S6", "error")}),
        ({"subnets": {"nodes": "10.9.0.0/20"}}, {("S6", "error")}),
        ({"subnets": {"nodes": "10.1.0.0/30"}}, {("S4", "error"), ("U1", "error")}),
        ({"vnet": ["10.1.0.0/16", "224.0.0.0/8"]}, {("S5", "error")}),
        ({"vnet": ["10.1.0.0/16", "10.2.128.0/17"]}, {("peering", "error")}),
        ({"on_premises": "10.1.255.0/24"}, {("peering", "warning")}),
        ({"on_premises": "10.1.0.0/24"}, {("peering", "warning"), ("peering", "error")}),
        ({"service_cidr": "10.1.4.0/24"}, {("O2", "error"), ("O4", "warning")}),
        ({"service_cidr": "10.1.128.0/24"}, {("O4", "warning")}),
        ({"service_cidr": "10.2.0.0/24"}, {("O2", "error")}),
        ({"service_cidr": "192.168.9.0/24"}, {("O2", "error")}),
        ({"service_cidr": "100.64.0.0/12"}, {("O2", "error")}),
        ({"service_cidr": "100.64.0.0/13"}, set()),
        ({"pod_cidr": "10.1.0.0/16"}, {("O7", "error"), ("O8", "error")}),
        ({"pod_cidr": "10.1.128.0/17"}, {("O8", "error")}),
        ({"pod_cidr": "10.0.0.0/16"}, {("O7", "error")}),
        ({"pod_cidr": "10.2.0.0/16"}, {("O7", "error")}),
        ({"pod_cidr": "192.168.0.0/16"}, {("O7", "error")}),
        ({"pod_cidr": "52.0.0.0/16"}, {("O9", "warning")}),
        ({"dns_service_ip": "10.0.0.10"}, set()),
        ({"dns_service_ip": "10.0.0.1"}, {("O5", "error")}),
        ({"dns_service_ip": "10.0.0.0"}, {("O5", "error")}),
        ({"dns_service_ip": "10.0.255.255"}, {("O5", "error")}),
        ({"dns_service_ip": "10.3.0.10"}, {("O5", "error")}),
        ({"docker_bridge": "172.17.0.0/16"}, {("O6", "warning")}),
    ],
)  # fmt: skip
def test_each_clash(make: Make, change: dict[str, object], expected: set[tuple[str, str]]) -> None:
    assert told(make(networks=CLEAR | change)) == expected


def test_the_network_aks_makes_is_assumed_if_none_is_named(make: Make) -> None:
    assert ("O10", "warning") in told(make(networks={"pod_cidr": "10.230.0.0/16"}))
    assert ("O10", "warning") not in told(make(networks=CLEAR | {"pod_cidr": "10.230.0.0/16"}))


def test_defaults_clash_too(make: Make) -> None:
    networks = {"vnet": "10.0.0.0/8", "subnets": {"nodes": "10.0.0.0/24"}}
    assert {("O2", "error"), ("O4", "warning"), ("O8", "error")} <= told(make(networks=networks))


def test_defaults_do_not_apply_where_the_plan_finds_ranges(make: Make) -> None:
    networks = {"vnet": "10.0.0.0/8", "subnets": {"nodes": "10.0.0.0/24"}}
    free = [{"block": "100.64.0.0/10", "use": "ranges"}]
    assert told(make(networks=networks, free=free)) == set()


def test_cilium_of_ones_own_has_a_default_that_overlaps(make: Make) -> None:
    assert {("2.10", "warning"), ("O7", "error")} <= told(make("byo-cilium"))
    assert told(make("byo-cilium", networks={"pod_cidr": "192.168.0.0/16"})) == set()


def test_pods_in_subnets_have_no_pod_range_to_clash(make: Make) -> None:
    networks = {"vnet": "10.244.0.0/16", "subnets": {"nodes": "10.244.0.0/20"}}
    assert told(make("node-subnet", networks=networks)) == set()


def test_what_is_avoided_is_mutual() -> None:
    for one, other in product(Role, Role):
        assert (other in overlap.to_avoid(one)) == (one in overlap.to_avoid(other))


def test_messages_name_both_ranges_and_a_way_out(make: Make) -> None:
    finding = next(
        each for each in checks.run(make(networks=CLEAR | {"pod_cidr": "10.2.0.0/17"})) if each.rule.id == "O7"
    )
    assert finding.message == "pod range 10.2.0.0/17 overlaps peered network 10.2.0.0/16: name another pod_cidr"
