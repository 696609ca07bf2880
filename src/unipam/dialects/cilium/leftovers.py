"""What a write that failed halfway has left in a machine's model: configurations that no interface has. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, parse_address
from unipam.dialects.cilium.machine import configurations
from unipam.dialects.cilium.nics import Nic, nics_of
from unipam.dialects.cilium.node import CiliumNode


class Known(NamedTuple):
    """A node, and its machine's interfaces as they are known apart from its model."""

    node: CiliumNode
    nics: Sequence[Nic]


def leftovers(document: Mapping[str, Any], nic: str, known: Known, told: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the names of an interface's configurations in a model that can go, for no interface has them.

    `told` are the machine's interfaces as Azure tells them now. Either view may be old, so what one of them shows
    stays; and all stays unless everything is shown that pods of the node may have (A10). Raises Missing.
    """
    seen = [*known.nics, *nics_of(told)]
    if not _shows_all(seen, known.node):
        return set()
    shown = {each.configuration for nic in seen for each in nic.addresses} | set(_names(told))
    return {str(each.get("name")) for each in configurations(document, nic)} - shown


def _names(told: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the names of all configurations, also of those that have no address yet, or one of IPv6."""
    for nic in told:
        for each in (nic.get("properties") or {}).get("ipConfigurations") or ():
            yield str(each.get("name"))


def _shows_all(nics: Iterable[Nic], node: CiliumNode) -> bool:
    """Return whether the interfaces show every address that a node was offered, says it uses, or holds by range."""
    addresses = {each.ip for nic in nics for each in nic.addresses}
    numbers = set(map(parse_address, addresses))
    held = node.allocated or ()
    return node.pool | node.used <= addresses and all(_within(numbers, each) == each.size for each in held)


def _within(numbers: Collection[int], range_: Prefix) -> int:
    return sum(1 for each in numbers if range_.first <= each <= range_.last)
