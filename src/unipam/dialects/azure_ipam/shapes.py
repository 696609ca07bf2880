"""The plan's objects in the shapes of the Azure IPAM application (spec azure-ipam-application §1.6, §2, §3.1).

Plain dictionaries, ready for JSON. Lists are in the order in which things were made, or a replaced list named them.
Utilisation counts networks and externals (and inner blocks, which the original has not), never reservations; and only
IPv4, the one family that the original knows: the numbers of IPv6 are beyond what its clients can hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, cast

import msgspec

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.cloud import VHUB, VNET, CloudNetwork, CloudSubnet, Snapshot, subscription_of
from unipam.model.objects import External, Reservation
from unipam.model.records import Claim
from unipam.plan import externals, tree
from unipam.plan.access.callers import Admin, UserSettings
from unipam.plan.blocks import space_of
from unipam.plan.networks import Associated, associated
from unipam.plan.permissions import Visibility, may_list
from unipam.plan.reads import use_of
from unipam.plan.reservations import Reserved, settled
from unipam.plan.tree import Node, of_kind
from unipam.store.api import Tx

Shape = dict[str, Any]
TAG = "X-IPAM-RES-ID"


class View(NamedTuple):
    """What of a space or block is shown, to whom, and what is known of the cloud."""

    visibility: Visibility
    expand: bool = False
    utilization: bool = False
    snapshot: Snapshot = Snapshot()


def of_family(prefixes: Iterable[Prefix], family: int = 4) -> list[Prefix]:
    """Return the prefixes of one family."""
    return [prefix for prefix in prefixes if prefix.family == family]


def first_of(prefixes: Iterable[Prefix], family: int = 4) -> Prefix | None:
    """Return the first prefix of a family: the one that is shown of a subnet."""
    return next(iter(of_family(prefixes, family)), None)


def size_of(prefixes: Iterable[Prefix]) -> int:
    """Return how many IPv4 addresses are in the prefixes."""
    return sum(prefix.size for prefix in of_family(prefixes))


def space(tx: Tx, node: Node[objects.Space], view: View) -> Shape:
    """Return a space with its blocks, at whatever depth."""
    rows = sorted(_blocks(tx, list(tx.claims(node.id)), view), key=lambda row: tree.rank(row[0]))
    shape: Shape = {"name": node.facts.name, "desc": node.facts.desc, "blocks": [row for _, row in rows]}
    if view.utilization:
        outer = [row for each, row in rows if each.claim.parent == node.id]
        shape["size"] = sum(row["size"] for row in outer)
        shape["used"] = sum(row["used"] for row in outer)
    return shape


def _blocks(tx: Tx, claims: list[Claim], view: View) -> Iterator[tuple[Node[objects.Block], Shape]]:
    """Yield the blocks among the claims and those inside them; what each holds is read once, for it may be much."""
    for each in of_kind(claims, objects.Block):
        held = list(tx.claims(each.id))
        yield each, _block(tx, each, held, view)
        yield from _blocks(tx, held, view)


def block(tx: Tx, node: Node[objects.Block], view: View) -> Shape:
    """Shape a block with the networks in sight and the caller's own reservations; an administrator is shown all."""
    return _block(tx, node, list(tx.claims(node.id)), view)


def _block(tx: Tx, node: Node[objects.Block], claims: list[Claim], view: View) -> Shape:
    space = space_of(node.claim)
    networks = [each for each in associated(tx, node, claims) if view.visibility.sees(space, each.facts.id)]
    shape: Shape = {
        "name": node.facts.name,
        "cidr": str(node.prefix),
        "vnets": [expanded(each, view) if view.expand else vnet(each) for each in networks],
        "externals": [external(tx, each) for each in tree.in_order(of_kind(claims, External))],
        "resv": [reservation(facts, cidr) for facts, cidr in _reservations(tx, node, claims, view)],
    }
    if view.utilization:
        counted = node.prefix.family == 4
        shape |= {"size": size_of([node.prefix]), "used": use_of(tx, node, claims).used if counted else 0}
    return shape


