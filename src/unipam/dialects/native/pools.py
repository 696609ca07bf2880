"""What a CiliumNode gives its node: pools of addresses, purely (spec cilium §1.3, §2.1)."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from unipam.addr.prefix import BITS, Prefix, Range, family, parse_address, parse_interface
from unipam.addr.ranges import RangeSet
from unipam.dialects.cilium.node import KEPT, CiliumNode, rows, section
from unipam.dialects.host_local.config import range_of
from unipam.ledger.learned import Learned, LearnedPool
from unipam.model.records import Pool, PoolRange


def pools_of(node: CiliumNode, withheld: Iterable[str] = ()) -> tuple[LearnedPool, ...]:
    """Return the pools of a CiliumNode, in order: what may be handed out of each interface's subnet.

    What is being released is in none of them, nor what is `withheld` or kept for somebody by name, nor what lies on an
    interface of which the subnet is not told yet. A node without a pool has its podCIDRs, if it has any.
    """
    ipam = section(section(node.document, "spec"), "ipam")
    pool = section(ipam, "pool")
    found = _of_addresses(node, pool, withheld) if pool else _of_ranges(ipam.get("podCIDRs"))
    return tuple(sorted(found))


def _of_addresses(node: CiliumNode, pool: Mapping[str, Any], withheld: Iterable[str]) -> Iterator[LearnedPool]:
    nics, taken = _interfaces(node), RangeSet([*going(node), *filter(None, map(span_of, withheld))])
    by_interface: dict[str, RangeSet] = defaultdict(RangeSet)
    for text in pool:
        entry, span = section(pool, text), span_of(text)
        if span is None or entry.get("owner"):
            continue
        if interface := str(entry.get("resource") or "").lower():
            by_interface[interface].add(*span)
        else:  # named by a person, without a subnet around it
            network = Prefix(span.first, BITS - (span.last - span.first).bit_length())
            yield LearnedPool(network, None, "", 0, tuple(RangeSet([span]) - taken))
    for interface, addresses in by_interface.items():
        if nic := nics.get(interface):
            network, gateway, mac = nic
            yield LearnedPool(network, gateway, mac, 0, tuple(addresses - taken))


def _interfaces(node: CiliumNode) -> dict[str, tuple[Prefix, int, str]]:
    """Return the subnet, its gateway and the hardware address of each interface that tells its subnet."""
    found = {}
    for each in rows(section(section(node.document, "status"), "azure"), "interfaces"):
        if not isinstance(each, dict):
            continue
        subnet = str(section(each, "subnet").get("cidr") or each.get("cidr") or "")
        try:
            network = parse_interface(subnet)[1]
            gateway = parse_address(str(each["gateway"])) if each.get("gateway") else network.first + 1
        except ValueError:
            continue
        found[str(each.get("id", "")).lower()] = network, gateway, str(each.get("mac") or "").lower()
    return found


def _of_ranges(ranges: object) -> Iterator[LearnedPool]:
    for text in ranges if isinstance(ranges, list) else ():
        try:
            found = range_of(str(text))
        except ValueError:
            continue
        network = Prefix(found.gateway - 1 if found.gateway is not None else found.first, found.length)
        yield LearnedPool(network, found.gateway, "", 0, (found.span,))


def going(node: CiliumNode) -> list[Range]:
    """Return what is being taken from the node: nobody is given it, whatever else is said of it."""
    return [span for text, state in node.release.items() if state != KEPT and (span := span_of(text))]


def pooled(node: CiliumNode) -> RangeSet:
    """Return everything that the node's pool has, whoever may be given it."""
    pool = section(section(section(node.document, "spec"), "ipam"), "pool")
    return RangeSet(span for text in pool if (span := span_of(text)))


def span_of(text: str) -> Range | None:
    """Return the addresses that a text means, one or a prefix; None where it is neither."""
    try:
        if "/" in text:
            _, prefix = parse_interface(text)
            return Range(prefix.first, prefix.last)
        address = parse_address(text)
    except ValueError:
        return None
    return Range(address, address)


@functools.lru_cache(maxsize=16)
def requested(learned: Learned) -> tuple[Pool, ...]:
    """Return what is asked for: one address of each family that there is, of whatever subnet."""
    return tuple(
        Pool(each, ranges) for each in (4, 6) if (ranges := tuple(r for r in _ranges(learned.pools) if _is(each, r)))
    )


def _ranges(pools: Iterable[LearnedPool]) -> Iterator[PoolRange]:
    for each in pools:
        yield from each.pool.ranges


def _is(wanted: int, span: PoolRange) -> bool:
    return family(span.first) == wanted
