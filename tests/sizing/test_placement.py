"""Places: the smallest free prefix that holds a range, clear of everything it must avoid; against sets of addresses."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unipam.sizing import checks, overlap
from unipam.sizing.cluster import Cluster, Use
from unipam.sizing.document import read
from unipam.sizing.findings import Severity
from unipam.sizing.placement import place, vnet_bits, wanted

Make = Callable[..., Cluster]
NO_DEFAULTS = {"service_cidr": "192.168.0.0/24", "pod_cidr": "172.16.0.0/16"}


def places(cluster: Cluster) -> dict[str, str | None]:
    return {each.wanted.name: str(each.prefix) if each.prefix else None for each in place(cluster)}


def test_the_smallest_free_prefix_is_cut(make: Make) -> None:
    """4 nodes need a /28. Free are .16/28, .32/27, .64/26 and .128/25: the /28 is taken, though nothing forces it."""
    free = [{"block": "10.0.0.0/24", "used": ["10.0.0.0/28"]}]
    assert places(make(networks=NO_DEFAULTS, free=free)) == {"nodes": "10.0.0.16/28"}


def test_blocks_in_order_where_they_are_equally_good(make: Make) -> None:
    assert places(make(networks=NO_DEFAULTS, free=["10.5.0.0/28", "10.4.0.0/28"])) == {"nodes": "10.5.0.0/28"}


def test_a_smaller_gap_in_a_later_block_is_better(make: Make) -> None:
    assert places(make(networks=NO_DEFAULTS, free=["10.4.0.0/24", "10.5.0.0/28"])) == {"nodes": "10.5.0.0/28"}


def test_a_place_never_spans_two_blocks(make: Make) -> None:
    assert places(make(networks=NO_DEFAULTS, free=["10.4.0.0/29", "10.4.0.8/29"])) == {"nodes": None}


def test_large_ranges_are_placed_first(make: Make) -> None:
    cluster = make("pod-subnet", networks={"service_cidr": "192.168.0.0/24"}, free=["10.4.0.0/22"])
    assert [each.name for each in wanted(cluster)] == ["pods", "nodes"]
    assert places(cluster) == {"pods": "10.4.0.0/24", "nodes": "10.4.1.0/28"}


def test_what_must_be_avoided_is_not_free(make: Make) -> None:
    networks = {
        "service_cidr": "10.4.0.0/24",
        "pod_cidr": "10.4.1.0/24",
        "peered": "10.4.2.0/24",
        "subnets": {"x": "10.4.3.0/25"},
    }
    assert places(make(networks=networks, free=["10.4.0.0/22"])) == {"nodes": "10.4.3.128/28"}


def test_ranges_go_outside_the_network_and_subnets_inside(make: Make) -> None:
    networks = {"vnet": "100.64.0.0/16"}
    free = ["100.64.0.0/24", {"block": "100.64.0.0/10", "use": "ranges"}]
    assert places(make(networks=networks, free=free)) == {
        "service-cidr": "100.65.0.0/16", "pod-cidr": "100.66.0.0/22", "nodes": "100.64.0.0/28",
    }  # fmt: skip


def test_without_free_blocks_subnets_go_into_the_network(make: Make) -> None:
    networks = NO_DEFAULTS | {"vnet": "10.7.0.0/24", "subnets": {"x": "10.7.0.0/28"}}
    assert places(make(networks=networks)) == {"nodes": "10.7.0.16/28"}


def test_a_subnet_outside_the_network_is_told(make: Make) -> None:
    cluster = make(networks=NO_DEFAULTS | {"vnet": "10.7.0.0/24"}, free=["10.8.0.0/24"])
    assert [each.rule.id for each in checks.run(cluster) if each.severity is Severity.WARNING] == ["P2"]


def test_no_place_says_what_is_left_and_what_is_in_the_way(make: Make) -> None:
    cluster = make(networks=NO_DEFAULTS | {"peered": "10.4.0.0/29"}, free=["10.4.0.0/28"])
    (finding,) = [each for each in checks.run(cluster) if each.severity is Severity.ERROR]
    assert finding.message == (
        "subnet nodes: no free /28 in the blocks for subnets, the largest free prefix is 10.4.0.8/29 "
        "(in the way: peered network 10.4.0.0/29): add a block"
    )


def test_nothing_is_placed_without_a_block(make: Make) -> None:
    assert places(make()) == {}


@pytest.mark.parametrize(("variant", "bits"), [("overlay", 28), ("node-subnet", 24), ("pod-subnet", 23)])
def test_one_network_for_all_subnets(make: Make, variant: str, bits: int) -> None:
    """Overlay: a /28. Node Subnet: 124 addresses, which a /25 of 123 does not hold. Pod Subnet: a /24 and a /28."""
    assert vnet_bits(make(variant)) == bits


PREFIXES = st.builds(
    lambda offset, bits: str(ip_network((0x0A000000 + offset, bits), strict=False)),
    st.integers(0, 0x3FF),
    st.integers(24, 30),
)


def addresses(texts: list[str]) -> set[int]:
    return {int(address) for text in texts for address in ip_network(text)}


@settings(max_examples=150, deadline=None)
@given(used=st.lists(PREFIXES, max_size=12), peered=st.lists(PREFIXES, max_size=3), nodes=st.integers(1, 200))
def test_against_sets_of_addresses(used: list[str], peered: list[str], nodes: int) -> None:
    pools = [{"name": "system", "nodes": nodes, "max_pods": 30, "max_surge": 1}]
    free = [{"block": "10.0.0.0/22", "used": used}]
    cluster = read({"variant": "overlay", "pools": pools, "networks": NO_DEFAULTS | {"peered": peered}, "free": free})
    (placement,) = place(cluster)
    taken = addresses(used) | addresses(peered)
    bits = placement.wanted.bits
    free_blocks = {  # every free prefix of every length, as the set of its addresses says
        length: [
            net for net in ip_network("10.0.0.0/22").subnets(new_prefix=length) if not addresses([str(net)]) & taken
        ]
        for length in range(22, bits + 1)
    }
    if placement.prefix is None:
        assert not free_blocks[bits]
        return
    # The tightest free prefix: one whose parent is not free. The longest such wins, then the lowest.
    tight = [
        net
        for length in range(bits, 21, -1)
        for net in free_blocks[length]
        if length == 22 or net.supernet() not in free_blocks[length - 1]
    ]
    assert str(placement.prefix) == f"{tight[0].network_address}/{bits}"


@settings(max_examples=100, deadline=None)
@given(
    variant=st.sampled_from(["overlay", "kubenet", "pod-subnet", "node-subnet", "byo-calico"]),
    nodes=st.integers(1, 300),
    subnets=st.sampled_from(["10.0.0.0/12", "10.64.0.0/15", "192.168.0.0/16"]),
    ranges=st.sampled_from(["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12"]),
    peered=st.lists(st.sampled_from(["10.1.0.0/16", "10.64.128.0/17", "100.64.0.0/11", "172.20.0.0/16"]), max_size=3),
)
def test_placed_ranges_break_no_exclusion(
    variant: str, nodes: int, subnets: str, ranges: str, peered: list[str]
) -> None:
    pools = [{"name": "system", "nodes": nodes, "max_pods": 30}]
    free = [{"block": subnets, "use": "subnets"}, {"block": ranges, "use": "ranges"}]
    cluster = read({"variant": variant, "pools": pools, "networks": {"peered": peered}, "free": free})
    placed = [each for each in place(cluster) if each.prefix]
    known = (
        *overlap.ranges(cluster),
        *(overlap.NamedRange(each.wanted.role, each.wanted.name, each.prefix) for each in placed if each.prefix),
    )
    assert [pair for each in overlap.EXCLUSIONS for pair in overlap.clashes(known, each)] == []
    for each in placed:
        assert each.prefix is not None
        assert each.block is not None
        assert each.block.contains(each.prefix)
        assert str(each.block) == (subnets if each.wanted.use is Use.SUBNETS else ranges)
