"""How addresses that are too many are taken from a node: pure. There are two ways, by what its agent speaks.

An agent that allocates from `spec.ipam.pool` is asked for each address (`release-ips`); one that says which ranges it
holds (`spec.ipam.pools.allocated`) gives up what it leaves out there (spec cilium §1.7). A block goes as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from unipam.addr.prefix import parse_address
from unipam.dialects.cilium.formulas import excess
from unipam.dialects.cilium.nics import Address, Nic
from unipam.dialects.cilium.node import KEPT, MARKED, READY, RELEASED, CiliumNode
from unipam.dialects.cilium.planning import Policy, is_named

HIDDEN_FOR = 60.0
"""Seconds for which a range is not shown any more before it is taken: more than twice what an agent may be behind, and
more than it takes to find out that a watch is dead, which shows nothing of what the agent has taken up meanwhile."""


class Handshake(NamedTuple):
    """What `release-ips` is to say, since when addresses are too much, and which may be taken from the machine now.

    `hidden` are not to be published any more, although the machine has them still.
    """

    states: dict[str, str]
    since: dict[str, float]
    take: list[str]
    hidden: tuple[str, ...] = ()


NOTHING = Handshake({}, {}, [])


def release(node: CiliumNode, nics: Sequence[Nic], policy: Policy, since: Mapping[str, float], now: float) -> Handshake:
    """Return how the release of a node's addresses goes on, in the way that its agent knows."""
    if not (policy.release or node.release):
        return NOTHING
    if node.allocated is None or node.release:
        return handshake(node, nics, policy, since, now)
    return withdrawal(node, nics, policy, since, now)


def handshake(
    node: CiliumNode, nics: Sequence[Nic], policy: Policy, since: Mapping[str, float], now: float
) -> Handshake:
    """Return how a release by `release-ips` goes on.

    Nothing is taken that the agent has not given up (`ready-for-release`), nor what it says that it uses. Until it has
    given an address up, that can be called off; afterwards not, other than in Cilium: the write that takes it may be
    under way, by this process or by one that is dead. A block is written when all of it was given up, and can be called
    off until then.
    """
    addresses = {each.ip: each for nic in nics for each in nic.present}
    given_up = {ip for ip, state in node.release.items() if state in (READY, RELEASED)} - node.used
    ready = {ip for ip in given_up & addresses.keys() if node.release[ip] == READY}
    take = {ip for unit in _units(addresses.values()) if unit <= ready for ip in unit}
    waiting = {ip for unit in _units(addresses.values()) if unit & ready and not unit <= ready for ip in unit & ready}
    there = {each.ip for nic in nics for each in nic.addresses}
    states = dict.fromkeys(given_up - there if nics else (), RELEASED)
    states |= {ip: node.release[ip] for ip in given_up & (there - addresses.keys())}  # not ready, and not gone either
    states |= dict.fromkeys(sorted(take), READY)
    if not policy.release:
        return Handshake(states, {}, sorted(take))
    too_many = _too_many(node, nics, policy, take)
    since = {ip: since.get(ip, now) for ip in too_many}
    for ip in too_many:
        if node.release.get(ip) == KEPT:
            since[ip] = now  # from the beginning again
        elif ip in waiting:
            states[ip] = READY
        elif node.release.get(ip) == MARKED or now >= since[ip] + policy.release_after:
            states[ip] = MARKED
    return Handshake(states, since, sorted(take))


def withdrawal(
    node: CiliumNode, nics: Sequence[Nic], policy: Policy, since: Mapping[str, float], now: float
) -> Handshake:
    """Return how a release by ranges goes on.

    What the agent has left out for as long as the policy says is hidden from it first, so that it cannot take it up
    again while the machine is written; what it takes up meanwhile is shown again.
    """
    if not policy.release:
        return Handshake({}, {}, [])
    absent = _too_many(node, nics, policy, set(), _held(node, nics))
    since = {ip: since.get(ip, now) for ip in absent}
    hidden = tuple(ip for ip in absent if now >= since[ip] + policy.release_after)
    take = [ip for ip in hidden if now >= since[ip] + policy.release_after + HIDDEN_FOR]
    return Handshake({}, since, sorted(take), hidden)


def withheld(node: CiliumNode, nics: Sequence[Nic]) -> set[str]:
    """Return what an agent that is not asked has not been shown: perhaps it is being taken, and nobody knows of it."""
    if node.allocated is None:
        return set()
    return {each.ip for nic in nics for each in nic.present} - set(node.pool) - _held(node, nics)


def _held(node: CiliumNode, nics: Iterable[Nic]) -> set[str]:
    return {
        each.ip
        for nic in nics
        for each in nic.present
        if any(range_.first <= parse_address(each.ip) <= range_.last for range_ in node.allocated or ())
    }


def _too_many(
    node: CiliumNode, nics: Sequence[Nic], policy: Policy, given_up: set[str], held: Collection[str] = ()
) -> list[str]:
    """Return the addresses besides those given up that are too many: marked ones, then the highest that nobody uses."""
    count = excess(sum(len(each.present) for each in nics), node.in_use, node.wanted, first=policy.first_excess) - len(
        given_up
    )
    named = [each for each in nics if is_named(each, node.wanted.interface)]
    units = [unit for nic in named for unit in _units(nic.present, primary=False)]
    kept = node.used | given_up | set(held)
    free = [unit for unit in units if not unit & kept]
    asked = {ip for ip, state in node.release.items() if state in (MARKED, READY)}
    free.sort(key=lambda unit: (not unit & asked, -max(map(parse_address, unit))))
    found: list[str] = []
    for unit in free:
        if len(unit) <= count:
            count -= len(unit)
            found += sorted(unit, key=parse_address)
    return found


def _units(addresses: Iterable[Address], *, primary: bool = True) -> list[set[str]]:
    """Return what can only go as a whole: single addresses, and blocks."""
    found: dict[str, set[str]] = defaultdict(set)
    for each in addresses:
        if primary or not each.primary:
            found[each.block or each.ip].add(each.ip)
    return list(found.values())
