"""What is seen of the cloud, in the shapes of the Azure IPAM application's hidden routes (spec §2.7).

Only IPv4 is shown and counted, as there (spec §3.2).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType

from unipam.addr.prefix import Prefix
from unipam.dialects.azure_ipam.shapes import Shape, first_of, of_family, size_of
from unipam.model.cloud import VHUB, VNET, CloudNetwork, CloudSubnet, Endpoint, Snapshot, Subscription, key

Parents = Mapping[str, list[tuple[str, str]]]
"""Spaces and blocks by the (folded) id of the network associated with them."""

MULTI = ("pe", "df", "vm", "vmss", "fwvnet", "bastion", "vnetgw", "appgw", "apim", "lb", "vhub_ep")


def subscription(each: Subscription) -> Shape:
    """Shape a subscription."""
    return {
        "name": each.name,
        "id": f"/subscriptions/{each.id}",
        "type": each.kind,
        "subscription_id": each.id,
        "mg_id": each.management_group,
        "mg_name": each.management_group_name,
        "tenant_id": each.tenant,
    }


Hubs = Mapping[str, str]
"""Ids of hubs by their (lower case) names: where peerings with their transit networks lead."""

_UNRESOLVED: Hubs = MappingProxyType({})


def vnets(snapshot: Snapshot, parents: Parents) -> list[Shape]:
    """Return the virtual networks with their subnets."""
    return [_vnet(n, parents) for n in _of_kind(snapshot, VNET)]


def vhubs(snapshot: Snapshot, parents: Parents) -> list[Shape]:
    """Return the virtual hubs."""
    rows = [_vhub(n, parents) for n in _of_kind(snapshot, VHUB)]
    for row in rows:
        prefixes = row.pop("prefixes")
        row["prefix"] = prefixes[0] if prefixes else None
    return rows


def networks(snapshot: Snapshot, parents: Parents) -> list[Shape]:
    """Return the rows of virtual networks, then those of hubs, each with its type; a hub has `prefixes` too."""
    hubs = {n.name.lower(): n.id for n in _of_kind(snapshot, VHUB)}
    return [
        *({**_vnet(n, parents, hubs), "type": VNET} for n in _of_kind(snapshot, VNET)),
        *({**_vhub(n, parents), "type": VHUB} for n in _of_kind(snapshot, VHUB)),
    ]


def subnets(snapshot: Snapshot) -> list[Shape]:
    """Return one row for each subnet."""
    return [
        {
            **_subnet(s, p),
            "id": s.id,
            "resource_group": n.resource_group,
            "subscription_id": n.subscription,
            "tenant_id": n.tenant,
            "vnet_name": n.name,
            "vnet_id": n.id,
        }
        for n in snapshot.networks.values()
        for s, p in _subnets(n)
    ]


def _of_kind(snapshot: Snapshot, kind: str) -> list[CloudNetwork]:
    return [n for n in snapshot.networks.values() if n.kind == kind]


def _vnet(network: CloudNetwork, parents: Parents, hubs: Hubs = _UNRESOLVED) -> Shape:
    inner = [_subnet(s, p) for s, p in _subnets(network)]
    used = sum(row["size"] for row in inner)
    return {**_network(network, hubs), "subnets": inner, "used": used, **_parents(network, parents)}


def _vhub(network: CloudNetwork, parents: Parents) -> Shape:
    wan = {"vwan_name": network.vwan_name, "vwan_id": network.vwan_id}
    return {**_network(network, _UNRESOLVED), **wan, "used": None, **_parents(network, parents)}


def _subnets(network: CloudNetwork) -> Iterator[tuple[CloudSubnet, Prefix]]:
    """Yield the subnets with the one prefix that is shown of each."""
    for subnet in network.subnets:
        prefix = first_of(subnet.prefixes)
        if prefix is not None:
            yield subnet, prefix


def _subnet(subnet: CloudSubnet, prefix: Prefix) -> Shape:
    return {
        "name": subnet.name, "prefix": str(prefix), "used": subnet.used, "size": prefix.size, "type": subnet.kind,
    }  # fmt: skip


def _network(network: CloudNetwork, hubs: Hubs) -> Shape:
    """Shape what the rows of virtual networks and of hubs have in common."""
    return {
        "name": network.name,
        "id": network.id,
        "prefixes": [str(prefix) for prefix in of_family(network.prefixes)],
        "resource_group": network.resource_group,
        "subscription_id": network.subscription,
        "tenant_id": network.tenant,
        "peerings": _peerings(network, hubs),
        "resv": ",".join(network.reservations) or None,
        "size": size_of(network.prefixes),
    }


def _parents(network: CloudNetwork, parents: Parents) -> Shape:
    """Shape the parents: the first space, and every block, since one network may be in several (D7)."""
    found = parents.get(key(network.id), [])
    return {
        "parent_space": found[0][0] if found else None,
        "parent_block": [block for _, block in found] or None,
    }


def _peerings(network: CloudNetwork, hubs: Hubs) -> list[Shape]:
    """Shape the peerings; one with a hub's hidden transit network (`HV_<hub>_...`) leads to the hub itself."""
    return [{"name": p.name, "remote_network": _through(p.remote, hubs), "state": p.state} for p in network.peerings]


def _through(remote: str, hubs: Hubs) -> str:
    name = remote.rpartition("/")[2]
    if name.lower().startswith("hv_"):
        hub = name[3:].rpartition("_")[0].lower()
        return hubs.get(hub, remote)
    return remote


def endpoints(snapshot: Snapshot, sources: Collection[str]) -> list[Shape]:
    """Shape what has a private address, of these kinds."""
    return [_endpoint(each) for each in snapshot.endpoints if each.source in sources]


def _endpoint(each: Endpoint) -> Shape:
    return {
        "name": each.name,
        "id": each.id,
        "private_ip": each.private_ip,
        "resource_group": each.resource_group,
        "subscription_id": each.subscription,
        "tenant_id": each.tenant,
        "vnet_name": each.vnet_name,
        "vnet_id": each.vnet_id,
        "subnet_name": each.subnet_name,
        "subnet_id": each.subnet_id,
        "metadata": dict(each.metadata),
    }
