"""Addresses of a machine that something else on it has already, as azure-vnet's pods do (14655)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from unipam.dialects.cilium.nics import Nic
from unipam.dialects.cilium.node import CiliumNode

IN_USE_ELSEWHERE = "in-use-elsewhere"
"""The state of such an address: agents take none but those that have succeeded."""


class Pods(Protocol):
    """Who knows the cluster's pods."""

    def foreign(self, node: str, addresses: Iterable[str], now: float) -> dict[str, str]:
        """Return the pods of a node that have these addresses, and that no agent of Cilium runs."""


def foreign(node: CiliumNode, nics: Iterable[Nic], pods: Pods, now: float) -> dict[str, str]:
    """Return the pods, by their addresses, that have an address which the node's agent was never offered.

    What is in the pool was offered, so that it is the agent's, though it may not have said yet that it uses it.
    """
    addresses = {each.ip for nic in nics for each in nic.available} - node.pool - node.used
    return pods.foreign(node.name, sorted(addresses), now) if addresses else {}


def without(nics: Sequence[Nic], taken: Mapping[str, str]) -> Sequence[Nic]:
    """Return the interfaces with these addresses as ones that nobody can have."""
    if not taken:
        return nics
    return [
        nic._replace(
            addresses=tuple(
                each._replace(state=IN_USE_ELSEWHERE) if each.ip in taken else each for each in nic.addresses
            )
        )
        for nic in nics
    ]


def told(taken: Mapping[str, str]) -> str:
    """Return what is said of them: where they are, and the way out."""
    if not taken:
        return ""
    first = ", ".join(f"{ip} ({pod})" for ip, pod in list(taken.items())[:3])
    more = f" and {len(taken) - 3} more" if len(taken) > 3 else ""
    return f"pods that Cilium does not run have addresses of this machine: {first}{more}; recreate these pods"
