"""The plan follows the cloud: reservations are fulfilled by tag, networks keep up with their prefixes, or vanish.

Only what changed is written (D10). What cannot be followed, because something else holds the place, is left as it is;
`plan.cloud.findings` reports it.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.cloud import CloudNetwork, Snapshot, key, subscription_of
from unipam.model.objects import Reservation
from unipam.model.records import HELD, Claim, Selection
from unipam.plan import tree
from unipam.plan.blocks import blocks
from unipam.plan.free import FreeSpace
from unipam.plan.networks import (
    as_associated,
    by_network,
    claim_prefixes,
    claims_of,
    gone,
    inside,
    network_claims,
    note_gone,
)
from unipam.plan.reservations import expire_block, settle
from unipam.plan.tree import Author, Node
from unipam.store.api import EVERY, Tx

GRACE = 300.0
"""Seconds that a network may be out of sight before its prefixes are free: a cloud's listing lags behind."""

VANISH = "vanish"
SYSTEM = Author("AzureIPAM", "system")
"""The name under which the original settles reservations (spec azure-ipam-application §1.6)."""


class Tags:
    """Which networks say that they fulfil which reservation."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._networks: dict[str, list[CloudNetwork]] = {}
        for network in snapshot.networks.values():
            for reservation in network.reservations:
                self._networks.setdefault(reservation, []).append(network)

    @property
    def named(self) -> Collection[str]:
        """Return the ids of all reservations that any network carries."""
        return self._networks.keys()

    def of(self, reservation: str) -> list[CloudNetwork]:
        """Return the networks that carry the reservation's id."""
        return self._networks.get(reservation, [])


def sync(tx: Tx, by: Author, snapshot: Snapshot, grace: float = GRACE) -> int:
    """Bring every block up to the snapshot, and end what has run out; how many objects changed."""
    tags, changed = Tags(snapshot), 0
    for space in tree.spaces(tx):
        for block in blocks(tx, space.id):
            changed += expire_block(tx, block, by.now)
            if snapshot.taken:
                changed += _sync_networks(tx, by, block, snapshot, grace)
                found = _concerned(tx, block, tags)
                changed += sum(_sync_reservation(tx, by, block, each, tags, snapshot) for each in found)
    return changed


def _concerned(tx: Tx, block: Node[objects.Block], tags: Tags) -> list[Node[Reservation]]:
    """Return the reservations of a block, in address order, to which anything may happen: tagged, or so until now.

    All others wait, and go on waiting: a plan has ten thousands of them.
    """
    found = {claim.id: claim for claim in tx.claims_named(tags.named) if claim.parent == block.id}
    for status in (objects.MISMATCH, objects.EXISTS):
        wanted = Selection(objects.RESERVATION, (block.id,), status=status, limit=EVERY)
        found |= {claim.id: claim for claim in tx.select(wanted)}
    return tree.of_kind(sorted(found.values()), Reservation)


def _sync_networks(tx: Tx, by: Author, block: Node[objects.Block], snapshot: Snapshot, grace: float) -> int:
    changed = 0
    for claims in by_network(network_claims(tx, block.id)):
        resource_id = claims[0].owner.holder
        network = snapshot.network(resource_id)
        if network is not None and inside(block.prefix, network):
            changed += _follow(tx, by, block, network, claims)
        elif network is not None or snapshot.sees(subscription_of(resource_id)):
            changed += _miss(tx, by, block, claims, grace, gone=network is None)
    return changed + _welcome_back(tx, by, block, snapshot)


def _follow(tx: Tx, by: Author, block: Node[objects.Block], network: CloudNetwork, claims: list[Claim]) -> int:
    """Give a network that is there the prefixes that it has now, as far as they are free, and take the others."""
    now = inside(block.prefix, network)
    changed = 0
    for claim in claims:
        if tree.prefix_of(claim) not in now:
            tree.remove(tx, by, claim)
            changed += 1
        elif claim.state != HELD:
            tree.change(tx, by, claim, objects.decode(claim.details), state=HELD)
            changed += 1
    had = {tree.prefix_of(claim) for claim in claims}
    fresh = _free(tx, block, [prefix for prefix in now if prefix not in had])
    if fresh:
        claim_prefixes(tx, by, block, _as_known(claims, network), fresh)
    return changed + len(fresh)


