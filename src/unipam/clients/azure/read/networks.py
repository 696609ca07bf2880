"""Rows about virtual networks and hubs, put together to the records that the register reads. Pure.

Both families are kept, every prefix of a subnet too. Source: spec azure-ipam-application §3.1 and §3.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from unipam.addr.prefix import Prefix, parse_interface
from unipam.clients.azure.read.queries import HubRow, PeeringRow, SubnetRow, VnetRow
from unipam.model.cloud import VHUB, VNET, CloudNetwork, CloudSubnet, Peering, key

KEPT_BY_AZURE = 5
"""Addresses of every subnet that Azure keeps for itself."""

KINDS = {"azurefirewallsubnet": "AFW", "gatewaysubnet": "VGW", "azurebastionsubnet": "BAS"}
APP_GATEWAY = "AGW"


def networks(
    vnets: Iterable[VnetRow], subnets: Iterable[SubnetRow], peerings: Iterable[PeeringRow], hubs: Iterable[HubRow]
) -> dict[str, CloudNetwork]:
    """Return every network by `key(id)`; a hub's connections are not in these rows."""
    inner: dict[str, list[CloudSubnet]] = {}
    for row in subnets:
        inner.setdefault(key(row.network_id), []).append(subnet(row))
    ends: dict[str, list[Peering]] = {}
    for end in peerings:
        ends.setdefault(key(end.network_id), []).append(_peering(end))
    found = [_vnet(row, tuple(inner.get(key(row.id), ())), tuple(ends.get(key(row.id), ()))) for row in vnets]
    return {key(network.id): network for network in [*found, *map(_hub, hubs)]}


def _vnet(row: VnetRow, subnets: tuple[CloudSubnet, ...], peerings: tuple[Peering, ...]) -> CloudNetwork:
    where = (row.resource_group, row.subscription, row.tenant)
    return CloudNetwork(row.id, row.name, VNET, prefixes(row.prefixes), *where, subnets, peerings, _tags(row.tags))


def _hub(row: HubRow) -> CloudNetwork:
    """Return a hub; its WAN's name is the end of the WAN's id."""
    return CloudNetwork(
        row.id,
        row.name,
        VHUB,
        prefixes([row.prefix] if row.prefix else None),
        row.resource_group,
        row.subscription,
        row.tenant,
        tags=_tags(row.tags),
        vwan_name=row.vwan_id.rpartition("/")[2] if row.vwan_id else None,
        vwan_id=row.vwan_id or None,
    )


def subnet(row: SubnetRow) -> CloudSubnet:
    """Return a subnet, whether Azure gives it one prefix or a list of them (README of the ARM fixtures, oddity 15)."""
    listed = row.prefixes or ([row.prefix] if row.prefix else [])
    name = row.name or row.id.rpartition("/")[2]
    kind = KINDS.get(name.lower()) or (APP_GATEWAY if row.gateway_count else None)
    return CloudSubnet(row.id, name, prefixes(listed), (row.used_count or 0) + KEPT_BY_AZURE, kind)


def _peering(row: PeeringRow) -> Peering:
    name = row.name or row.id.rpartition("/")[2]
    return Peering(name, row.remote_id or "", row.peering_state or "", prefixes(row.prefixes))


def prefixes(texts: Iterable[str] | None) -> tuple[Prefix, ...]:
    """Return the prefixes in what Azure says; what is none is left out, for it holds no address."""
    return tuple(prefix for text in texts or () if (prefix := _prefix(text)) is not None)


def _prefix(text: str) -> Prefix | None:
    try:
        return parse_interface(text)[1]
    except ValueError:
        return None


def _tags(tags: Mapping[str, str | None] | None) -> Mapping[str, str]:
    return MappingProxyType({name: value or "" for name, value in (tags or {}).items()})
