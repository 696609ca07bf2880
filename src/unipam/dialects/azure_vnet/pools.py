"""Which learned pools a request may be served from, in which order.

The original goes through its pools in random order and lets capacity override priority or not, as it falls (spec
azure-vnet-ipam §1.4). Here the order is fixed: priority, then capacity, then address.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from unipam.addr.prefix import Range, parse_address, parse_interface
from unipam.dialects.azure_vnet.config import Network
from unipam.ledger.learned import Learned, LearnedPool
from unipam.model import rules
from unipam.model.errors import Missing, Unmet
from unipam.model.records import Pool, Request


class PoolRequest(NamedTuple):
    """What a request asks of a space.

    `parts` are the pools by preference, `pools` has them as one. `within` are the addresses where holding one counts.
    """

    pools: tuple[Pool, ...]
    parts: tuple[Pool, ...]
    wishes: tuple[int, ...]
    within: tuple[Range, ...]

    def of(self, request: Request) -> Request:
        """Return the request for these pools and addresses."""
        return request._replace(pools=self.pools, wishes=self.wishes, within=self.within)

    def policy(self, dice: int) -> rules.Choose:
        """Return the policy: any free address of the first part that has one, by a number from a wide range."""
        return rules.preferring(self.parts, rules.from_place(dice))


@functools.lru_cache(maxsize=256)
def request_of(learned: Learned, network: Network) -> PoolRequest:
    """Return what a configuration asks of a space that has learned these pools.

    Raises Missing in the words of the step that fails, Unmet when what is asked for is no address.
    """
    chosen = choose(learned, network)
    parts = tuple(pool.pool for pool in chosen)
    merged = Pool(-1, tuple(r for part in parts for r in part.ranges))
    if not network.address:
        return PoolRequest((merged,), parts, (), tuple(pool.span for pool in chosen))
    wish = _wish(network.address)
    if not any(pool.span.first <= wish <= pool.span.last for pool in chosen):
        raise Unmet("Address not found", addresses=[network.address])
    # An address that is in no pool (any more) is served by none, unless its holder asks for it again.
    return PoolRequest((merged,) if merged.find(wish) else (), parts, (wish,), (Range(wish, wish),))


def _wish(text: str) -> int:
    """Return the address asked for. The original looks the text up as it is, so one with a length is none."""
    try:
        return parse_address(text)
    except ValueError:
        raise Unmet("Address not found", addresses=[text]) from None


def choose(learned: Learned, network: Network) -> tuple[LearnedPool, ...]:
    """Return the pools that a configuration admits, by preference. Raises Missing."""
    if network.subnet:
        named = learned.find(network.subnet)
        if named is None:
            raise unknown_pool(network.subnet, learned.pools)
        return (named,)
    found = ordered(learned.pools, network)
    if not found:
        raise Missing("no available address pools", pools=[pool.name for pool in learned.pools])
    return found


def ordered(pools: tuple[LearnedPool, ...], network: Network) -> tuple[LearnedPool, ...]:
    """Return the pools of the right family and interface, by preference."""
    fit = [
        pool for pool in pools if (pool.network.family == 6) == network.v6 and network.master in {"", pool.interface}
    ]
    return tuple(sorted(fit, key=lambda pool: (-pool.priority, -pool.capacity, pool.network)))


def unknown_pool(name: str, known: tuple[LearnedPool, ...] = ()) -> Missing:
    """Return the error for a pool id that nobody has."""
    return Missing(f"Pool id {name} not found :Invalid address pool", pools=[pool.name for pool in known])


def released(network: Network) -> tuple[Range, ...] | None:
    """Return where a DEL lets go of addresses: at one address, in one network, or () anywhere; None when nowhere.

    An address outside the network named is not there. One with a length means the address, except where the original
    is wanted exactly, which knows none such.
    """
    within = _named(network.subnet)
    if not network.address:
        return () if within is None else (within,)
    try:
        if "/" in network.address and not network.strict:
            address = parse_interface(network.address)[0]
        else:
            address = parse_address(network.address)
    except ValueError:
        return None
    inside = within is None or within.first <= address <= within.last
    return (Range(address, address),) if inside else None


def _named(subnet: str) -> Range | None:
    """Return the addresses of the subnet that a DEL names, if it names one."""
    try:
        prefix = parse_interface(subnet)[1]
    except ValueError:
        return None
    return Range(prefix.first, prefix.last)
