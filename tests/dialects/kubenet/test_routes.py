"""Which routes a table must hold."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from tests.dialects.kubenet.nodes import node, nodes, route

from unipam.addr.prefix import parse_prefix
from unipam.dialects.kubenet.naming import route_name
from unipam.dialects.kubenet.overlaps import overlaps, within
from unipam.dialects.kubenet.policy import Policy, policy
from unipam.dialects.kubenet.routes import LIMIT, desired, verified

PLAIN = policy("10.244.0.0/16")
DUAL = policy("10.244.0.0/16,fd00:1::/48")
A = node("aks-np-1-vmss000000", "10.244.0.0/24", ip="10.240.0.4", created=1.0)
B = node("aks-np-1-vmss000001", "10.244.1.0/24", ip="10.240.0.5", created=2.0)
OF_A = route(A.name, "10.244.0.0/24", "10.240.0.4")
FOREIGN = [
    route("default", "0.0.0.0/0", "10.9.9.9"),
    route("wide", "10.244.0.0/15", "10.9.9.9"),
    route("all-pods", "10.244.0.0/16", "10.9.9.9"),
    route("AnOwn", "10.0.0.0/8", kind="VirtualNetworkGateway"),
    route("node-10", "10.244.77.0/24", "10.9.9.9"),
    route("tagged", "AzureCloud", kind="Internet"),
]


def body(*given: Any) -> list[tuple[str, str, str]]:
    return [(r["name"], r["properties"]["addressPrefix"], r["properties"].get("nextHopIpAddress", "")) for r in given]


def test_k16_names_and_bodies() -> None:
    """K16: name, prefix and next hop as cloud-provider-azure writes them."""
    plan = desired([], [A], PLAIN)
    assert plan.routes == [
        {
            "name": A.name,
            "properties": {
                "addressPrefix": "10.244.0.0/24", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.240.0.4",
            },
        }
    ]  # fmt: skip
    both = node("n1", "10.244.5.0/24", "fd00:1:0:5::/64", ip="10.240.0.4,fd01::4")
    assert body(*desired([], [both], DUAL).routes) == [
        ("n1____102445024", "10.244.5.0/24", "10.240.0.4"),
        ("n1____fd0010564", "fd00:1:0:5::/64", "fd01::4"),
    ]
    assert route_name("n", "10.244.5.0/24", dual=True) == "n____102445024"


def test_k16_a_table_of_cloud_provider_azure_is_adopted_without_a_write() -> None:
    """K16, K17: nothing differs, also where names differ in case, and beside foreign routes."""
    routes = [
        *FOREIGN,
        route(A.name.upper(), "10.244.0.0/24", "10.240.0.4"),
        route(B.name, "10.244.1.0/24", "10.240.0.5"),
    ]
    plan = desired(routes, [A, B], PLAIN)
    assert plan.changes == []
    assert plan.routes == routes


@pytest.mark.parametrize("seed", range(20))
def test_k18_what_is_foreign_is_never_touched(seed: int) -> None:
    """K18: over random steps every foreign route is sent back as it was read, in its order."""
    dice, routes = random.Random(seed), copy.deepcopy(FOREIGN)
    every = [each._replace(name=f"node-{i}") for i, each in enumerate(nodes(12))]
    alive: set[int] = set()
    for _ in range(50):
        alive ^= {dice.randrange(12)} - {10}
        plan = desired(routes, [every[i] for i in alive], PLAIN, known=[f"node-{i}" for i in range(12) if i != 10])
        assert [each for each in plan.routes if each in FOREIGN] == FOREIGN
        routes = copy.deepcopy(list(plan.routes))
        assert len(routes) == len(FOREIGN) + len(alive)


def test_k18_removing_one_node_does_not_remove_another() -> None:
    """K18: cloud-provider-azure removes every route whose name begins with the name (spec §2.2)."""
    one, ten = node("n-1", "10.244.1.0/24", ip="10.1.0.1"), node("n-10", "10.244.10.0/24", ip="10.1.0.10")
    routes = desired([], [one, ten], PLAIN).routes
    plan = desired(routes, [ten], PLAIN, known=["n-1"])
    assert [(each.verb, each.name) for each in plan.changes] == [("remove", "n-1")]


def test_k19_all_is_repaired_in_one_change() -> None:
    """K19: a node gone, a range and an address changed, a hop edited: one change, nobody's route missing."""
    routes = [
        *FOREIGN,
        route("aks-np-1-vmss00000z", "10.244.9.0/24", "10.240.0.99"),
        route(A.name, "10.244.8.0/24", "10.240.0.4"),
        route(B.name, "10.244.1.0/24", "10.9.9.9"),
    ]
    plan = desired(routes, [A, B], PLAIN)
    assert [(each.verb, each.name) for each in plan.changes] == [
        ("remove", "aks-np-1-vmss00000z"), ("change", A.name), ("change", B.name),
    ]  # fmt: skip
    assert verified(plan.routes, [A, B], PLAIN) == {A.name: True, B.name: True}


