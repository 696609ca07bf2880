"""Pools that are not configured but learned from outside: what a space knows of them, and how it learns anew.

A learned pool is a network with the addresses in it that may be handed out. What is handed out are claims, as
everywhere; an address that vanished from the pool while it was held stays with its holder, and is nobody's once that
lets go, because no pool has it any more.

What does not belong here: where a pool is learned from, and when (`refresh`), and which one somebody gets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

from unipam.addr.prefix import Prefix, Range, format_address, parse_address, parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.ledger.change import Change, Inherit, let_go
from unipam.ledger.ledger import Ledger, learned_note
from unipam.model.pool_notes import describe, pools_note
from unipam.model.records import HELD, Claim, Pool, PoolRange
from unipam.store.api import Tx


class LearnedPool(NamedTuple):
    """A network with the addresses in it that may be handed out.

    `interface` is the machine's network interface it belongs to; of two pools the one of higher `priority` is
    preferred. `reserved` says that somebody took the pool as a whole (azure-vnet-ipam's RefCount).
    """

    network: Prefix
    gateway: int | None
    interface: str
    priority: int
    addresses: tuple[Range, ...]
    reserved: bool = False

    @property
    def name(self) -> str:
        """How people call it: its network."""
        return str(self.network)

    @property
    def span(self) -> Range:
        """All of its network."""
        return Range(self.network.first, self.network.last)

    @property
    def capacity(self) -> int:
        """How many addresses it has, held or free."""
        return sum(r.last - r.first + 1 for r in self.addresses)

    @property
    def pool(self) -> Pool:
        """It as the rules know a pool; without a cursor, for it is not handed out in turn."""
        return Pool(-1, tuple(PoolRange(r.first, r.last, self.network.length, self.gateway) for r in self.addresses))


class Learned(NamedTuple):
    """What a space knows: its pools in address order, and the number of the boot during which it was last looked at."""

    boot: int = 0
    pools: tuple[LearnedPool, ...] = ()

    def __hash__(self) -> int:
        """Hash what is quickly hashed; few differ in nothing else, and these are compared."""
        return hash((self.boot, len(self.pools)))

    def find(self, name: str) -> LearnedPool | None:
        """Return the pool of this network, written canonically."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def holding(self, address: int) -> LearnedPool | None:
        """Return the pool that an address is of; of one that vanished, the pool in whose network it lies."""
        near = None
        for pool in self.pools:  # no generators: this stands in the path of every call
            if pool.network.first <= address <= pool.network.last:
                for first, last in pool.addresses:
                    if first <= address <= last:
                        return pool
                near = near or pool
        return near


def encode(learned: Learned) -> str:
    """Return the text in which the ledger keeps it."""
    pools = [
        {
            "network": pool.name,
            "gateway": None if pool.gateway is None else format_address(pool.gateway),
            "interface": pool.interface,
            "priority": pool.priority,
            "addresses": [[format_address(r.first), format_address(r.last)] for r in pool.addresses],
            "reserved": pool.reserved,
        }
        for pool in learned.pools
    ]
    return msgspec.json.encode({"boot": learned.boot, "pools": pools}).decode()


@functools.lru_cache(maxsize=64)
def decode(note: str) -> Learned:
    """Return what `encode` wrote; nothing for ""."""
    if not note:
        return Learned()
    found = msgspec.json.decode(note)
    return Learned(int(found["boot"]), tuple(map(_pool, found["pools"])))


def _pool(found: dict[str, object]) -> LearnedPool:
    gateway, addresses = found["gateway"], found["addresses"]
    assert isinstance(addresses, list)
    return LearnedPool(
        parse_prefix(str(found["network"])),
        None if gateway is None else parse_address(str(gateway)),
        str(found["interface"]),
        int(str(found["priority"])),
        tuple(Range(parse_address(first), parse_address(last)) for first, last in addresses),
        bool(found["reserved"]),
    )


def ranges(addresses: Iterable[int]) -> tuple[Range, ...]:
    """Return the fewest ranges that single addresses make."""
    return tuple(RangeSet((a, a) for a in sorted(addresses)))


def recall(tx: Tx, parent: int) -> Learned:
    """Return what the space knows."""
    return decode(tx.note(learned_note(parent)))


def remember(tx: Tx, parent: int, learned: Learned) -> None:
    """Write down what the space knows."""
    if tx.note(learned_note(parent)) != encode(learned):
        for key, text in notes(learned):
            tx.set_note(key(parent), text)


def notes(learned: Learned) -> tuple[tuple[Callable[[int], str], str], ...]:
    """Return what is written down of it: all of it, and its pools where everybody looks for pools."""
    pools = describe(tuple(pool.pool for pool in learned.pools))
    return (learned_note, encode(learned)), (pools_note, pools)


def merge(tx: Tx, parent: int, found: Sequence[LearnedPool], boot: int) -> Learned:
    """Take over what was learned now, which replaces what was known, except that

    - a pool that is not there any more stays, without addresses, as long as any of its addresses is held and in no
      network that is there;
    - an answer without one usable address of a family says nothing about that family: its pools stay as they are.
    """
    known = recall(tx, parent)
    fresh = {pool.network: pool for pool in found}
    told = {pool.network.family for pool in found if pool.addresses}
    merged = dict(fresh)
    for old in known.pools:
        new = fresh.get(old.network)
        if old.network.family not in told and old.addresses:
            merged[old.network] = old
        elif new is not None:
            merged[old.network] = new._replace(reserved=old.reserved)
        elif any(_in_no_pool(claim, found) for claim in held(tx, parent, old)):
            merged[old.network] = old._replace(addresses=())
    learned = Learned(boot, tuple(merged[network] for network in sorted(merged)))
    remember(tx, parent, learned)
    return learned


def _in_no_pool(claim: Claim, pools: Sequence[LearnedPool]) -> bool:
    return not any(pool.network.first <= claim.first <= pool.network.last for pool in pools)


def settle(tx: Tx, parent: int, boot: int, now: float) -> Learned:
    """Return what the space knows, once the machine was not rebooted since, or the leases of earlier boots are gone.

    Containers do not outlive a boot; azure-vnet-ipam's own state, on a file system in memory, does not either.
    """
    learned = recall(tx, parent)
    if learned.boot == boot:
        return learned
    for claim in [c for c in tx.claims(parent) if c.state == HELD and 0 < c.boot < boot]:
        let_go(tx, claim, now, "the machine was rebooted since", "boot")
    settled = Learned(boot, tuple(pool._replace(reserved=False) for pool in learned.pools))
    remember(tx, parent, settled)
    return settled


def reserve(
    ledger: Ledger, space: str, order: Callable[[Learned], Sequence[LearnedPool]], *, inherit: Inherit
) -> LearnedPool | None:
    """Take the first pool, in the order given, that nobody took as a whole and still uses; None when there is none.

    Raises what `order` raises.
    """
    with Change(ledger, space, inherit) as (tx, (parent, *_), _):
        learned = recall(tx, parent)
        for pool in order(learned):
            if not (pool.reserved and held(tx, parent, pool)):
                _mark(tx, parent, learned, pool.network, reserved=True)
                return pool
    return None


def unreserve(ledger: Ledger, space: str, network: Prefix, *, inherit: Inherit) -> None:
    """Give a pool back that was taken as a whole, unless somebody uses it."""
    with Change(ledger, space, inherit) as (tx, (parent, *_), _):
        learned = recall(tx, parent)
        if not any(pool.network == network and held(tx, parent, pool) for pool in learned.pools):
            _mark(tx, parent, learned, network, reserved=False)


def _mark(tx: Tx, parent: int, learned: Learned, network: Prefix, *, reserved: bool) -> None:
    pools = tuple(p._replace(reserved=reserved) if p.network == network else p for p in learned.pools)
    remember(tx, parent, learned._replace(pools=pools))


def snapshot(ledger: Ledger, space: str) -> tuple[Learned, dict[int, str]]:
    """Return what the space knows and who holds which address in it, at one moment."""
    with ledger.store.reading() as tx:
        parent = tx.space(space)
        if parent is None:
            return Learned(), {}
        holders = {claim.first: claim.owner.holder for claim in tx.claims(parent) if claim.state == HELD}
        return recall(tx, parent), holders


def held(tx: Tx, parent: int, pool: LearnedPool) -> list[Claim]:
    """Return the claims on addresses of the pool's network, in address order, vanished ones among them."""
    return [claim for claim in tx.claims(parent, *pool.span) if claim.state == HELD]
