"""The plan as `cloud_drift` wants it, read in one transaction. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator

from unipam.addr.prefix import parse_prefix
from unipam.model import plan as model
from unipam.model.cloud import Snapshot
from unipam.service import plan
from unipam.service.cloud_drift import Finding, PlannedBlock, PlannedNetwork, PlannedReservation, findings
from unipam.service.plan import Node
from unipam.service.plan_blocks import blocks
from unipam.service.plan_networks import associated
from unipam.service.plan_reservations import pending, settled
from unipam.store.api import Tx


def drift(tx: Tx, snapshot: Snapshot) -> list[Finding]:
    """Where the plan and the cloud disagree, the worst first."""
    return findings(list(planned(tx)), snapshot)


def planned(tx: Tx) -> Iterator[PlannedBlock]:
    """Every block of every space, with what is directly in it."""
    for space in plan.spaces(tx):
        for block in blocks(tx, space.id):
            yield _planned(tx, space, block)


def _planned(tx: Tx, space: Node[model.Space], block: Node[model.Block]) -> PlannedBlock:
    over = (each for each in settled(tx, space.id, block.id) if each.facts.status == model.FULFILLED)
    return PlannedBlock(
        space.facts.name,
        block.facts.name,
        block.prefix,
        tuple(PlannedNetwork(n.facts.id, n.facts.name, n.prefixes) for n in associated(tx, block)),
        tuple(PlannedReservation(node.facts.id, node.prefix) for node in pending(tx, block)),
        tuple(PlannedReservation(each.facts.id, parse_prefix(each.cidr)) for each in over),
        tuple((each.facts.name, each.prefix) for each in plan.children(tx, block.id, model.External)),
    )
