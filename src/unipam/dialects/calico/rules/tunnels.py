"""Whether a node's tunnel may keep its address (spec §1.15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from unipam.dialects.calico.documents.block import Attribute
from unipam.dialects.calico.documents.pool import TUNNEL, Pool
from unipam.dialects.calico.rules.blocks import handle_of
from unipam.dialects.calico.rules.names import Tunnel
from unipam.dialects.calico.rules.pools import find, selects_node
from unipam.dialects.calico.rules.selectors import Labels

_ENCAPSULATING = frozenset(("Always", "CrossSubnet"))


def eligible(pools: Sequence[Pool], tunnel: Tunnel, labels: Labels) -> list[Pool]:
    """Return the pools that a node with these labels may have such a tunnel's address from. Raises BadValue."""
    return [
        pool
        for pool in pools
        if pool.enabled
        and TUNNEL in pool.uses
        and pool.family == tunnel.family
        and _encapsulates(pool, tunnel)
        and selects_node(pool, labels)
    ]


def _encapsulates(pool: Pool, tunnel: Tunnel) -> bool:
    if tunnel is Tunnel.IPIP:
        return pool.ipip in _ENCAPSULATING
    return tunnel not in {Tunnel.VXLAN, Tunnel.VXLAN_V6} or pool.vxlan in _ENCAPSULATING


class Standing(NamedTuple):
    """A node's tunnel address as it was found, and who holds it; None for nobody."""

    address: int
    holder: Attribute | None


Step = Literal["none", "clear", "assign", "keep", "reassign", "adopt"]
"""What is to be done: nothing, release and forget, assign one, keep it, release it and assign another, or take the same
address again under its proper name."""


def decide(tunnel: Tunnel, node: str, found: Standing | None, pools: Sequence[Pool]) -> Step:
    """Decide what is to be done about a tunnel's address, given the pools that are eligible for it."""
    if not pools:
        return "clear" if found else "none"
    if found is None:
        return "assign"
    if found.holder is None:
        return "reassign"
    if not handle_of(found.holder) or not found.holder.get("secondary"):
        return "adopt"
    secondary = found.holder.get("secondary") or {}
    if (secondary.get("type"), secondary.get("node")) != (tunnel.attribute, node):
        return "assign"  # it is somebody else's by now, and not ours to release
    return "keep" if find(pools, found.address) else "reassign"
