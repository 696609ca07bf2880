"""The door: what it accepts, what it refuses and how, and that no shape of input gets past it or breaks it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unipam.addr.prefix import parse_prefix
from unipam.sizing.arithmetic import Percent
from unipam.sizing.cluster import FreeBlock, Policy, Subnet, Use
from unipam.sizing.document import read
from unipam.sizing.fields import InvalidClusterError
from unipam.sizing.plan import plan
from unipam.sizing.report import as_document
from unipam.sizing.variants import VARIANTS

SYSTEM = {"name": "system", "nodes": 3}


def problems(document: object) -> list[str]:
    with pytest.raises(InvalidClusterError) as caught:
        read(document)
    return list(caught.value.problems)


def problem(**fields: Any) -> str:
    (only,) = problems({"variant": "overlay", "pools": [SYSTEM]} | fields)
    return only


def test_a_whole_description() -> None:
    cluster = read(
        {
            "name": "shop",
            "variant": "kubenet",
            "kubernetes": "1.33.2",
            "network_policy": "azure",
            "tier": "free",
            "blue_green": True,
            "growth": "50%",
            "what_if": ["10 %", "+5", 7],
            "pools": [
                SYSTEM,
                {
                    "name": "user",
                    "nodes": 2,
                    "min": 1,
                    "max": 10,
                    "max_surge": "33%",
                    "growth": 4,
                    "pods": 20,
                    "zones": [1, 2],
                },
            ],
            "networks": {
                "vnet": "10.1.0.0/16",
                "subnets": {"nodes": {"prefix": "10.1.0.0/24", "used": 3}, "x": "10.1.1.0/24"},
                "own_routes": 2,
                "peered": ["10.2.0.0/16", "fd00::/48"],
            },
            "free": ["10.9.0.0/16", {"block": "100.64.0.0/10", "used": ["100.64.0.0/16"], "use": "ranges"}],
        }
    )
    assert [(pool.name, pool.nodes, pool.autoscaled) for pool in cluster.pools] == [
        ("system", 5, False),
        ("user", 14, True),
    ]
    assert (cluster.kubernetes, cluster.policy, cluster.free_tier) == (33, Policy.AZURE, True)
    assert cluster.what_if == (Percent(10), 5, 7)
    assert cluster.networks.subnets["nodes"] == Subnet(parse_prefix("10.1.0.0/24"), 3)
    assert cluster.free[1] == FreeBlock(parse_prefix("100.64.0.0/10"), (parse_prefix("100.64.0.0/16"),), Use.RANGES)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"nodes": 3}, "document: unknown field 'nodes': known are"),
        ({"poools": []}, "document: unknown field 'poools': did you mean pools?"),
        ({"variant": "swift"}, "variant: 'swift' is unknown: choose kubenet"),
        ({"pools": []}, "pools: is missing or empty"),
        ({"pools": 3}, "pools: 3 is not a list"),
        ({"kubernetes": 1.30}, "kubernetes: 1.3 is not a version: write it in quotes"),
        ({"growth": True}, "growth: True is neither a number of nodes nor a percentage"),
        ({"growth": "2001%"}, "growth: 2001 is out of range: give 0 to 2000"),
        ({"blue_green": "yes"}, "blue_green: 'yes' is not true or false"),
        ({"network_policy": "opa"}, "network_policy: 'opa' is unknown: choose none, azure, calico, cilium"),
        ({"what_if": ["half"]}, "what_if[0]: 'half' is neither"),
        ({"what_if": [1] * 26}, "what_if: more than 25 questions"),
        ({"name": "a\nb"}, "name: 'a\\nb' is not a name"),
        ({"networks": []}, "networks: [] is not a mapping"),
        ({"networks": {"pod_cidr": "10.0.0.1/16"}}, "networks.pod_cidr: invalid prefix 10.0.0.1/16: host bits are set"),
        ({"networks": {"pod_cidr": "10.0.0.0/33"}}, "networks.pod_cidr: invalid CIDR address: 10.0.0.0/33"),
        ({"networks": {"pod_cidr": "fd00::/64"}}, "networks.pod_cidr: fd00::/64 is IPv6: give IPv4"),
        ({"networks": {"pod_cidr": 10.0}}, "networks.pod_cidr: 10.0 is not a prefix"),
        ({"networks": {"pod_cidr": "10.0.0.0/\x1b"}}, "networks.pod_cidr: '10.0.0.0/\\x1b' is not a prefix"),
        ({"networks": {"dns_service_ip": "10.0.0"}}, "networks.dns_service_ip: '10.0.0' is not an IPv4 address"),
        ({"networks": {"subnets": {"a b": "10.0.0.0/24"}}}, "networks.subnets: 'a b' is not the name of a subnet"),
        ({"networks": {"subnets": {1: "10.0.0.0/24"}}}, "networks.subnets: 1 is not the name of a subnet"),
        ({"networks": {"subnets": {"a": {"used": 1}}}}, "networks.subnets.a.prefix: is missing"),
        ({"networks": {"own_routes": 1}}, "networks.own_routes: has no meaning with overlay"),
        ({"networks": {"service_prefix": 12}}, "networks.service_prefix: 12 is out of range: give 13 to 28 (rule O2)"),
        ({"networks": {"service_cidr_ipv6": "fd00::/108"}}, "networks: IPv6 ranges are given without dual_stack"),
        ({"free": [{}]}, "free[0].block: is missing"),
        ({"free": ["fd00::/48"]}, "free[0].block: fd00::/48 is IPv6: give IPv4"),
        ({"free": [{"block": "10.0.0.0/8", "use": "x"}]}, "free[0].use: 'x' is unknown: choose subnets, ranges"),
        ({"extras": {"private_link_services": [0]}}, "extras.private_link_services[0]: 0 is out of range: give 1 to 8"),
        ({"extras": {"virtual_node_pods": -1}}, "extras.virtual_node_pods: -1 is out of range"),
        ({"extras": {"load_balancer_subnet": "api-server"}}, "pools: subnet api-server is delegated"),
        ({"auto_provisioning": True}, "auto_provisioning: has no node limit of its own: give a pool with max"),
        ({"migrate_from": "calico"}, "migrate_from: 'calico' is unknown"),
    ],
)
def test_each_wrong_field_is_named_with_its_value_and_a_way_out(fields: dict[str, Any], expected: str) -> None:
    assert problem(**fields).startswith(expected)


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ({"nodes": 3}, "pools[0].name: is missing"),
        ({"name": "System", "nodes": 3}, "pools[0].name: 'System' is not a name: a lower-case letter"),
        ({"name": "abcdefghijklm", "nodes": 3}, "pools[0].name: 'abcdefghijklm' is not a name"),
        ({"name": "s"}, "pools[0].nodes: is missing"),
        ({"name": "s", "nodes": 0}, "pools[0].nodes: 0 is out of range: give 1 to 1000 (rule L8)"),
        ({"name": "s", "nodes": 1001}, "pools[0].nodes: 1001 is out of range"),
        ({"name": "s", "nodes": True}, "pools[0].nodes: True is not an integer"),
        ({"name": "s", "nodes": 3.0}, "pools[0].nodes: 3.0 is not an integer"),
        ({"name": "s", "nodes": 10**5000}, "pools[0].nodes: an integer of 16610 bits is out of range"),
        ({"name": "s", "nodes": 3, "min": 2}, "pools[0].min: is given without max"),
        ({"name": "s", "min": 5, "max": 3}, "pools[0].min: 5 is more than max 3"),
        ({"name": "s", "nodes": 5, "max": 3}, "pools[0].nodes: 5 is more than max 3"),
        ({"name": "s", "nodes": 3, "max_pods": 9}, "pools[0].max_pods: 9 is out of range: give 10 to 250 (rule M3)"),
        (
            {"name": "s", "nodes": 3, "max_pods": 251},
            "pools[0].max_pods: 251 is out of range: give 10 to 250 (rule M3)",
        ),
        ({"name": "s", "nodes": 3, "max_surge": "101%"}, "pools[0].max_surge: 101 is out of range"),
        ({"name": "s", "nodes": 3, "zones": [0]}, "pools[0].zones[0]: 0 is out of range: give 1 to 9"),
        ({"name": "s", "nodes": 3, "zones": [1, 1]}, "pools[0].zones: [1, 1] names a zone twice"),
        ({"name": "s", "nodes": 3, "pool_per_zone": True}, "pools[0].pool_per_zone: needs zones"),
        ({"name": "s", "nodes": 3, "pod_subnet": "p"}, "pools[0].pod_subnet: has no meaning with overlay"),
        ({"name": "s", "nodes": 3, "os": "bsd"}, "pools[0].os: 'bsd' is unknown: choose linux, windows"),
        ({"name": "s", "nodes": 3, "mode": "user"}, "pools: no system pool has a node"),
        (7, "pools[0]: 7 is not a mapping"),
    ],
)
def test_each_wrong_field_of_a_pool(pool: object, expected: str) -> None:
    found = problems({"variant": "overlay", "pools": [pool]})
    assert found[0].startswith(expected)


def test_windows_pools_have_shorter_names() -> None:
    pools = [SYSTEM, {"name": "windows", "nodes": 3, "os": "windows"}]
    assert problem(pools=pools).startswith(
        "pools[1].name: 'windows' is not a name: a lower-case letter, then letters and digits, at most 6"
    )


def test_max_pods_of_byo_must_be_given() -> None:
    (found,) = problems({"variant": "byo", "pools": [SYSTEM]})
    assert found.startswith("pools[0].max_pods: is missing: byo has no documented default")


def test_pod_ranges_of_variants_without() -> None:
    (found,) = problems({"variant": "pod-subnet", "pools": [SYSTEM], "networks": {"pod_cidr": "10.0.0.0/8"}})
    assert found.startswith("networks.pod_cidr: has no meaning with pod-subnet")


def test_dual_stack_is_for_overlay() -> None:
    (found,) = problems({"variant": "kubenet", "pools": [SYSTEM], "dual_stack": True})
    assert found.startswith("dual_stack: is planned for overlay")


def test_one_subnet_cannot_hold_nodes_and_pods() -> None:
    pools = [SYSTEM | {"pod_subnet": "nodes"}]
    (found,) = problems({"variant": "pod-subnet", "pools": pools})
    assert found.startswith("pools: subnet nodes cannot hold both nodes and pods")


def test_names_of_overlay_subnets_are_shorter() -> None:
    pools = [SYSTEM | {"node_subnet": "n" * 64}]
    assert problem(pools=pools).endswith("is longer than 63 (rule 2.8)")
    assert read({"variant": "kubenet", "pools": pools}).pools[0].node_subnet == "n" * 64


def test_pools_have_different_names() -> None:
    assert problem(pools=[SYSTEM, SYSTEM]) == "pools: the name system is given 2 times: names of pools are unique"


def test_at_most_a_hundred_pools() -> None:
    pools = [SYSTEM | {"name": f"p{index}"} for index in range(101)]
    assert problem(pools=pools).startswith("pools: a cluster has at most 100 pools (rule L6)")


def test_at_most_three_thousand_subnets_and_five_hundred_peers() -> None:
    subnets = {f"s{index}": f"10.{index >> 8}.{index & 255}.0/24" for index in range(3001)}
    assert problem(networks={"subnets": subnets}) == "networks.subnets: 3001 subnets; give 0 to 3000 (rule L4)"
    peered = [f"10.{index >> 8}.{index & 255}.0/24" for index in range(501)]
    assert problem(networks={"peered": peered}) == "networks.peered: 501 prefixes are too many: give at most 500"


def test_min_may_be_max() -> None:
    cluster = read({"variant": "overlay", "pools": [{"name": "system", "min": 3, "nodes": 3, "max": 3}]})
    assert cluster.pools[0].nodes == 3


def test_everything_wrong_is_told_at_once() -> None:
    found = problems(
        {"variant": "overlay", "pools": [{"name": "s", "nodes": -1, "max_pods": 0}], "growth": "x", "free": [1]}
    )
    assert len(found) == 4


def test_one_pool_a_zone_shares_the_nodes() -> None:
    pools = [SYSTEM, {"name": "user", "nodes": 8, "zones": [1, 2, 3], "pool_per_zone": True}]
    cluster = read({"variant": "overlay", "pools": pools})
    split = [("user/zone1", 3, (1,)), ("user/zone2", 3, (2,)), ("user/zone3", 2, (3,))]
    assert [(pool.name, pool.nodes, pool.zones) for pool in cluster.pools[1:]] == split
    assert sum(pool.surge for pool in cluster.pools[1:]) == 3  # each zone surges by itself


KEYS = st.sampled_from(
    [
        "variant",
        "pools",
        "name",
        "nodes",
        "max",
        "min",
        "max_pods",
        "max_surge",
        "zones",
        "pool_per_zone",
        "growth",
        "networks",
        "vnet",
        "subnets",
        "pod_cidr",
        "service_cidr",
        "dns_service_ip",
        "free",
        "block",
        "used",
        "use",
        "extras",
        "what_if",
        "kubernetes",
        "os",
        "mode",
        "prefix",
        "private_link_services",
        "dual_stack",
        "peered",
        "pod_subnet",
        "node_subnet",
    ]
) | st.text(max_size=4)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(sorted(VARIANTS))
    | st.sampled_from(
        [
            "10.0.0.0/8",
            "10.0.0.0/29",
            "0.0.0.0/0",
            "::/0",
            "fd00::/64",
            "1.1.1.1",
            "33%",
            "1.30",
            "subnets",
            "ranges",
            "system",
        ]
    )
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


@settings(max_examples=400, deadline=None)
@given(document=ANYTHING)
def test_no_shape_of_input_breaks_the_door(document: object) -> None:
    assert_planned_or_refused(document)


PREFIXES = st.sampled_from(
    ["10.0.0.0/8", "10.0.0.0/16", "10.244.0.0/16", "10.0.0.0/29", "0.0.0.0/0", "172.30.0.0/16", "10.0.0.0/32"]
)
POOLS = st.fixed_dictionaries(
    {"name": st.sampled_from("abcd"), "nodes": st.integers(0, 1000), "max_pods": st.integers(10, 250)},
    optional={
        "max": st.integers(0, 1000),
        "max_surge": st.sampled_from([0, 1, "33%", "100%", "0%"]),
        "os": st.sampled_from(["linux", "windows"]),
        "mode": st.sampled_from(["system", "user"]),
        "zones": st.just([1, 2, 3]),
        "pool_per_zone": st.booleans(),
        "node_subnet": st.sampled_from(["nodes", "other"]),
        "growth": st.sampled_from([0, 5, "200%"]),
    },
)
NETWORKS = st.fixed_dictionaries(
    {},
    optional={
        "vnet": PREFIXES,
        "pod_cidr": PREFIXES,
        "service_cidr": PREFIXES,
        "peered": PREFIXES,
        "on_premises": PREFIXES,
        "subnets": st.dictionaries(st.sampled_from(["nodes", "pods", "other", "api-server"]), PREFIXES, max_size=3),
        "dns_service_ip": st.just("10.0.0.10"),
        "pod_cidr_now": PREFIXES,
    },
)
CLUSTERS = st.fixed_dictionaries(
    {"variant": st.sampled_from(sorted(VARIANTS)), "pools": st.lists(POOLS, min_size=1, max_size=3)},
    optional={
        "networks": NETWORKS,
        "what_if": st.just(["100%", 3]),
        "free": st.lists(PREFIXES, max_size=2),
        "blue_green": st.booleans(),
        "auto_provisioning": st.booleans(),
        "dual_stack": st.booleans(),
        "migrate_from": st.sampled_from(sorted(VARIANTS)),
        "network_policy": st.sampled_from(["none", "azure", "calico", "cilium"]),
        "kubernetes": st.sampled_from(["1.26", "1.35"]),
        "extras": st.just(
            {
                "api_server_clusters": 2,
                "internal_load_balancers": 400,
                "private_cluster": True,
                "private_link_services": [8],
            }
        ),
    },
)


@settings(max_examples=250, deadline=None)
@given(document=CLUSTERS)
def test_every_well_formed_cluster_is_planned_or_refused(document: dict[str, Any]) -> None:
    assert_planned_or_refused(document)


def assert_planned_or_refused(document: object) -> None:
    """Nothing but a plan or a list of one-line problems comes of a document."""
    refused: tuple[str, ...] = ()
    try:
        cluster = read(document)
    except InvalidClusterError as error:
        refused = error.problems
    if refused:
        assert all(": " in line and line.isprintable() for line in refused)
        return
    planned = plan(cluster)
    told = as_document(planned)
    assert told["works"] == ("error" not in {each.severity.value for each in planned.findings})
