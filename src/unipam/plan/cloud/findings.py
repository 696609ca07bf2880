"""The plan as `plan.cloud.drift` wants it, read in one transaction. Nothing is changed.

Of reservations and external networks, which a plan may have by the ten thousands, only those are read that a finding
can come of: a `Scope` says which, and so also after which lines of the journal a comparison must be made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from unipam.addr.prefix import parse_prefix
from unipam.addr.ranges import RangeSet
from unipam.model import objects
from unipam.model.cloud import Snapshot
from unipam.model.objects import External, Reservation
from unipam.model.records import Claim, Entry, Selection
from unipam.plan import tree
from unipam.plan.blocks import blocks
from unipam.plan.cloud.drift import PlannedBlock, PlannedNetwork, PlannedReservation, looked_up
from unipam.plan.networks import associated
from unipam.plan.reservations import settled
from unipam.plan.tree import Node, prefix_of
from unipam.store.api import EVERY, Tx

_TOLD = (f"{objects.NETWORK}/", f"{objects.RESERVATION}/")
"""How `tree.remark` begins what it says of a network or a reservation that has no place."""


class Scope(NamedTuple):
    """What of a plan may matter: reservations that networks of the cloud name, and whatever lies in these places."""

    tags: frozenset[str]
    places: RangeSet

    def holds(self, claim: Claim) -> bool:
        """Return whether a reservation or an external network may matter."""
        return claim.owner.holder in self.tags or self.places.overlaps(claim.first, claim.last)

    def concerns(self, entry: Entry) -> bool:
        """Return whether a comparison may come out differently after this line of the journal."""
        try:
            facts = objects.decode(entry.details)
        except msgspec.MsgspecError:  # of access, in words; or of what has no place
            return entry.owner.holder.startswith(_TOLD)
        if isinstance(facts, Reservation):
            over = facts.status == objects.FULFILLED
            return over or facts.id in self.tags or self.places.overlaps(entry.first, entry.last)
        if isinstance(facts, External):
            return self.places.overlaps(entry.first, entry.last)
        return isinstance(facts, objects.Network | objects.Block | objects.Space)


class Planned(NamedTuple):
    """The blocks of every space, with what is directly in them and may matter."""

    blocks: Sequence[PlannedBlock]
    scope: Scope


def planned(tx: Tx, snapshot: Snapshot) -> Planned:
    """Read the plan for a comparison with this snapshot."""
    places = [(space, block) for space in tree.spaces(tx) for block in blocks(tx, space.id)]
    bare = [_with_networks(tx, *place) for place in places]
    tags = frozenset(tag for network in snapshot.networks.values() for tag in network.reservations)
    scope = Scope(tags, looked_up(bare, snapshot))
    tagged = [claim for claim in tx.claims_named(tags) if claim.kind == objects.RESERVATION] if tags else []
    whole = (_with_others(tx, node, block, tagged, scope) for (_, node), block in zip(places, bare, strict=True))
    return Planned(list(whole), scope)


def _with_networks(tx: Tx, space: Node[objects.Space], block: Node[objects.Block]) -> PlannedBlock:
    over = (each for each in settled(tx, space.id, block.id) if each.facts.status == objects.FULFILLED)
    return PlannedBlock(
        space.facts.name,
        block.facts.name,
        block.prefix,
        tuple(PlannedNetwork(n.facts.id, n.facts.name, n.prefixes) for n in associated(tx, block)),
        fulfilled=tuple(PlannedReservation(each.facts.id, parse_prefix(each.cidr)) for each in over),
    )


def _with_others(
    tx: Tx, node: Node[objects.Block], block: PlannedBlock, tagged: Iterable[Claim], scope: Scope
) -> PlannedBlock:
    """Return a block with its reservations and external networks, as far as they matter."""
    pending = [claim for claim in tagged if claim.parent == node.id]
    others: list[Node[External]] = []
    if scope.places.overlaps(node.claim.first, node.claim.last):
        pending = list(_in_scope(tx, node.id, objects.RESERVATION, scope))
        others = tree.of_kind(_in_scope(tx, node.id, objects.EXTERNAL, scope), External)
    return block._replace(
        pending=tuple(PlannedReservation(claim.owner.holder, prefix_of(claim)) for claim in pending),
        others=tuple((each.facts.name, each.prefix) for each in others),
    )


def _in_scope(tx: Tx, block: int, kind: str, scope: Scope) -> Iterator[Claim]:
    return filter(scope.holds, tx.select(Selection(kind, (block,), limit=EVERY)))
