"""Ceilings: the known ones, and that each is really the last that fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unipam.sizing import headroom
from unipam.sizing.arithmetic import Percent
from unipam.sizing.cluster import Cluster, NodePool
from unipam.sizing.variants import VARIANTS

Make = Callable[..., Cluster]


def ceiling(cluster: Cluster, rule: str) -> headroom.Ceiling:
    return next(each for each in headroom.ceilings(cluster) if each.gauge.rule.id == rule)


@pytest.mark.parametrize(("max_pods", "nodes"), [(30, 2114), (110, 590), (250, 261)])
def test_a_whole_network_for_one_flat_cluster(make: Make, max_pods: int, nodes: int) -> None:
    """Section 1.2, the consequence of L1."""
    pool = NodePool(name="p", nodes=1, max_pods=max_pods, max_surge=0)
    assert ceiling(replace(make("node-subnet"), pools=(pool,)), "L1").nodes == nodes


def test_static_blocks_count_once_against_the_network(make: Make) -> None:
    pool = NodePool(name="p", nodes=1, max_pods=250, max_surge=0)
    assert ceiling(replace(make("pod-subnet-static"), pools=(pool,)), "L1").nodes == 3855


def test_own_routes_take_from_kubenet(make: Make) -> None:
    cluster = make("kubenet", networks={"own_routes": 10})
    found = ceiling(cluster, "L5")
    assert found.gauge.capacity == 390
    assert found.peak <= 390
    assert found.nodes == 389


def test_a_full_route_table_leaves_no_node(make: Make) -> None:
    assert ceiling(make("kubenet", networks={"own_routes": 400}), "L5").nodes == 0


def test_npm_and_free_tier_and_front_ends(make: Make) -> None:
    cluster = make(network_policy="azure", tier="free", extras={"internal_load_balancers": 1})
    assert {each.gauge.capacity for each in headroom.ceilings(cluster)} >= {250, 20_000, 10, 750}


def test_limits_that_are_not_there_are_not_told(make: Make) -> None:
    assert {each.gauge.rule.id for each in headroom.ceilings(make("overlay"))}.isdisjoint({"L2", "L5", "L10", "L11"})


def test_neighbours_count_in_the_network(make: Make) -> None:
    networks = {"subnets": {"other": {"prefix": "10.9.0.0/16", "used": 60_000}}, "vnet_addresses": 5_000}
    gauge = ceiling(make("overlay", networks=networks), "L1").gauge
    assert gauge.read(headroom.load(make("overlay", networks=networks))) == 4 + 65_000


def test_first_limit_of_one_pool(make: Make) -> None:
    pools = [{"name": "system", "nodes": 3, "max_surge": 1}, {"name": "user", "nodes": 3, "max_surge": 1}]
    cluster = make("overlay", pools, networks={"subnets": {"nodes": "10.1.0.0/26"}})
    found = headroom.pool_ceiling(cluster, cluster.pools[1])
    assert found is not None
    assert found.gauge.name.startswith("node subnet nodes")
    assert (found.nodes, found.peak) == (3 + 54, 59)


def test_what_growth_exceeds(make: Make) -> None:
    cluster = make(
        "overlay",
        networks={"subnets": {"nodes": "10.1.0.0/29"}},
        pools=[{"name": "system", "nodes": 2, "max_surge": 1}],
    )
    assert headroom.exceeded(cluster, 0) == ()
    assert [gauge.capacity for gauge in headroom.exceeded(cluster, 1)] == [3]
    assert [gauge.rule.id for gauge in headroom.exceeded(cluster, Percent(1000))] == ["S1"]


POOLS = st.builds(
    NodePool,
    name=st.just("p"),
    nodes=st.integers(1, 1000),
    max_pods=st.integers(10, 250),
    max_surge=st.one_of(st.none(), st.integers(0, 5), st.builds(Percent, st.integers(0, 100))),
)


@settings(max_examples=60, deadline=None)
@given(pools=st.lists(POOLS, min_size=1, max_size=4), variant=st.sampled_from(sorted(VARIANTS)))
def test_a_ceiling_is_the_last_that_fits(pools: list[NodePool], variant: str) -> None:
    named = tuple(replace(pool, name=f"p{index}") for index, pool in enumerate(pools))
    cluster = Cluster(name="c", variant=VARIANTS[variant], pools=named)
    found = headroom.ceilings(cluster)
    assert [each.nodes for each in found] == sorted(each.nodes for each in found)
    for pool in named:
        first = headroom.pool_ceiling(cluster, pool)
        assert first is not None
        others = cluster.nodes - pool.nodes
        every = headroom.gauges(cluster)
        for extra, fits in ((0, True), (1, False)):
            changed = replace(pool, nodes=first.nodes - others + extra)
            grown = replace(cluster, pools=tuple(changed if each.name == pool.name else each for each in named))
            assert any(gauge.full(headroom.load(grown)) for gauge in every) != fits or first.nodes == others
