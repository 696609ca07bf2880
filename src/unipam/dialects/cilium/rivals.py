"""CiliumNodes that name the machine of another one: copied or edited by hand, or left behind by a former name. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from unipam.dialects.cilium.nics import Nic
from unipam.dialects.cilium.node import CiliumNode


def rivals(nodes: Iterable[CiliumNode], nics: Callable[[str], Sequence[Nic]]) -> dict[str, str]:
    """Return the nodes that are given nothing of their machine, and the one whose it is; `nics` are a machine's.

    It is whose pool has addresses of the machine already, then who was made first: who comes later cannot take it over.
    """
    by_machine: dict[str, list[CiliumNode]] = defaultdict(list)
    for node in nodes:
        if node.instance:
            by_machine[node.instance].append(node)
    found: dict[str, str] = {}
    for machine, several in by_machine.items():
        if len(several) > 1:
            has = {each.ip for nic in nics(machine) for each in nic.addresses}
            several.sort(key=lambda each: (not each.pool & has, each.created, each.name))
            found |= {each.name: several[0].name for each in several[1:]}
    return found


def told(first: str) -> str:
    """Return what is said of a node whose machine is that of the `first`, and the way out."""
    return f"its machine is that of CiliumNode {first}: delete the one of the two that is not there"
