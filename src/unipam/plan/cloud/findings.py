"""The plan as `plan.cloud.drift` wants it, read in one transaction. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator

from unipam.addr.prefix import parse_prefix
from unipam.model import objects
from unipam.plan import tree
from unipam.plan.blocks import blocks
from unipam.plan.cloud.drift import PlannedBlock, PlannedNetwork, PlannedReservation
from unipam.plan.networks import associated
from unipam.plan.reservations import pending, settled
from unipam.plan.tree import Node
from unipam.store.api import Tx


def planned(tx: Tx) -> Iterator[PlannedBlock]:
    """Yield every block of every space, with what is directly in it."""
    for space in tree.spaces(tx):
        for block in blocks(tx, space.id):
            yield _planned(tx, space, block)


def _planned(tx: Tx, space: Node[objects.Space], block: Node[objects.Block]) -> PlannedBlock:
    over = (each for each in settled(tx, space.id, block.id) if each.facts.status == objects.FULFILLED)
    return PlannedBlock(
        space.facts.name,
        block.facts.name,
        block.prefix,
        tuple(PlannedNetwork(n.facts.id, n.facts.name, n.prefixes) for n in associated(tx, block)),
        tuple(PlannedReservation(node.facts.id, node.prefix) for node in pending(tx, block)),
        tuple(PlannedReservation(each.facts.id, parse_prefix(each.cidr)) for each in over),
        tuple((each.facts.name, each.prefix) for each in tree.children(tx, block.id, objects.External)),
    )
