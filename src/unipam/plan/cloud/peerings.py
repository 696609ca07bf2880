"""Networks that are connected by peerings, however far. Pure."""

from __future__ import annotations

from unipam.model.cloud import CloudNetwork, Snapshot, key
from unipam.model.errors import Missing


def component(snapshot: Snapshot, resource_id: str) -> list[CloudNetwork]:
    """Return the networks that a network is connected with by peerings, itself first, then by how far they are.

    Raises Missing.
    """
    start = snapshot.network(resource_id)
    if start is None:
        raise Missing(f"there is no network {resource_id!r}", kind="network", value=resource_id)
    found, border = {key(start.id): start}, [start]
    around = _neighbours(snapshot)
    while border:
        near = [n for each in border for remote in around.get(key(each.id), ()) if (n := snapshot.network(remote))]
        border = [n for n in {key(n.id): n for n in near}.values() if key(n.id) not in found]
        found |= {key(n.id): n for n in border}
    return list(found.values())


def _neighbours(snapshot: Snapshot) -> dict[str, list[str]]:
    """Return the far ends of each network's peerings, whichever end tells of them."""
    found: dict[str, list[str]] = {}
    for own, network in snapshot.networks.items():
        for peering in network.peerings:
            found.setdefault(own, []).append(key(peering.remote))
            found.setdefault(key(peering.remote), []).append(own)
    return found