def _as_known(claims: list[Claim], network: CloudNetwork) -> objects.Network:
    """Return the network as its claims, before any went, have it: the same id, the same place among the others."""
    if not claims:
        return objects.Network(network.id, network.name)
    known = as_associated(claims)
    return objects.Network(known.facts.id, network.name, known.rank)


def _free(tx: Tx, block: Node[objects.Block], prefixes: list[Prefix]) -> list[Prefix]:
    space, found = FreeSpace(tx), []
    for prefix in prefixes:
        if space.is_free(block.claim, prefix):
            space.take(block.claim, prefix)
            found.append(prefix)
    return found


def _miss(tx: Tx, by: Author, block: Node[objects.Block], claims: list[Claim], grace: float, *, gone: bool) -> int:
    """Note a network that is not there, or no longer in the block; after the grace its place is free."""
    known = as_associated(claims)
    changed = 0
    for claim in claims:
        if claim.state == HELD:
            tree.change(tx, by, claim, objects.decode(claim.details), state=objects.MISSING)
            changed += 1
        elif gone and claim.since + grace <= by.now:
            tree.remove(tx, by._replace(reason="the network is gone"), claim, VANISH)
            note_gone(tx, block, msgspec.structs.replace(known.facts, rank=known.rank))
            changed += 1
    return changed


def _welcome_back(tx: Tx, by: Author, block: Node[objects.Block], snapshot: Snapshot) -> int:
    """Give a network that vanished and is there again what is still free."""
    changed = 0
    for facts in gone(tx, block):
        network = snapshot.network(facts.id)
        fresh = _free(tx, block, inside(block.prefix, network)) if network else []
        if network and fresh:
            claim_prefixes(tx, by, block, facts, fresh)
            changed += 1
    return changed


def _sync_reservation(
    tx: Tx, by: Author, block: Node[objects.Block], node: Node[Reservation], tags: Tags, snapshot: Snapshot
) -> int:
    tagged = tags.of(node.facts.id)
    exact = next((network for network in tagged if node.prefix in network.prefixes), None)
    status = _status(tx, block, node, tagged, exact, snapshot)
    if status == objects.FULFILLED and exact is not None:
        _fulfil(tx, by, block, node, exact)
        return 1
    if status != node.facts.status:
        tree.change(tx, by, node.claim, msgspec.structs.replace(node.facts, status=status))
        return 1
    return 0


def _status(
    tx: Tx,
    block: Node[objects.Block],
    node: Node[Reservation],
    tagged: list[CloudNetwork],
    exact: CloudNetwork | None,
    snapshot: Snapshot,
) -> str:
    if not tagged:
        return objects.WAIT
    if exact is None:
        return objects.MISMATCH
    others = {claim.owner.holder for claim in network_claims(tx, block.id)} - {key(exact.id)}
    for other in others:
        network = snapshot.network(other)
        if network and any(prefix.overlaps(node.prefix) for prefix in inside(block.prefix, network)):
            return objects.EXISTS  # also when it overlaps in part only (D9)
    return objects.FULFILLED


def _fulfil(tx: Tx, by: Author, block: Node[objects.Block], node: Node[Reservation], network: CloudNetwork) -> None:
    """Give the network the reservation's place, and whatever else of it is free in the block (once, D9)."""
    settle(tx, by, block, node, objects.FULFILLED)
    claims = claims_of(tx, block.id, network.id)
    had = {tree.prefix_of(claim) for claim in claims}
    fresh = _free(tx, block, [prefix for prefix in inside(block.prefix, network) if prefix not in had])
    claim_prefixes(tx, by, block, _as_known(claims, network), fresh)
