"""The arithmetic of AKS address planning: surge, what a node holds, and which prefix holds it all.

Pure functions of integers. Not here: which of them a cluster needs (`needs`), and the numbers themselves (`limits`).
"""

from __future__ import annotations

from dataclasses import dataclass

from unipam.sizing import limits

_IPV4_BITS = 32


@dataclass(frozen=True, slots=True)
class Percent:
    """A share of a count, in whole percent."""

    value: int

    def __str__(self) -> str:
        return f"{self.value}%"


Share = int | Percent
"""A number of nodes, or a percentage of the nodes there are."""


def share_of(count: int, share: Share) -> int:
    """Return the nodes that `share` means for a pool of `count` nodes; a percentage rounds up (U2)."""
    return -(-count * share.value // 100) if isinstance(share, Percent) else share


def surge(count: int, share: Share | None) -> int:
    """Return the nodes an upgrade adds to a pool of `count` nodes: never more than the pool (U2).

    Without a setting it is the default of U4, ten percent and at least one.
    """
    setting = Percent(limits.DEFAULT_SURGE.value) if share is None else share
    return min(count, share_of(count, setting))


@dataclass(frozen=True, slots=True)
class Measure:
    """What a range is counted in: units of one prefix length, some of which are lost to Azure.

    `unit`: its name in the plural. `length`: its prefix length, 32 for an address.
    `lost`: units of every range that nobody can use. `longest`, `shortest`: the prefix lengths it may have.
    """

    unit: str
    length: int
    lost: int
    longest: int
    shortest: int

    def capacity(self, prefix: int) -> int:
        """Return the usable units of a range of this prefix length (S1 for subnets)."""
        return max(0, (1 << self.length - prefix) - self.lost) if prefix <= self.length else 0

    def prefix_for(self, units: int) -> int | None:
        """Return the longest prefix with room for `units`, or None if not even the largest range has it."""
        prefix = min(self.longest, self.length - max(0, units + self.lost - 1).bit_length())
        return prefix if prefix >= self.shortest else None

    def addresses(self, units: int) -> int:
        """Return the addresses in `units`."""
        return units << _IPV4_BITS - self.length


def _subnet(unit: str, length: int, lost: int, shortest: limits.Limit) -> Measure:
    return Measure(unit, length, lost, min(length, limits.LONGEST_SUBNET.value), shortest.value)


def _pod_range(unit: str, length: limits.Limit) -> Measure:
    return Measure(unit, length.value, 0, length.value, limits.SHORTEST_POD_RANGE.value)


SUBNET = _subnet("addresses", _IPV4_BITS, limits.RESERVED.value, limits.SHORTEST_SUBNET)
DYNAMIC_SUBNET = _subnet("addresses", _IPV4_BITS, limits.RESERVED.value, limits.SHORTEST_DYNAMIC_SUBNET)
STATIC_SUBNET = _subnet(
    "/28 blocks", limits.STATIC_BLOCK.value, limits.STATIC_SPOILT.value, limits.SHORTEST_STATIC_SUBNET
)
NODE_RANGES = _pod_range("/24 node ranges", limits.NODE_RANGE)
CALICO_BLOCKS = _pod_range("/26 blocks", limits.CALICO_BLOCK)


def flat_hold(max_pods: int) -> int:
    """Return addresses a Node Subnet node holds: itself and its max pods (2.3)."""
    return 1 + max_pods


def dynamic_hold(pods: int, cap: int | None = None) -> int:
    """Return Pod-subnet addresses a node holds for `pods` running pods (2.6).

    Batches until at least half a batch is free, never above `cap`, and one for the network container.
    """
    batch = limits.BATCH.value
    held = batch * -(-(pods + limits.BATCH_FLOOR.value) // batch)
    return (held if cap is None else min(held, cap)) + limits.CONTAINER_PRIMARY.value


def static_blocks(max_pods: int) -> int:
    """Return the /28 blocks a static-block node holds (2.7)."""
    return -(-(max_pods + limits.STATIC_RESERVED.value) // _block_size(limits.STATIC_BLOCK))


def static_pod_addresses(max_pods: int) -> int:
    """Return the pod addresses in those blocks; those above `max_pods` are wasted (2.7)."""
    return static_blocks(max_pods) * _block_size(limits.STATIC_BLOCK) - limits.STATIC_RESERVED.value


def calico_blocks(pods: int) -> int:
    """Return the Calico blocks a BYO node with `pods` pods holds, at least one (2.10)."""
    return max(1, -(-pods // _block_size(limits.CALICO_BLOCK)))


def _block_size(block: limits.Limit) -> int:
    return 1 << _IPV4_BITS - block.value
