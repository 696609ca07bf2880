"""What a node lacks and where it can be had: pure, and the same for the same facts (A18)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from unipam.dialects.cilium.formulas import BLOCK, MOST, needed, to_add
from unipam.dialects.cilium.nics import Nic, Subnet
from unipam.dialects.cilium.node import CiliumNode

RELEASE_AFTER = 180.0
"""Seconds that an address must have been too much before it is taken: Cilium's excess-ip-release-delay."""


class Policy(NamedTuple):
    """`release` takes from nodes what they have too much; `strict` lets max-allocate bound everything.

    `blocks` gives sixteen addresses at once where Azure can; `first_excess` is the formula of Cilium up to 1.17.
    """

    release: bool = False
    release_after: float = RELEASE_AFTER
    strict: bool = False
    use_primary: bool = False
    first_excess: bool = False
    blocks: bool = False


PLAIN = Policy()
_MISSING = (
    "Azure has no machine {} with an interface in this resource group: delete the CiliumNode, if the machine is gone"
)


class Grow(NamedTuple):
    """So many addresses more for an interface, of so many that are wanted; so many blocks have some of them.

    None more is to be looked at: what is wanted is there when a write under way has ended, or a failed one is repaired.
    """

    nic: Nic
    more: int
    wanted: int
    blocks: int = 0

    @property
    def single(self) -> int:
        """Return how many addresses are in no block."""
        return self.more - self.blocks * BLOCK


class Short(NamedTuple):
    """A node needs addresses and cannot be given any: why."""

    wanted: int
    why: str


def growth(
    node: CiliumNode, nics: Sequence[Nic], subnets: Mapping[str, Subnet], policy: Policy, surge: int = 0
) -> Grow | Short | None:
    """Return what a node lacks, and where it can be had: on one interface, in the subnet that this has already."""

    def lacking(count: int) -> int:
        return to_add(count, node.in_use, node.wanted, surge, strict=policy.strict, highest=_highest(nics, policy))

    wanted = lacking(sum(len(each.present) + len(each.broken) for each in nics))
    if not wanted:
        unready = [each for each in nics if each.updating or each.broken]
        later = lacking(sum(len(each.available) for each in nics)) if unready else 0
        return Grow(min(unready, key=lambda each: each.id), 0, later) if later else None
    if not nics:
        return Short(wanted, _MISSING.format(node.instance))
    left = MOST - sum(each.configured for each in nics)
    fit = [each for each in sorted(nics, key=lambda each: each.id) if is_named(each, node.wanted.interface)]
    if not fit:
        return Short(wanted, f"it has no interface {node.wanted.interface}")
    why = "every interface has all the addresses that Azure allows it"
    for nic in fit:
        subnet = subnets.get(nic.subnet.lower())
        if subnet is None:
            why = f"its subnet {nic.subnet} could not be read"
            continue
        if subnet.free <= 0:
            why = f"subnet {subnet.id.rpartition('/')[2]} ({subnet.cidr}) has no free address"
            continue
        found = _of(nic, wanted, min(nic.room, left), subnet, policy)
        if found.more > 0:
            return found
    return Short(wanted, why)


def _of(nic: Nic, wanted: int, room: int, subnet: Subnet, policy: Policy) -> Grow:
    """Return what an interface is to have more, in so many configurations at the most: blocks first."""
    blocks = 0
    if policy.blocks and nic.takes_blocks and subnet.blocks:
        whole = wanted // BLOCK if policy.strict else -(-wanted // BLOCK)
        blocks = max(0, min(whole, room, subnet.free // BLOCK))
    rest = min(wanted - blocks * BLOCK, room - blocks, subnet.free - blocks * BLOCK)
    return Grow(nic, blocks * BLOCK + max(0, rest), wanted, blocks)


def is_named(nic: Nic, name: str) -> bool:
    """Return whether an interface is the one that a node names, if it names any."""
    return not name or nic.name == name


def _highest(nics: Iterable[Nic], policy: Policy) -> int:
    return MOST * BLOCK if policy.blocks and any(each.takes_blocks for each in nics) else MOST


def deficit(node: CiliumNode, nics: Sequence[Nic], policy: Policy = PLAIN) -> int:
    """Return how many addresses a node needs, for whoever is served first."""
    return needed(sum(len(each.present) for each in nics), node.in_use, node.wanted, _highest(nics, policy))
