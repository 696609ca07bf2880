"""Which pool a node's ranges make."""

from __future__ import annotations

import pytest

from unipam.addr.prefix import format_address
from unipam.dialects.azure_vnet import node
from unipam.model.errors import SourceFailed


@pytest.mark.parametrize(
    ("ranges", "name", "first", "last", "capacity"),
    [
        (("10.244.1.0/24", "fd00:1::/64", "fd00:2::/64"), "fd00:1::/120", "fd00:1::2", "fd00:1::ff", 254),
        (("fd00:1::80/126",), "fd00:1::80/126", "fd00:1::82", "fd00:1::83", 2),
    ],
)
def test_the_first_120_of_the_first_ipv6_range(
    ranges: tuple[str, ...], name: str, first: str, last: str, capacity: int
) -> None:
    pool = node.carve(ranges, "aks-1")
    (span,) = pool.addresses
    assert (pool.name, pool.capacity, pool.interface, pool.priority) == (name, capacity, "", 0)
    assert (format_address(span.first), format_address(span.last)) == (first, last)
    assert pool.gateway == pool.network.first + 1


def test_too_small_a_range_has_no_addresses() -> None:
    assert node.carve(("fd00::/127",), "aks-1").addresses == ()


@pytest.mark.parametrize(
    ("ranges", "problem"),
    [
        ((), r"no IPv6 range in spec.podCIDRs \(none\)"),
        (("10.0.0.0/24",), r"\(10.0.0.0/24\)"),
        (("x",), "invalid CIDR"),
    ],
)
def test_without_an_ipv6_range_the_node_is_named(ranges: tuple[str, ...], problem: str) -> None:
    with pytest.raises(SourceFailed, match=f"node aks-1.*{problem}"):
        node.carve(ranges, "aks-1")
