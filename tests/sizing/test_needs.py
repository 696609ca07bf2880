"""What each variant needs, beyond the golden vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from unipam.sizing.cluster import BLUE_GREEN, STEADY, UPGRADE, Cluster, planned
from unipam.sizing.needs import GATEWAY, POD_RANGE, VIRTUAL_NODES, Kind, Need, needs
from unipam.sizing.variants import VARIANTS

Make = Callable[..., Cluster]


def by_name(cluster: Cluster) -> dict[str, Need]:
    return {need.name: need for need in needs(cluster, planned(cluster))}


@pytest.mark.parametrize(
    ("variant", "units"),
    [
        ("kubenet", {"nodes": 4, POD_RANGE: 4}),
        ("kubenet-calico", {"nodes": 4, POD_RANGE: 4}),
        ("node-subnet", {"nodes": 4 * 31}),
        ("node-subnet-calico", {"nodes": 4 * 31}),
        ("node-subnet-cilium", {"nodes": 4 * 31}),
        ("pod-subnet", {"nodes": 4, "pods": 4 * 49}),
        ("pod-subnet-static", {"nodes": 4, "pods": 4 * 2}),
        ("overlay", {"nodes": 4, POD_RANGE: 4}),
        ("cilium-overlay", {"nodes": 4, POD_RANGE: 4}),
        ("cilium-pod-subnet", {"nodes": 4, "pods": 4 * 49}),
        ("cilium-pod-subnet-static", {"nodes": 4, "pods": 4 * 2}),
        ("byo", {"nodes": 4}),
        ("byo-calico", {"nodes": 4, POD_RANGE: 4}),
        ("byo-cilium", {"nodes": 4, POD_RANGE: 4}),
    ],
)
def test_every_variant(make: Make, variant: str, units: dict[str, int]) -> None:
    assert {name: need.units for name, need in by_name(make(variant)).items()} == units


def test_no_variant_is_untested() -> None:
    mark = next(each for each in test_every_variant.pytestmark if each.name == "parametrize")  # type: ignore[attr-defined]
    assert {variant for variant, _ in mark.args[1]} == set(VARIANTS)


def test_pools_add_up_by_subnet(make: Make) -> None:
    pools: list[dict[str, Any]] = [
        {"name": "system", "nodes": 3, "max_pods": 30, "max_surge": 1},
        {"name": "a", "nodes": 5, "max_pods": 30, "max_surge": 1},
        {"name": "b", "nodes": 7, "max_pods": 110, "max_surge": 1, "node_subnet": "other"},
    ]
    found = by_name(make("node-subnet", pools))
    assert {name: need.units for name, need in found.items()} == {"nodes": 4 * 31 + 6 * 31, "other": 8 * 111}


def test_fewer_running_pods_hold_fewer_batches(make: Make) -> None:
    pools = [{"name": "system", "nodes": 1, "max_pods": 110, "pods": 8, "max_surge": 0}]
    assert by_name(make("pod-subnet", pools))["pods"].units == 17


def test_the_margin_is_in_the_pod_subnet(make: Make) -> None:
    assert by_name(make("pod-subnet", extras={"pod_churn": 100}))["pods"].units == 4 * 49 + 100


def test_extras_are_in_the_first_pools_subnet(make: Make) -> None:
    extras = {
        "internal_load_balancers": 2,
        "private_link_services": [1, 8],
        "private_cluster": True,
        "other_addresses": 5,
    }
    assert by_name(make(extras=extras))["nodes"].units == 4 + 2 + 9 + 1 + 5


def test_front_ends_can_have_a_subnet_of_their_own(make: Make) -> None:
    found = by_name(
        make(extras={"internal_load_balancers": 30, "load_balancer_subnet": "front", "private_cluster": True})
    )
    assert (found["front"].units, found["front"].prefix) == (30, 26)
    assert found["nodes"].units == 5


def test_delegated_subnets(make: Make) -> None:
    found = by_name(make(extras={"application_gateway": True, "virtual_node_pods": 12}))
    assert (found[GATEWAY].prefix, found[GATEWAY].kind) == (24, Kind.OTHER_SUBNET)
    assert found[VIRTUAL_NODES].prefix == 27


def test_addresses_others_use_count(make: Make) -> None:
    found = by_name(make(networks={"subnets": {"nodes": {"prefix": "10.1.0.0/28", "used": 7}}}))
    assert (found["nodes"].units, found["nodes"].capacity, found["nodes"].fits) == (11, 11, True)


def test_moments(make: Make) -> None:
    cluster = make(pools=[{"name": "system", "nodes": 50, "max_surge": 1}])
    assert [moment.nodes(cluster) for moment in (STEADY, UPGRADE, BLUE_GREEN)] == [50, 51, 100]
    assert planned(make(blue_green=True)) is BLUE_GREEN


def test_blue_green_doubles_a_node_subnet(make: Make) -> None:
    """Section 5, item 1: 50 x 31 becomes 3,100 and a /20 instead of a /21."""
    pools = [{"name": "system", "nodes": 50, "max_pods": 30, "max_surge": 1}]
    assert by_name(make("node-subnet", pools))["nodes"].prefix == 21
    doubled = by_name(make("node-subnet", pools, blue_green=True))["nodes"]
    assert (doubled.units, doubled.prefix) == (3100, 20)


def test_static_blocks_leave_out_the_first_and_the_last(make: Make) -> None:
    """Two blocks a node: seven nodes fill a /24 of 16 blocks less two, eight do not."""
    for nodes, prefix in ((7, 24), (8, 23)):
        pools = [{"name": "system", "nodes": nodes, "max_pods": 31, "max_surge": 0}]
        assert by_name(make("pod-subnet-static", pools))["pods"].prefix == prefix


def test_what_fits_no_range_has_no_prefix(make: Make) -> None:
    pools = [
        {"name": "system" if i == 0 else f"p{i}", "nodes": 1000, "max_pods": 250, "max_surge": 0} for i in range(3)
    ]
    found = by_name(make("pod-subnet", pools))["pods"]
    assert (found.prefix, found.capacity, found.fits) == (None, None, False)
