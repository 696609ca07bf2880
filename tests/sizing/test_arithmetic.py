"""The arithmetic against the tables and formulas of the specification, and against slow and obvious loops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.sizing import arithmetic
from unipam.sizing.arithmetic import CALICO_BLOCKS, DYNAMIC_SUBNET, NODE_RANGES, STATIC_SUBNET, SUBNET, Measure, Percent

USABLE = {
    29: 3,
    28: 11,
    27: 27,
    26: 59,
    25: 123,
    24: 251,
    23: 507,
    22: 1_019,
    21: 2_043,
    20: 4_091,
    19: 8_187,
    16: 65_531,
}
FLAT = {
    30: {27: 0, 26: 1, 25: 3, 24: 8, 23: 16, 22: 32, 21: 65, 20: 131, 19: 264, 18: 528, 17: 1_056, 16: 2_113},
    110: {25: 1, 24: 2, 23: 4, 22: 9, 21: 18, 20: 36, 19: 73, 18: 147, 17: 295, 16: 590},
    250: {24: 1, 23: 2, 22: 4, 21: 8, 20: 16, 19: 32, 18: 65, 17: 130, 16: 261},
}
MEASURES = [SUBNET, DYNAMIC_SUBNET, STATIC_SUBNET, NODE_RANGES, CALICO_BLOCKS]


@pytest.mark.parametrize(("prefix", "usable"), USABLE.items())
def test_usable_addresses_of_a_subnet(prefix: int, usable: int) -> None:
    assert SUBNET.capacity(prefix) == usable


@pytest.mark.parametrize(
    ("max_pods", "prefix", "nodes"), [(m, p, n) for m, row in FLAT.items() for p, n in row.items()]
)
def test_flat_nodes_of_a_subnet(max_pods: int, prefix: int, nodes: int) -> None:
    assert SUBNET.capacity(prefix) // arithmetic.flat_hold(max_pods) == nodes


@pytest.mark.parametrize(("pods", "held"), [(0, 16), (8, 16), (16, 32), (25, 48), (32, 48), (48, 64), (75, 96)])
def test_dynamic_batches(pods: int, held: int) -> None:
    assert arithmetic.dynamic_hold(pods) == held + 1


def test_dynamic_batches_stop_at_the_cap() -> None:
    assert arithmetic.dynamic_hold(110) == 129
    assert arithmetic.dynamic_hold(110, cap=110) == 111


@given(pods=st.integers(0, 250))
def test_dynamic_batches_are_what_asking_one_by_one_gives(pods: int) -> None:
    held = 16
    while held - pods < 8:
        held += 16
    assert arithmetic.dynamic_hold(pods) == held + 1


@pytest.mark.parametrize("max_pods", [15, 31, 47, 63, 79, 95, 111])
def test_static_blocks_without_waste(max_pods: int) -> None:
    assert arithmetic.static_pod_addresses(max_pods) == max_pods


def test_a_full_static_node_holds_sixteen_blocks() -> None:
    assert arithmetic.static_blocks(250) == 16


@given(measure=st.sampled_from(MEASURES), units=st.integers(1, 1 << 26))
def test_the_prefix_is_the_longest_permitted_one_that_holds_the_units(measure: Measure, units: int) -> None:
    permitted = range(measure.longest, measure.shortest - 1, -1)
    expected = next((prefix for prefix in permitted if measure.capacity(prefix) >= units), None)
    assert measure.prefix_for(units) == expected


@given(nodes=st.integers(1, 65_536))
def test_pod_range_is_the_formula_of_the_specification(nodes: int) -> None:
    assert NODE_RANGES.prefix_for(nodes) == 24 - max(0, (nodes - 1).bit_length())


@pytest.mark.parametrize(
    ("count", "share", "extra"),
    [
        (10, None, 1), (11, None, 2), (100, None, 10), (1, None, 1), (0, None, 0),
        (1, Percent(33), 1), (2, Percent(33), 1), (3, Percent(33), 1), (4, Percent(33), 2),
        (106, Percent(20), 22), (5, Percent(100), 5), (3, 7, 3), (5, 0, 0), (0, 3, 0),
    ],
)  # fmt: skip
def test_surge(count: int, share: int | Percent | None, extra: int) -> None:
    assert arithmetic.surge(count, share) == extra


@pytest.mark.parametrize(("pods", "blocks"), [(0, 1), (1, 1), (64, 1), (65, 2), (250, 4)])
def test_calico_blocks(pods: int, blocks: int) -> None:
    assert arithmetic.calico_blocks(pods) == blocks


def test_a_range_longer_than_its_unit_holds_nothing() -> None:
    assert NODE_RANGES.capacity(25) == 0
    assert SUBNET.capacity(31) == 0


def test_the_numbers_of_an_aks_cluster_with_calico() -> None:
    """AC-27 of spec calico-ipam: rules 1 to 5 of its §6."""
    assert SUBNET.capacity(24) == 251
    assert SUBNET.capacity(24) // arithmetic.flat_hold(30) == 8  # with 8 x 30 = 240 pods
    assert 10 * arithmetic.flat_hold(30) == 310 > SUBNET.capacity(24)
    assert NODE_RANGES.capacity(16) == 256
    assert CALICO_BLOCKS.capacity(16) == 1024
    assert [arithmetic.calico_blocks(pods) for pods in (0, 64, 65)] == [1, 1, 2]
