"""What a node needs of a datastore to hand out addresses, besides blocks and handles."""

from __future__ import annotations

from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import (
    HOST,
    AffinityKey,
    ConfigKey,
    Key,
    NodeKey,
    PoolKey,
    ReservationKey,
)


def selections(node: str) -> tuple[Selection, ...]:
    """Return the configuration, pools, reservations, the node itself, and its claims on blocks."""
    return (
        Selection(ConfigKey),
        Selection(PoolKey),
        Selection(ReservationKey),
        Selection(NodeKey, node),
        Selection(AffinityKey, node, HOST),
    )


def selection_of(key: Key) -> Selection:
    """Return the selection that a key is in, if it is in one of a node's."""
    match key:
        case AffinityKey(host, _, kind):
            return Selection(AffinityKey, host, kind)
        case NodeKey(name):
            return Selection(NodeKey, name)
    return Selection(type(key))