def test_k19_old_names_go_when_the_cluster_has_become_dual_and_the_other_way() -> None:
    """K19: names of the other kind of known nodes are cleaned up."""
    both = node("n1", "10.244.5.0/24", "fd00:1:0:5::/64", ip="10.240.0.4,fd01::4")
    to_dual = desired([route("n1", "10.244.5.0/24", "10.240.0.4")], [both], DUAL)
    assert [each.verb for each in to_dual.changes] == ["remove", "add", "add"]
    back = desired(to_dual.routes, [both._replace(ranges=both.ranges[:1])], PLAIN)
    assert body(*back.routes) == [("n1", "10.244.5.0/24", "10.240.0.4")]


def test_k23_a_dead_nodes_route_gives_way_and_a_foreign_one_does_not() -> None:
    """K23: a collision with a dead node's route is solved in the same change; with a foreign one it is told."""
    dead = route("aks-np-1-vmss00000z", "10.244.0.0/24", "10.240.0.99")
    plan = desired([dead], [A], PLAIN)
    assert [(each.verb, each.name) for each in plan.changes] == [("remove", dead["name"]), ("add", A.name)]
    mine = route("my-appliance", "10.244.0.0/24", "10.9.9.9")
    plan = desired([mine], [A, B], PLAIN)
    assert [each.name for each in plan.changes] == [B.name]
    assert plan.unserved == {A.name: "the foreign route 'my-appliance' leads to its range 10.244.0.0/24"}
    taken = desired([route(A.name, "10.99.0.0/24", "10.9.9.9")], [A], PLAIN)
    assert "has the name" in taken.unserved[A.name]


def test_two_nodes_with_one_range_get_one_route() -> None:
    """The one that the table names keeps it, or else the eldest."""
    twin = B._replace(ranges=A.ranges)
    assert body(*desired([], [A, twin], PLAIN).routes) == body(OF_A)
    has = route(twin.name, "10.244.0.0/24", "10.240.0.5")
    plan = desired([has], [A, twin], PLAIN)
    assert plan.changes == []
    assert plan.unserved == {A.name: f"{twin.name} has the same range 10.244.0.0/24"}


def test_k24_the_limit_is_foreseen() -> None:
    """K24: beyond the limit: what has a route keeps it, the eldest come next, others are named."""
    every = nodes(250) + [
        each._replace(ranges=(each.ranges[0].replace("10.244", "10.245"),)) for each in nodes(250, "b")
    ]
    wide = policy("10.244.0.0/15")
    routes = desired([], every[200:250], wide).routes
    plan = desired([*FOREIGN, *routes], every, wide)
    assert len(plan.routes) == LIMIT
    assert len(plan.unserved) == len(every) + len(FOREIGN) - LIMIT
    assert not {each.name for each in every[200:250]} & set(plan.unserved)
    assert [each.kind for each in plan.findings].count("table nearly full") == 1
    assert desired([], every[:250], wide, limit=300).findings == []
    assert [each.kind for each in desired([], every[:250], wide, limit=270).findings] == ["table nearly full"]


def test_k24_no_route_of_a_living_node_is_removed_for_a_limit() -> None:
    """K19, K24: a table may hold more than the limit that was named, or be filled by others; nothing is added to it."""
    every = nodes(20)
    full = desired([], every[:18], PLAIN).routes
    plan = desired([*FOREIGN, *full], every, PLAIN, limit=15)
    assert plan.changes == []
    assert set(plan.unserved) == {each.name for each in every[18:]}
    assert "it holds 24 routes of at most 15: 0 more fit" in [each.text for each in plan.findings]


def test_k26_unmanaged_nodes_have_no_route_and_lack_none() -> None:
    """K26: managed=false."""
    away = A._replace(managed=False)
    assert desired([], [away], PLAIN).routes == []
    assert verified([], [away], PLAIN) == {A.name: True}


