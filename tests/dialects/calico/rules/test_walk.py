"""AC-3: where a host begins to look, bit for bit as the real one, and that it then sees everything once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.dialects.calico.cluster import cidr

from unipam.addr.prefix import Prefix
from unipam.addr.ranges import RangeSet
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.rules import go_random
from unipam.dialects.calico.rules.go_random import Source, fnv32
from unipam.dialects.calico.rules.walk import in_order, start, walk

V6 = "fd80:24e2:f998:72d6"
SIZES = (("192.168.0.0/16", 26), ("10.0.0.0/28", 30), ("10.0.0.0/16", 20), (f"{V6}::/120", 122))
VECTORS = {
    "testHost": (2118914743, "192.168.4.128", "10.0.0.8", "10.0.112.0", f"{V6}::80"),
    "host-a": (1258779341, "192.168.54.0", "10.0.0.0", "10.0.240.0", f"{V6}::"),
    "host-b": (1258779342, "192.168.195.128", "10.0.0.8", "10.0.224.0", f"{V6}::80"),
    "node1": (3957252814, "192.168.166.128", "10.0.0.8", "10.0.112.0", f"{V6}::80"),
    "node2": (3957252813, "192.168.104.0", "10.0.0.0", "10.0.0.0", f"{V6}::"),
    "node3": (3957252812, "192.168.135.0", "10.0.0.8", "10.0.32.0", f"{V6}::80"),
    "aks-nodepool1-64104225-vmss000000": (3447376487, "192.168.97.192", "10.0.0.4", "10.0.144.0", f"{V6}::40"),
    "load-balancer": (4270604816, "192.168.146.128", "10.0.0.8", "10.0.160.0", f"{V6}::80"),
}
"""Spec §1.6; the first blocks of node1 and node3, and of the IPv6 pools below, were seen of the real one (§9)."""


def pool(text: str, bits: int) -> Pool:
    """A pool of blocks of a length."""
    return Pool("p", cidr(text), bits)


@pytest.mark.parametrize("host", VECTORS)
def test_where_a_host_begins(host: str) -> None:
    hashed, *firsts = VECTORS[host]
    assert fnv32(host) == hashed
    for (text, bits), first in zip(SIZES, firsts, strict=True):
        assert str(next(walk(pool(text, bits), host, RangeSet()))) == f"{first}/{bits}"


def test_in_pools_that_nobody_can_walk() -> None:
    """More blocks than fit into 64 bits take two words of random numbers."""
    for text, first in ((f"{V6}::/64", f"{V6}:c11:b42f:f17e:a680"), ("fd01::/48", "fd01::df9b:fa8:334a:557b:7740")):
        assert str(next(walk(pool(text, 122), "node1", RangeSet()))) == f"{first}/122"


def test_the_state_that_go_seeds_with_is_computed() -> None:
    """It is the generator's own state after 7.8e12 steps, reached by squaring x modulo x^607 = x^334 + 1."""
    length, tap, mask, steps = 607, 273, (1 << 64) - 1, 7_800_000_000_000
    width = 144  # bits that a sum of 607 products of two 64-bit numbers fits into

    def reduced(coefficients: list[int]) -> list[int]:
        for at in range(len(coefficients) - 1, length - 1, -1):
            for below in (at - tap, at - length):
                coefficients[below] = (coefficients[below] + coefficients[at]) & mask
        return coefficients[:length]

    def squared(coefficients: list[int]) -> list[int]:
        packed = sum(each << width * at for at, each in enumerate(coefficients)) ** 2
        return reduced([packed >> width * at & mask for at in range(2 * length - 1)])

    lehmer = [pow(48271, 21 + at, (1 << 31) - 1) for at in range(3 * length)]
    initial = [(x << 20 ^ y << 10 ^ z) & mask for x, y, z in zip(*(lehmer[at::3] for at in range(3)), strict=True)]
    drawn = [initial[(333 - at) % length] for at in range(-length, 0)]
    for at in range(length):
        drawn.append((drawn[at] + drawn[at + length - tap]) & mask)
    power = [1] + [0] * (length - 1)
    for bit in f"{steps:b}":
        power = squared(power)
        if bit == "1":
            power = reduced([0, *power])
    state = [0] * length
    for at in range(length):
        value = sum(power[k] * drawn[k + at] for k in range(length)) & mask
        state[(333 - (steps - length + at)) % length] = value
    assert tuple(state) == go_random._state()


@given(st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1), st.integers(min_value=1, max_value=1 << 130))
def test_a_number_is_below_its_limit(seed: int, limit: int) -> None:
    assert 0 <= Source(seed).below(limit) < limit


@given(
    st.text(min_size=1), st.sampled_from([24, 26, 29]), st.integers(0, 7),
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), max_size=4),
)  # fmt: skip
def test_a_walk_sees_every_block_once(host: str, length: int, longer: int, stretches: list[tuple[int, int]]) -> None:
    """But for those that are reserved wholly, by one reservation or several."""
    found = Pool("p", Prefix(cidr("10.0.0.0/24").first, 96 + length), min(length + longer, 32))
    first = found.prefix.first
    reserved = RangeSet((first + min(pair), first + max(pair)) for pair in stretches)
    size = 1 << (32 - found.block_bits)
    every = [Prefix(first + at, found.block_length) for at in range(0, found.prefix.size, size)]
    free = [each for each in every if any(at not in reserved for at in range(each.first, each.last + 1))]
    walked = list(walk(found, host, reserved, dice=7))
    assert sorted(walked) == free
    begin = first + start(found, host, dice=7) * size
    assert walked == sorted(free, key=lambda each: (each.first < begin, each.first))
    assert in_order(found, host, reversed(every), dice=7) == sorted(every, key=lambda e: (e.first < begin, e.first))
