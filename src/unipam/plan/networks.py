"""Networks of a cloud in the plan: associate and dissociate them. Functions of one transaction; see `plan.tree`.

An associated network holds a claim for each of its prefixes inside the block. One that vanishes from the cloud loses
them in time (`plan.cloud.sync`), but stays listed, as inactive, until somebody dissociates it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple, cast

import msgspec

from unipam.addr.prefix import Prefix
from unipam.addr.ranges import RangeSet
from unipam.model import objects
from unipam.model.cloud import CloudNetwork, Snapshot, key
from unipam.model.errors import Duplicate, Missing, Outside, Overlap
from unipam.model.records import HELD, Claim, Owner, Selection
from unipam.plan import tree
from unipam.plan.blocks import blocks, gone_key, space_of
from unipam.plan.tree import Author, Draft, Node
from unipam.store.api import EVERY, Tx


class Associated(NamedTuple):
    """A network as a block knows it: its claimed prefixes, and whether it was there when last looked for."""

    facts: objects.Network
    prefixes: tuple[Prefix, ...]
    active: bool
    claims: tuple[Claim, ...] = ()

    @property
    def rank(self) -> int:
        """Return its place among the block's networks, in the order of coming, or of a list that was replaced."""
        return self.facts.rank or min((claim.id for claim in self.claims), default=0)


_facts = msgspec.json.Decoder(objects.Network)


def associated(tx: Tx, block: Node[objects.Block], claims: Iterable[Claim] | None = None) -> list[Associated]:
    """Return the networks of a block, in the order in which they came. `claims` are all it holds, if they are known."""
    found = [as_associated(claims) for claims in by_network(network_claims(tx, block.id) if claims is None else claims)]
    lost = [Associated(facts, (), active=False) for facts in gone(tx, block)]
    return sorted(found + lost, key=lambda each: each.rank)


def network_claims(tx: Tx, *blocks: int) -> list[Claim]:
    """Return what networks hold directly in blocks, in address order; what else lies there is not read."""
    return tx.select(Selection(objects.NETWORK, blocks, limit=EVERY))


def by_network(claims: Iterable[Claim]) -> list[list[Claim]]:
    """Return the claims of each network among those of a block."""
    held: dict[str, list[Claim]] = {}
    for claim in claims:
        if claim.kind == objects.NETWORK:
            held.setdefault(claim.owner.holder, []).append(claim)
    return list(held.values())


def associated_in(tx: Tx, spaces: Iterable[int]) -> list[str]:
    """Return the keys of the networks that are associated with the blocks of these spaces, each once."""
    found = [block.id for space in spaces for block in blocks(tx, space)]
    return list(dict.fromkeys(claim.owner.holder for claim in network_claims(tx, *found)))


def gone(tx: Tx, block: Node[objects.Block]) -> list[objects.Network]:
    """Return the networks of a block that vanished, and were not dissociated."""
    return [_facts.decode(text) for _, text in tx.notes(gone_key(space_of(block.claim), block.id))]


def as_associated(claims: Sequence[Claim]) -> Associated:
    """Return the network that holds these claims, all that it has in a block."""
    facts = cast("objects.Network", objects.decode(claims[0].details))
    prefixes = tuple(tree.prefix_of(claim) for claim in claims)
    return Associated(facts, prefixes, all(c.state == HELD for c in claims), tuple(claims))


def inside(block: Prefix, network: CloudNetwork) -> list[Prefix]:
    """Return the network's prefixes that lie within the block."""
    return [prefix for prefix in network.prefixes if block.contains(prefix)]


def _key(claim_or_id: str) -> str:
    return key(claim_or_id)


def claims_of(tx: Tx, block: int, resource_id: str) -> list[Claim]:
    """Return the claims of a network in a block."""
    return [c for c in tx.claims_of(block, _key(resource_id)) if c.kind == objects.NETWORK]


def is_associated(tx: Tx, block: Node[objects.Block], resource_id: str) -> bool:
    """Return whether a block has this network, in any letter case (D8)."""
    return bool(claims_of(tx, block.id, resource_id) or tx.note(_gone(block, resource_id)))


