"""Subnets of networks that are associated with a block, in the native API: as the cloud has them, only to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel

from unipam.addr.prefix import Prefix
from unipam.model import objects
from unipam.model.cloud import CloudNetwork, CloudSubnet, Snapshot, key
from unipam.model.errors import Missing
from unipam.plan import networks as plan_networks
from unipam.plan import tree
from unipam.plan.permissions import Visibility
from unipam.server.native import models as m
from unipam.server.native.requests import Overlaps, Paged, page, problems
from unipam.server.register import SessionDep
from unipam.server.routing import Router
from unipam.store.api import Tx

router = Router(prefix="/spaces/{space}/blocks/{block}/networks", tags=["plan"])


class NetworkSubnet(BaseModel):
    """A subnet of an associated network, as the cloud had it at `seen_on` (seconds since the epoch).

    `size` counts its IPv4 addresses, `size_ipv6` those of IPv6; `used` counts the addresses in use, those that the
    cloud keeps for itself included; null: it is not known. `kind` is AFW, VGW, BAS or AGW for the subnets of gateways
    and firewalls.
    """

    id: str
    name: str
    network: str
    network_name: str
    prefixes: list[str]
    size: int
    size_ipv6: int
    used: int | None
    kind: str | None
    seen_on: float


class _Wanted(NamedTuple):
    """Which subnets: of one network, and those that overlap a prefix; None: all."""

    network: str | None
    overlaps: Prefix | None


async def _wanted(
    overlaps: Overlaps,
    network: Annotated[
        str | None, Query(max_length=2048, description="Only those of this network, by its resource id.")
    ] = None,
) -> _Wanted:
    return _Wanted(network, overlaps)


@router.get("/subnets", response_model=m.Page[NetworkSubnet], responses=problems(404))
async def list_network_subnets(
    session: SessionDep,
    space: str,
    block: str,
    paging: Paged,
    wanted: Annotated[_Wanted, Depends(_wanted)],
) -> Response:
    """The subnets of a block's networks that the caller may see, with the age of what is shown in the `Age` header."""
    snapshot = await session.register.shown(session.caller)
    visibility = await session.visibility(space)
    networks = await session.read(lambda tx: _networks(tx, space, block, wanted.network, visibility))
    seen = [found for each in networks if (found := snapshot.network(each)) is not None]
    rows = [row for each in seen for row in _rows(each, wanted.overlaps, snapshot)]
    return page(rows, paging, "id", session.register.age(snapshot))


def _networks(tx: Tx, space: str, block: str, wanted: str | None, visibility: Visibility) -> list[str]:
    """Return the ids of a block's networks that are in sight, or the one that is wanted. Raises Missing."""
    found = tree.find_block(tx, tree.find_space(tx, space).id, block)
    ids = [each.facts.id for each in plan_networks.associated(tx, found) if visibility.sees(space, each.facts.id)]
    if wanted is None:
        return ids
    if key(wanted) not in map(key, ids):
        raise Missing(f"not in the block {block}: {wanted}", kind=objects.NETWORK, value=wanted)
    return [wanted]


def _rows(network: CloudNetwork, overlaps: Prefix | None, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    for subnet in network.subnets:
        if overlaps is None or any(prefix.overlaps(overlaps) for prefix in subnet.prefixes):
            yield _row(network, subnet, snapshot.taken)


def _row(network: CloudNetwork, subnet: CloudSubnet, seen_on: float) -> dict[str, Any]:
    return {
        "id": subnet.id,
        "name": subnet.name,
        "network": network.id,
        "network_name": network.name,
        "prefixes": [str(prefix) for prefix in subnet.prefixes],
        "size": sum(prefix.size for prefix in subnet.prefixes if prefix.family == 4),
        "size_ipv6": sum(prefix.size for prefix in subnet.prefixes if prefix.family == 6),
        "used": subnet.used,
        "kind": subnet.kind,
        "seen_on": seen_on,
    }
