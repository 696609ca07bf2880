"""What is seen of the cloud, in the shapes of the Azure IPAM application's hidden routes (spec §2.7)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from unipam.addr.prefix import Prefix
from unipam.dialects.azure_ipam.shapes import Shape
from unipam.plan.cloud.port import VHUB, VNET, Endpoint, Network, Snapshot, Subscription, key

Parents = Mapping[str, list[tuple[str, str]]]
"""Spaces and blocks by the (folded) id of the network associated with them."""

MULTI = ("pe", "df", "vm", "vmss", "fwvnet", "bastion", "vnetgw", "appgw", "apim", "lb", "vhub_ep")


def subscription(each: Subscription) -> Shape:
    """A subscription."""
    return {
        "name": each.name,
        "id": f"/subscriptions/{each.id}",
        "type": each.kind,
        "subscription_id": each.id,
        "mg_id": each.management_group,
        "mg_name": each.management_group_name,
        "tenant_id": each.tenant,
    }


def vnets(snapshot: Snapshot, parents: Parents) -> list[Shape]:
    """The virtual networks with their subnets."""
    return [_vnet(n, parents.get(key(n.id), [])) for n in snapshot.networks.values() if n.kind == VNET]


def _vnet(network: Network, parents: list[tuple[str, str]]) -> Shape:
    inner = [
        {"name": s.name, "prefix": str(p), "used": s.used, "size": p.size, "type": s.kind}
        for s in network.subnets
        for p in s.prefixes[:1]
    ]
    return {
        **_network(network),
        "subnets": inner,
        "peerings": _peerings(network, {}),
        "resv": ",".join(network.reservations) or None,
        "size": _size(network.prefixes),
        "used": sum(row["size"] for row in inner),
        **_parents(parents),
    }


def _network(network: Network) -> Shape:
    return {
        "name": network.name,
        "id": network.id,
        "prefixes": [str(prefix) for prefix in network.prefixes],
        "resource_group": network.resource_group,
        "subscription_id": network.subscription,
        "tenant_id": network.tenant,
    }


def _parents(parents: list[tuple[str, str]]) -> Shape:
    """The first space, and every block: one network may be in several (D7)."""
    return {
        "parent_space": parents[0][0] if parents else None,
        "parent_block": [block for _, block in parents] or None,
    }


def _size(prefixes: Collection[Prefix]) -> int:
    return sum(prefix.size for prefix in prefixes)


def _peerings(network: Network, hubs: Mapping[str, str]) -> list[Shape]:
    """The peerings; one with a hub's hidden transit network (``HV_<hub>_...``) leads to the hub itself."""
    return [{"name": p.name, "remote_network": _through(p.remote, hubs), "state": p.state} for p in network.peerings]


def _through(remote: str, hubs: Mapping[str, str]) -> str:
    name = remote.rpartition("/")[2]
    if name.lower().startswith("hv_"):
        hub = name[3:].rpartition("_")[0].lower()
        return hubs.get(hub, remote)
    return remote


def subnets(snapshot: Snapshot) -> list[Shape]:
    """One row for each subnet."""
    return [
        {
            "name": s.name,
            "id": s.id,
            "prefix": str(p),
            "resource_group": n.resource_group,
            "subscription_id": n.subscription,
            "tenant_id": n.tenant,
            "vnet_name": n.name,
            "vnet_id": n.id,
            "used": s.used,
            "size": p.size,
            "type": s.kind,
        }
        for n in snapshot.networks.values()
        for s in n.subnets
        for p in s.prefixes[:1]
    ]


def vhubs(snapshot: Snapshot, parents: Parents) -> list[Shape]:
    """The virtual hubs."""
    return [_vhub(n, parents.get(key(n.id), [])) for n in snapshot.networks.values() if n.kind == VHUB]


def _vhub(network: Network, parents: list[tuple[str, str]]) -> Shape:
    shape: dict[str, Any] = _network(network)
    prefixes = shape.pop("prefixes")
    return {
        **shape,
        "prefix": prefixes[0] if prefixes else None,
        "vwan_name": network.vwan_name,
        "vwan_id": network.vwan_id,
        "peerings": _peerings(network, {}),
        "resv": ",".join(network.reservations) or None,
        "size": _size(network.prefixes),
        "used": None,
        **_parents(parents),
    }


def networks(snapshot: Snapshot, parents: Parents) -> list[Shape]:
    """Virtual networks and hubs alike."""
    hubs = {n.name.lower(): n.id for n in snapshot.networks.values() if n.kind == VHUB}
    return [
        {
            **_network(n),
            "type": n.kind,
            "peerings": _peerings(n, hubs),
            "size": _size(n.prefixes),
            "used": None if n.kind == VHUB else sum(p.size for s in n.subnets for p in s.prefixes[:1]),
            **_parents(parents.get(key(n.id), [])),
        }
        for n in snapshot.networks.values()
    ]


def endpoints(snapshot: Snapshot, sources: Collection[str]) -> list[Shape]:
    """What has a private address, of these kinds."""
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