def test_a_node_without_an_address_is_told() -> None:
    plan = desired([], [A._replace(addresses=())], PLAIN)
    assert plan.routes == []
    assert "no internal IPv4 address" in plan.unserved[A.name]


def test_k19_a_node_whose_address_is_gone_for_the_moment_keeps_its_route() -> None:
    """K19: a cloud provider that is restarted empties status.addresses; pods go on with the route that there is."""
    plan = desired([OF_A], [A._replace(addresses=())], PLAIN)
    assert (plan.changes, plan.unserved) == ([], {})
    assert verified([OF_A], [A._replace(addresses=())], PLAIN) == {A.name: False}, "nobody knows whether it is right"


@pytest.mark.parametrize("outside", ["0.0.0.0/0", "10.244.0.0/16", "10.99.0.0/24"])
def test_k8_no_route_is_made_to_a_range_that_is_none_of_the_clusters(outside: str) -> None:
    """K8: a kubelet may register with any podCIDR; a route to it would take others' packets, and never be removed."""
    far = node("far", outside, ip="10.240.0.6")
    plan = desired([], [far, B], PLAIN)
    assert [each.name for each in plan.changes] == [B.name]
    assert "is none of the cluster's" in plan.unserved["far"]
    assert verified(plan.routes, [far], PLAIN) == {"far": False}


@pytest.mark.parametrize("made", [PLAIN, DUAL])
def test_k8_a_route_that_a_node_outside_of_the_ranges_has_is_kept_and_serves_it(made: Policy) -> None:
    """K8, K16: cloud-provider-azure made it, or somebody who wanted it."""
    far = node("far", "10.99.0.0/24", ip="10.240.0.6")
    has = route(route_name("far", "10.99.0.0/24", dual=made.dual), "10.99.0.0/24", "10.240.0.6")
    plan = desired([has], [far], made)
    assert (plan.changes, plan.unserved, plan.findings) == ([], {}, [])
    assert verified([has], [far], made) == {"far": True}


def test_k18_a_node_cannot_take_a_users_route_by_name_and_range() -> None:
    """K18: whose hop is another's, that is foreign, though a node be called like it."""
    plan = desired(FOREIGN, [node("default", "0.0.0.0/0", ip="10.240.0.6")], PLAIN)
    assert plan.changes == []
    assert "the foreign route 'default'" in plan.unserved["default"]


def test_what_azure_refuses_is_left_out_and_told() -> None:
    plan = desired([], [A, B], PLAIN, withheld=[A.name])
    assert [each.name for each in plan.changes] == [B.name]
    assert "Azure refuses" in plan.unserved[A.name]


def test_k19_a_route_whose_change_azure_refuses_stays_as_it_is() -> None:
    """K19: also where the table has its name in other letters, so that it is not asked for again at once."""
    has = route(A.name.upper(), "10.244.0.0/24", "10.240.0.99")
    plan = desired([has], [A], PLAIN, withheld=[A.name])
    assert plan.changes == []
    assert "by 10.240.0.4" in plan.unserved[A.name]


def test_a_foreign_route_within_the_nodes_ranges_is_told() -> None:
    told = desired(FOREIGN, [], PLAIN).findings
    assert [(each.kind, each.about) for each in told] == [("foreign route", "node-10")]


def test_k27_overlaps_are_found_with_both_owners() -> None:
    """K27: pods, services, networks, peers and what is reserved."""
    made = policy("10.244.0.0/16", services="10.0.0.0/16")
    told = overlaps(
        made, {"the network vnet": [parse_prefix("10.0.0.0/8")], "the peer hub": [parse_prefix("192.168.0.0/16")]}
    )
    assert [each.text for each in told] == [
        "the pods' range 10.244.0.0/16 overlaps the network vnet 10.0.0.0/8",
        "the services' range 10.0.0.0/16 overlaps the network vnet 10.0.0.0/8",
    ]
    (reserved,) = overlaps(policy("172.30.0.0/16"), {})
    assert "a range that AKS forbids 172.30.0.0/16" in reserved.text


def test_k5_services_among_the_pods_are_told_and_hinder_nobody() -> None:
    """K5: what they have is given to no node, as nodeipam does it; so there is nothing to refuse."""
    among = policy("10.244.0.0/16", services="10.244.3.0/24")
    assert overlaps(among, {}) == []
    assert [each.text for each in within(among)] == ["the services' range 10.244.3.0/24 lies within 10.244.0.0/16"]
