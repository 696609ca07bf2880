"""Which pools a request may draw from (spec §1.7, step 3, and §1.12)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from unipam.addr.prefix import Prefix
from unipam.dialects.calico.documents.pool import AUTOMATIC, Pool
from unipam.dialects.calico.rules.selectors import Labels, selects
from unipam.model.errors import BadValue, Exhausted, Missing


class Reserve(NamedTuple):
    """Addresses at both ends of each block that a host keeps for itself, and for whom they count (spec §1.12)."""

    at_start: int
    at_end: int
    handle: str
    note: str

    def longest_block(self, family: int) -> int:
        """Return the longest blocks, as people write lengths, in which the host still has addresses to give."""
        return (32 if family == 4 else 128) - (self.at_start + self.at_end).bit_length()


def find(pools: Iterable[Pool], address: int) -> Pool | None:
    """Return the first of the pools that an address lies in."""
    return next((pool for pool in pools if pool.holds(address)), None)


def selects_node(pool: Pool, labels: Labels) -> bool:
    """Return whether a pool is for a node with these labels. Raises BadValue."""
    return selects(pool.node_selector, labels)


class PoolRequest(NamedTuple):
    """What a request says about pools: CIDRs asked for by name, what for, and the namespace's labels."""

    family: int
    requested: Sequence[Prefix]
    use: str
    namespace: Labels
    reserve: Reserve | None = None


class Choice(NamedTuple):
    """`usable` in the order in which they are used, and all `selecting` the node, whatever they may be used for."""

    usable: tuple[Pool, ...]
    selecting: tuple[Pool, ...]


def choose(pools: Sequence[Pool], wanted: PoolRequest, host: str, labels: Labels) -> Choice:
    """Choose the pools for a request of a host with these labels.

    Raises Exhausted, Missing and BadValue in the original's words.

    Pools that are asked for are taken whatever their selectors and their mode, in the order asked for.
    """
    enabled = [pool for pool in pools if pool.enabled and pool.family == wanted.family]
    longest = wanted.reserve.longest_block(wanted.family) if wanted.reserve else 128
    by_cidr = {pool.prefix: pool for pool in enabled if pool.block_bits <= longest}
    if not by_cidr:
        raise Exhausted("cannot find a qualified ippool")
    selecting = tuple(_asked_for(by_cidr, wanted.requested) or _selecting(enabled, wanted.namespace, labels))
    if not selecting:
        raise Missing(f"no configured Calico pools for node {host}", node=host)
    usable = tuple(pool for pool in selecting if wanted.use in pool.uses)
    if not usable:
        raise Exhausted(f"cannot find a qualified ippool, no pools match the required use ({wanted.use})")
    return Choice(usable, selecting)


def _asked_for(pools: dict[Prefix, Pool], requested: Sequence[Prefix]) -> list[Pool]:
    for prefix in requested:
        if prefix not in pools:
            raise Missing(f"the given pool ({prefix}) does not exist, or is not enabled", pool=str(prefix))
    return [pools[prefix] for prefix in requested]


def _selecting(pools: Sequence[Pool], namespace: Labels, labels: Labels) -> list[Pool]:
    return [
        pool
        for pool in pools
        if pool.mode == AUTOMATIC and selects_node(pool, labels) and selects(pool.namespace_selector, namespace)
    ]


def check_use(pool: Pool, address: str, use: str) -> None:
    """Raise BadValue when a pool is not for this use; no use at all is not looked at (spec §1.8)."""
    if use and use not in pool.uses:
        raise BadValue(
            f'IP address {address} is in IP pool "{pool.name}", which is not allowed for use "{use}"'
            f" (allowedUses: [{' '.join(pool.uses)}])",
            field="address",
            value=address,
        )
