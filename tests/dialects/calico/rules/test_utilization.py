"""How full pools and blocks are, against the vectors of spec §1.11."""

from __future__ import annotations

import pytest
from tests.dialects.calico.cluster import Cluster

from unipam.addr.prefix import parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.dialects.calico.rules.utilization import utilization


def counts(usage: object) -> tuple[int, ...]:
    return tuple(usage)[1:]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reserved", "pool", "block"),
    [
        (["10.0.0.32/30"], (256, 1, 4, 251), (64, 1, 4, 59)),
        (["10.0.0.128/25"], (256, 1, 128, 127), (64, 1, 0, 63)),
        (["10.0.0.5/32"], (256, 1, 1, 255), (64, 1, 1, 63)),
        (["10.0.0.0/25", "10.0.0.5/32", "10.0.0.64/26"], (256, 1, 128, 128), (64, 1, 64, 0)),
        ([], (256, 1, 0, 255), (64, 1, 0, 63)),
    ],
)
def test_what_is_in_use_and_reserved(
    cluster: Cluster, reserved: list[str], pool: tuple[int, ...], block: tuple[int, ...]
) -> None:
    """AC-26: an address may be both, and is free only when it is neither."""
    cluster.pool("p", "10.0.0.0/24")
    cluster.give("10.0.0.5", "host-a", "h")
    cluster.reserve(*reserved)
    (found,) = utilization(cluster.session.pools(), cluster.blocks().values(), cluster.session.reserved())
    assert found.usage
    assert counts(found.usage) == pool
    assert [counts(each) for each in found.blocks] == [block]


def test_blocks_of_no_pool_come_last(cluster: Cluster) -> None:
    """AC-26: IPv6 ones, too, which the original never shows."""
    cluster.pool("p", "10.0.0.0/24")
    cluster.pool("six", "fd00::/120", blockSize=122)
    cluster.ask(1, "host-a", family=6, handle="h")
    blocks = cluster.blocks().values()
    pools = [pool for pool in cluster.session.pools() if pool.name == "p"]
    *_, orphans = utilization(pools, blocks, RangeSet())
    assert (orphans.pool, orphans.usage, [counts(each) for each in orphans.blocks]) == (None, None, [(64, 1, 0, 63)])


def test_what_cools_is_in_use(cluster: Cluster) -> None:
    """AC-11."""
    cluster.pool("p", "10.0.0.0/24")
    cluster.configure(cooldown=60)
    cluster.ask(1, "host-a", handle="h")
    cluster.drop("h")
    (found,) = utilization(cluster.session.pools(), cluster.blocks().values(), RangeSet())
    assert found.usage
    assert counts(found.usage) == (256, 1, 0, 255)


def test_a_large_pool_is_counted_whole(cluster: Cluster) -> None:
    """AC-26: numbers do not end at 2^63."""
    cluster.pool("six", "fd00::/48", blockSize=122)
    cluster.ask(1, "host-a", family=6, handle="h")
    (found,) = utilization(cluster.session.pools(), cluster.blocks().values(), RangeSet())
    assert found.usage
    assert counts(found.usage) == (1 << 80, 1, 0, (1 << 80) - 1)
    assert found.usage.prefix == parse_prefix("fd00::/48")
