"""What is to be done about a node's addresses: pure, and the same for the same facts (A18)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from unipam.addr.prefix import parse_address
from unipam.dialects.cilium.formulas import excess, needed, to_add
from unipam.dialects.cilium.nics import Nic, Subnet, capacity
from unipam.dialects.cilium.node import KEPT, MARKED, READY, RELEASED, CiliumNode

RELEASE_AFTER = 180.0
"""Seconds that an address must have been too much before it is taken: Cilium's excess-ip-release-delay."""


class Policy(NamedTuple):
    """`release` takes from nodes what they have too much; `strict` lets max-allocate bound everything."""

    release: bool = False
    release_after: float = RELEASE_AFTER
    strict: bool = False
    use_primary: bool = False
    first_excess: bool = False


class Grow(NamedTuple):
    """So many addresses more for an interface, of so many that are wanted."""

    nic: Nic
    more: int
    wanted: int


class Short(NamedTuple):
    """A node needs addresses and cannot be given any: why."""

    wanted: int
    why: str


def growth(
    node: CiliumNode, nics: Sequence[Nic], subnets: Mapping[str, Subnet], policy: Policy, surge: int = 0
) -> Grow | Short | None:
    """Return what a node lacks, and where it can be had: on one interface, in the subnet that this has already."""
    available = sum(len(each.available) for each in nics)
    wanted = to_add(available, node.in_use, node.wanted, surge, strict=policy.strict)
    if not wanted:
        return None
    if not nics:
        return Short(wanted, f"Azure has no machine {node.instance}, or it has no interface")
    left = capacity(nics) - sum(len(each.secondary) for each in nics)
    fit = [each for each in sorted(nics, key=lambda each: each.id) if _named(each, node.wanted.interface)]
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
        count = min(wanted, nic.room, left, subnet.free)
        if count > 0:
            return Grow(nic, count, wanted)
    return Short(wanted, why)


def _named(nic: Nic, name: str) -> bool:
    return not name or nic.name == name


class Handshake(NamedTuple):
    """What `release-ips` is to say, since when addresses are too much, and which may be taken from the machine now."""

    states: dict[str, str]
    since: dict[str, float]
    take: list[str]


def handshake(
    node: CiliumNode, nics: Sequence[Nic], policy: Policy, since: Mapping[str, float], now: float
) -> Handshake:
    """Return how the release of a node's addresses goes on (spec cilium §1.7).

    Nothing is taken that the agent has not given up (`ready-for-release`), nor what it says that it uses. Until it has
    given an address up, that can be called off; afterwards not, other than in Cilium: the write that takes it may be
    under way, by this process or by one that is dead.
    """
    addresses = {each.ip for nic in nics for each in nic.available}
    given_up = {ip for ip, state in node.release.items() if state in (READY, RELEASED)} - node.used
    take = sorted(ip for ip in given_up if ip in addresses and node.release[ip] == READY)
    states = dict.fromkeys(given_up - addresses if nics else (), RELEASED) | dict.fromkeys(take, READY)
    if not policy.release:
        return Handshake(states, {}, take)
    too_many = _candidates(node, nics, policy, set(take))
    since = {ip: since.get(ip, now) for ip in too_many}
    for ip in too_many:
        if node.release.get(ip) == KEPT:
            since[ip] = now  # from the beginning again
        elif node.release.get(ip) == MARKED or now >= since[ip] + policy.release_after:
            states[ip] = MARKED
    return Handshake(states, since, take)


def _candidates(node: CiliumNode, nics: Sequence[Nic], policy: Policy, given_up: set[str]) -> list[str]:
    """Return the addresses besides those given up that are too many: marked ones, then the highest that nobody uses."""
    available = {each.ip for nic in nics for each in nic.available}
    count = excess(len(available), node.in_use, node.wanted, first=policy.first_excess) - len(given_up)
    named = [each for each in nics if _named(each, node.wanted.interface)]
    free = {each.ip for nic in named for each in nic.available if not each.primary} - node.used - given_up
    ordered = sorted(free, key=lambda ip: (node.release.get(ip) != MARKED, -parse_address(ip)))
    return ordered[: max(0, count)]


def deficit(node: CiliumNode, nics: Iterable[Nic]) -> int:
    """Return how many addresses a node needs, for whoever is served first."""
    return needed(sum(len(each.available) for each in nics), node.in_use, node.wanted)
