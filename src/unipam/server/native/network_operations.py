"""The native API's operations on the networks of a block; see `operations`."""

from __future__ import annotations

from unipam.model.cloud import Snapshot
from unipam.plan import networks, tree
from unipam.plan.access.callers import Caller
from unipam.plan.networks import Associated, associated
from unipam.plan.permissions import UseCase, Visibility, require
from unipam.plan.tree import Author
from unipam.server.native.operations import List, Shape, Write, done, shown
from unipam.store.api import Tx


def list_networks(visibility: Visibility, space: str, block: str) -> List:
    """Return the networks of a block that the caller may see, in the order in which they came."""

    def work(tx: Tx) -> list[Shape]:
        found = tree.find_block(tx, tree.find_space(tx, space).id, block)
        return [network_shape(each) for each in associated(tx, found) if visibility.sees(space, each.facts.id)]

    return work


def add_network(space: str, block: str, resource_id: str, snapshot: Snapshot) -> Write:
    """Associate a network with a block, for a caller who was found to be allowed to."""

    def add(tx: Tx, by: Author) -> Associated:
        network = networks.find_network(snapshot, resource_id)
        found = networks.associate(tx, by, space, block, network)
        return next(each for each in associated(tx, found) if each.facts.id == network.id)

    return shown(add, lambda _, each: network_shape(each), 201)


def drop_network(caller: Caller, space: str, block: str, resource_id: str) -> Write:
    """Dissociate a network from a block."""
    require(caller, UseCase.DISSOCIATE_NETWORK, space)
    return done(lambda tx, by: networks.dissociate(tx, by, space, block, [resource_id]))


def network_shape(each: Associated) -> Shape:
    """Return a network of the cloud in a block."""
    prefixes = [str(prefix) for prefix in each.prefixes]
    return {"id": each.facts.id, "name": each.facts.name, "prefixes": prefixes, "active": each.active}