def _gone(block: Node[objects.Block], resource_id: str) -> str:
    return gone_key(space_of(block.claim), block.id, _key(resource_id))


def find_network(snapshot: Snapshot, resource_id: str) -> CloudNetwork:
    """Return the network of this id, which it keeps as it is written here. Raises Missing.

    Clients look for the very text that they gave; the original lists it so too (spec azure-ipam-application §3.5).
    """
    network = snapshot.network(resource_id)
    if network is None:
        raise Missing(f"there is no network {resource_id!r}", kind=objects.NETWORK, value=resource_id)
    return network._replace(id=resource_id)


def associate(tx: Tx, by: Author, space: str, block: str, network: CloudNetwork) -> Node[objects.Block]:
    """Make a network part of a block, with every prefix of its that lies there.

    Raises Missing, Duplicate, Outside, or Overlap with what is in the way.
    """
    found = tree.find_block(tx, tree.find_space(tx, space).id, block)
    if claims_of(tx, found.id, network.id):
        raise Duplicate(f"{network.name} is in the block {block} already", network=network.id)
    add(tx, by, found, network)
    return found


def add(tx: Tx, by: Author, block: Node[objects.Block], network: CloudNetwork) -> None:
    """Claim the network's prefixes in the block. Raises Outside or Overlap."""
    prefixes = inside(block.prefix, network)
    if not prefixes:
        listed = ", ".join(map(str, network.prefixes)) or "none"
        raise Outside(
            f"no prefix of {network.name} ({listed}) lies within the block {block.facts.name} ({block.prefix})",
            network=network.id,
            parent=str(block.prefix),
        )
    for prefix in prefixes:
        tree.refuse_overlap(tx, block.id, prefix)
    claim_prefixes(tx, by, block, objects.Network(network.id, network.name), prefixes)


def claim_prefixes(
    tx: Tx, by: Author, block: Node[objects.Block], facts: objects.Network, prefixes: Sequence[Prefix]
) -> None:
    """Write down that the network holds these prefixes, which are free."""
    drafts = [Draft(block.id, prefix, Owner(_key(facts.id)), facts) for prefix in prefixes]
    tree.create_all(tx, [by] * len(drafts), drafts)
    tx.drop_note(_gone(block, facts.id))


def dissociate(tx: Tx, by: Author, space: str, block: str, ids: Sequence[str]) -> None:
    """Take networks out of a block, all or none. Raises Missing or Duplicate."""
    found = tree.find_block(tx, tree.find_space(tx, space).id, block)
    _refuse_twice(ids)
    unknown = [each for each in ids if not is_associated(tx, found, each)]
    if unknown:
        raise Missing(f"not in the block {block}: {', '.join(unknown)}", kind=objects.NETWORK, value=unknown)
    for each in ids:
        drop(tx, by, found, each)


def _refuse_twice(ids: Sequence[str]) -> None:
    if len({_key(each) for each in ids}) != len(ids):
        raise Duplicate("a network is named twice", ids=list(ids))


def drop(tx: Tx, by: Author, block: Node[objects.Block], resource_id: str) -> None:
    """Take a network out of a block."""
    claims = claims_of(tx, block.id, resource_id)
    for claim in claims:
        tree.remove(tx, by, claim)
    if not claims:
        where = f"dissociated from the block {block.facts.name}, where it had no place any more"
        tree.remark(tx, by, tree.REMOVE, f"{objects.NETWORK}/{_key(resource_id)}", where)
    tx.drop_note(_gone(block, resource_id))