def _reservations(tx: Tx, node: Node[objects.Block], claims: list[Claim], view: View) -> list[tuple[Reservation, str]]:
    rows = [(each.facts, str(each.prefix)) for each in of_kind(claims, Reservation)]
    rows += [(s.facts, s.cidr) for s in settled(tx, space_of(node.claim), node.id)]
    rows = [(facts, cidr) for facts, cidr in rows if may_list(view.visibility.caller, facts)]
    return sorted(rows, key=lambda row: row[0].created_on)


def vnet(each: Associated) -> Shape:
    """Shape an associated network, by reference."""
    return {"id": each.facts.id, "active": each.active}


def reservation(facts: Reservation, cidr: str) -> Shape:
    """Shape a reservation inside its block."""
    return {
        "id": facts.id,
        "cidr": cidr,
        "desc": facts.desc,
        "createdOn": facts.created_on,
        "createdBy": facts.created_by,
        "settledOn": facts.settled_on,
        "settledBy": facts.settled_by,
        "status": facts.status,
    }


def reserved(row: Reserved) -> Shape:
    """Shape a reservation by itself, with the tag that its network is to carry."""
    place = {"space": row.space, "block": row.block}
    return {"id": row.facts.id, **place, **reservation(row.facts, row.prefix), "tag": {TAG: row.facts.id}}


_INNER = {objects.EXTERNAL: "subnets", objects.SUBNET: "endpoints"}


def external(tx: Tx, node: Node[Any]) -> Shape:
    """Return an external network with its subnets, one of those with its endpoints, or an endpoint."""
    shape = {"name": node.facts.name, "desc": node.facts.desc}
    if node.claim.kind == objects.ENDPOINT:
        return {**shape, "ip": externals.address_text(node)}
    inner = [external(tx, each) for each in tree.in_order(externals.inner(tx, node))]
    return {**shape, "cidr": str(node.prefix), _INNER[node.claim.kind]: inner}


def expanded(each: Associated, view: View) -> Shape:
    """Shape an associated network with what the cloud tells of it, under its id as it was written.

    It is measured by its prefixes inside the block. One that is not seen now is shown by what the plan remembers, so
    that it never breaks a listing (D7).
    """
    network = view.snapshot.network(each.facts.id) or remembered(each.facts)
    shape = network_expand(network._replace(id=each.facts.id), list(each.prefixes))
    family = each.prefixes[0].family if each.prefixes else 4
    inner = [(s, p) for s in network.subnets if (p := first_of(s.prefixes, family)) is not None]
    shape["subnets"] = [_subnet(s, p, view.utilization) for s, p in inner]
    if view.utilization:
        shape["size"] = size_of(each.prefixes)
        shape["used"] = size_of(p for _, p in inner if any(prefix.contains(p) for prefix in each.prefixes))
    return shape


def remembered(facts: objects.Network) -> CloudNetwork:
    """Return a network that is out of sight: what its id alone tells."""
    parts = facts.id.split("/")
    group = parts[4] if len(parts) > 4 else ""
    kind = VHUB if "/virtualhubs/" in facts.id.lower() else VNET
    return CloudNetwork(facts.id, facts.name, kind, (), group, subscription_of(facts.id), "")


def _subnet(each: CloudSubnet, prefix: Prefix, utilization: bool) -> Shape:
    shape: Shape = {"name": each.name, "prefix": str(prefix)}
    return shape | {"size": size_of([prefix]), "used": each.used or 0} if utilization else shape


def network_expand(network: CloudNetwork, prefixes: list[Prefix]) -> Shape:
    """Shape a network as listings of a block show it."""
    return {
        "name": network.name,
        "id": network.id,
        "prefixes": [str(prefix) for prefix in prefixes],
        "resource_group": network.resource_group,
        "subscription_id": network.subscription,
        "tenant_id": network.tenant,
    }


def admin(each: Admin) -> Shape:
    """Shape an administrator."""
    return {"type": each.type, "name": each.name, "email": each.email, "id": each.id}


def user(chosen: UserSettings, is_admin: bool, expand: bool = False) -> Shape:
    """Shape a person's settings."""
    shape = cast("Shape", msgspec.to_builtins(chosen))
    views = shape.pop("views")
    shape["isAdmin"] = is_admin
    return shape | {"views": views} if expand else shape