def replace(tx: Tx, by: Author, space: str, block: str, ids: Sequence[str], snapshot: Snapshot) -> list[Associated]:
    """Let a block have exactly these networks from now on, in this order, by the ids as they are written here.

    A network that is not seen may stay, but not come. Raises Duplicate, Missing, Overlap or Outside, in this order,
    with the fact `among` on an Overlap that says what overlaps: networks, reservations or externals.
    """
    found = tree.find_block(tx, tree.find_space(tx, space).id, block)
    _refuse_twice(ids)
    new = _newcomers(tx, found, ids, snapshot)
    wanted = {_key(each): each for each in ids}
    _refuse_overlap_among(tx, found, wanted, new)
    outside = [network.id for network in new if not inside(found.prefix, network)]
    if outside:
        raise Outside(f"no prefix within the block {block}: {', '.join(outside)}", networks=outside)
    for each in associated(tx, found):
        if _key(each.facts.id) not in wanted:
            drop(tx, by, found, each.facts.id)
    for network in new:
        add(tx, by, found, network)
    there = {_key(each.facts.id): each for each in associated(tx, found)}
    places = sorted(each.rank for each in there.values())
    for (wanted_key, resource_id), place in zip(wanted.items(), places, strict=True):
        _spell(tx, by, found, there[wanted_key], resource_id, place)
    return associated(tx, found)


def _newcomers(tx: Tx, block: Node[objects.Block], ids: Sequence[str], snapshot: Snapshot) -> list[CloudNetwork]:
    new = [each for each in ids if not is_associated(tx, block, each)]
    unknown = [each for each in new if snapshot.network(each) is None]
    if unknown:
        raise Missing(f"no such network: {', '.join(unknown)}", kind=objects.NETWORK, value=unknown)
    return [find_network(snapshot, each) for each in new]


def _spell(tx: Tx, by: Author, block: Node[objects.Block], each: Associated, resource_id: str, place: int) -> None:
    """Write the id of a network that is in the block so, and list it at this place; it keeps its prefixes."""
    if (each.facts.id, each.rank) == (resource_id, place):
        return
    facts = objects.Network(resource_id, each.facts.name, place)
    for claim in each.claims:
        tree.change(tx, by, claim, facts)
    if not each.claims:
        note_gone(tx, block, facts)


def note_gone(tx: Tx, block: Node[objects.Block], facts: objects.Network) -> None:
    """Remember a network of the block that vanished."""
    tx.set_note(_gone(block, facts.id), msgspec.json.encode(facts).decode())


def _refuse_overlap_among(
    tx: Tx, block: Node[objects.Block], wanted: Container[str], new: Sequence[CloudNetwork]
) -> None:
    """Raise Overlap for the first kind that is in the way: other networks, then reservations, then the rest."""
    claims = list(tx.claims(block.id))
    staying = [c for c in claims if c.kind == objects.NETWORK and c.owner.holder in wanted]
    taken = RangeSet((c.first, c.last) for c in staying)
    for network in new:
        for prefix in inside(block.prefix, network):
            if taken.overlaps(prefix.first, prefix.last):
                raise Overlap(f"{prefix} of {network.name} overlaps another network", among=objects.NETWORK)
            taken.add(prefix.first, prefix.last)
    for claim in sorted((c for c in claims if c.kind != objects.NETWORK), key=lambda c: c.kind != objects.RESERVATION):
        if taken.overlaps(claim.first, claim.last):
            raise Overlap(f"a network overlaps the {claim.kind} {claim.text}", among=claim.kind)


def available(tx: Tx, space: str, block: str, snapshot: Snapshot) -> list[tuple[CloudNetwork, list[Prefix]]]:
    """Return the networks that the block could take, with the prefixes that would be claimed there; those it has
    included.
    """
    found = tree.find_block(tx, tree.find_space(tx, space).id, block)
    claims = list(tx.claims(found.id))
    rows = []
    for network in snapshot.networks.values():
        own = _key(network.id)
        taken = RangeSet((c.first, c.last) for c in claims if c.owner.holder != own) if claims else RangeSet()
        prefixes = inside(found.prefix, network)
        if prefixes and not any(taken.overlaps(p.first, p.last) for p in prefixes):
            rows.append((network, prefixes))
    return rows


def containers(tx: Tx, resource_id: str) -> list[tuple[str, str]]:
    """Return the spaces and blocks that a network is associated with, by name."""
    found = {}
    for claim in tx.claims_named([_key(resource_id)]):
        block = tx.claim(claim.parent) if claim.kind == objects.NETWORK else None
        if block is not None:
            root = tx.claim(space_of(block))
            assert root is not None
            found[block.id] = tuple(cast("objects.Block", objects.decode(c.details)).name for c in (root, block))
    return [cast("tuple[str, str]", names) for names in found.values()]
