"""Rows about what has an address in a network, put together to the records that the register reads. Pure.

`metadata` is worded as the Azure IPAM application does (spec §2.7). Names and ids of the network and the subnet come
out of the subnet's id, so that they are known even where the network itself cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from unipam.clients.azure.read import endpoint_queries as q
from unipam.clients.azure.read.queries import Resource
from unipam.model.cloud import Endpoint, key, subscription_of


class Rows(NamedTuple):
    """All rows that there are, of every subscription: what belongs together may be in different ones."""

    configurations: Sequence[q.ConfigurationRow] = ()
    public: Sequence[q.PublicRow] = ()
    machines: Sequence[q.MachineRow] = ()
    instances: Sequence[q.InstanceRow] = ()
    services: Sequence[q.ServiceRow] = ()
    owners: Sequence[q.OwnerRow] = ()
    factories: Sequence[q.OwnerRow] = ()
    hub_things: Sequence[q.HubThingRow] = ()


def endpoints(rows: Rows) -> list[Endpoint]:
    """Return everything with an address, of all kinds."""
    public = {key(row.id): row for row in rows.public}
    of_type: dict[str, list[q.ConfigurationRow]] = {}
    for row in rows.configurations:
        of_type.setdefault(row.type, []).append(row)
    interfaces = of_type.get(q.NIC, [])
    return [
        *_private_endpoints(interfaces, rows.owners, rows.factories),
        *_machines(rows.machines, interfaces, public),
        *map(_instance, rows.instances),
        *(_sized("fwvnet", "Firewall", row, public) for row in of_type.get(q.FIREWALL, []) if _in_vnet(row)),
        *(_sized("bastion", "Bastion", row, public) for row in of_type.get(q.BASTION, [])),
        *(_gateway(row, public) for row in of_type.get(q.GATEWAY, [])),
        *_app_gateways(of_type.get(q.APP_GATEWAY, []), public),
        *(_balancer(row, public) for row in of_type.get(q.BALANCER, [])),
        *(each for row in rows.services for each in _service(row)),
        *(each for row in rows.hub_things for each in _hub_thing(row)),
    ]


def _endpoint(
    source: str, row: Resource, address: str | None, subnet: str | None, metadata: Mapping[str, Any]
) -> Endpoint:
    network, _, name = (subnet or "").partition("/subnets/")
    return Endpoint(
        source,
        row.id,
        row.name,
        address or None,
        row.resource_group,
        row.subscription,
        row.tenant,
        network.rpartition("/")[2] or None,
        network or None,
        name or None,
        subnet or None,
        metadata,
    )


Public = Mapping[str, q.PublicRow]


def _methods(row: q.ConfigurationRow, public: Public) -> dict[str, Any]:
    """Return what several kinds tell of an IP configuration: its public address, and how both were chosen."""
    there = public.get(key(row.public_id or ""))
    return {
        "public_ip": there.ip_address if there else None,
        "public_ip_id": row.public_id or None,
        "private_ip_alloc_method": row.alloc_method,
        "public_ip_alloc_method": there.alloc_method if there else None,
    }


def _in_vnet(row: q.ConfigurationRow) -> bool:
    return (row.sku_name or "").lower() == "azfw_vnet"


def _sized(source: str, kind: str, row: q.ConfigurationRow, public: Public) -> Endpoint:
    metadata = {"kind": kind, "size": row.size, **_methods(row, public)}
    return _endpoint(source, row, row.private_ip, row.subnet_id, metadata)


def _gateway(row: q.ConfigurationRow, public: Public) -> Endpoint:
    """Return a gateway's configuration; the address that shows is the one with which it speaks BGP."""
    bgp = {key(each.configuration_id): each.addresses for each in row.bgp_peers or ()}
    addresses = bgp.get(key(row.configuration_id or "")) or ()
    metadata = {"kind": "Virtual Network Gateway", "type": row.gateway_type, **_methods(row, public)}
    return _endpoint("vnetgw", row, addresses[0] if addresses else None, row.subnet_id, metadata)


def _app_gateways(rows: Iterable[q.ConfigurationRow], public: Public) -> list[Endpoint]:
    """Return the private frontends of application gateways, each with the public address of the same gateway."""
    rows = list(rows)
    outside = {key(row.id): row for row in rows if row.public_id}
    found = []
    for row in rows:
        if row.private_ip:
            there = _methods(outside.get(key(row.id), row), public)
            there["private_ip_alloc_method"] = row.alloc_method
            metadata = {"kind": "Application Gateway", "size": row.size, **there}
            found.append(_endpoint("appgw", row, row.private_ip, row.subnet_id, metadata))
    return found


def _balancer(row: q.ConfigurationRow, public: Public) -> Endpoint:
    kind = "Private" if row.private_ip else "Public"
    metadata = {"kind": "Load Balancer", "type": kind, **_methods(row, public)}
    return _endpoint("lb", row, row.private_ip, row.subnet_id, metadata)


def _machines(
    machines: Iterable[q.MachineRow], interfaces: Iterable[q.ConfigurationRow], public: Public
) -> list[Endpoint]:
    """Return machines, a row for each address; one whose interfaces cannot be read has a row without."""
    by_interface: dict[str, list[q.ConfigurationRow]] = {}
    for row in interfaces:
        by_interface.setdefault(key(row.id), []).append(row)
    found = []
    for machine in machines:
        for reference in machine.interfaces or ():
            for row in by_interface.get(key(reference.id)) or [q.ConfigurationRow()]:
                there = {"nic_id": reference.id, **_methods(row, public)}
                metadata = {"kind": "Virtual Machine", "size": machine.size, **there}
                found.append(_endpoint("vm", machine, row.private_ip, row.subnet_id, metadata))
    return found


def _instance(row: q.InstanceRow) -> Endpoint:
    """Return an instance of a scale set; everything but its address is in its id."""
    instance = row.machine_id or row.id.partition("/networkInterfaces/")[0]
    set_id, _, number = instance.partition("/virtualMachines/")
    name, parts = set_id.rpartition("/")[2], instance.split("/")
    group = parts[4] if len(parts) > 4 else ""
    made = Resource(instance, f"{name}_{number}", group, row.subscription or subscription_of(instance), row.tenant)
    metadata = {"kind": "VM Scale Set", "vmss_name": name, "vmss_vm_num": number, "vmss_id": set_id}
    return _endpoint("vmss", made, row.private_ip, row.subnet_id, metadata)


def _service(row: q.ServiceRow) -> list[Endpoint]:
    """Return an API Management service: each private address with the public one in the same place of its list."""
    pairs = list(zip_longest(row.private_ips or (), row.public_ips or ())) or [(None, None)]
    return [
        _endpoint("apim", row, a, row.subnet_id, {"kind": "API Management", "vnet_type": row.vnet_type, "public_ip": p})
        for a, p in pairs
    ]


def _private_endpoints(
    interfaces: Iterable[q.ConfigurationRow], owners: Iterable[q.OwnerRow], factories: Iterable[q.OwnerRow]
) -> list[Endpoint]:
    """Return private endpoints under the name of what they lead to; without a visible target one is orphaned."""
    led: dict[str, list[tuple[str, Resource]]] = {}
    for source, rows in (("pe", owners), ("df", factories)):
        for owner in rows:
            led.setdefault(key(owner.endpoint_id or ""), []).append((source, owner))
    found: list[Endpoint] = []
    for row in interfaces:
        if row.endpoint_id:
            known = led.get(key(row.endpoint_id), [])
            said = {
                "kind": "Private Endpoint",
                "group_id": row.group_id,
                "pe_id": row.endpoint_id,
                "orphaned": not known,
            }
            alone = Resource(row.endpoint_id, row.name, row.resource_group, row.subscription, row.tenant)
            found += [_endpoint(s, owner, row.private_ip, row.subnet_id, said) for s, owner in known or [("pe", alone)]]
    return found


_HUB_GATEWAYS = {
    "microsoft.network/vpngateways": "vHub VPN Gateway",
    "microsoft.network/expressroutegateways": "vHub ExpressRoute Gateway",
    "microsoft.network/p2svpngateways": "vHub Point-to-Site Gateway",
}


def _hub_thing(row: q.HubThingRow) -> list[Endpoint]:
    """Return a firewall with its one address, or a gateway with one a configuration. The hub is its network."""
    if row.type == q.FIREWALL:
        public = [each.get("address") for each in row.public_ips or ()]
        return [_in_hub(row, row.private_ip, {"kind": "vHub Firewall", "sku": row.sku_name, "public_ip": public})]
    kind = {"kind": _HUB_GATEWAYS[row.type]} if row.type in _HUB_GATEWAYS else {}
    listed = [{name.lower(): value for name, value in each.items()} for each in row.configurations or ()]
    found = [(each.get("privateipaddress"), each.get("publicipaddress")) for each in listed]
    return [_in_hub(row, a, {**kind, "public_ip": p} if p else kind) for a, p in found or [(None, None)]]


def _in_hub(row: q.HubThingRow, address: str | None, metadata: Mapping[str, Any]) -> Endpoint:
    inside = _endpoint("vhub_ep", row, address, None, metadata)
    return inside._replace(vnet_name=row.hub_id.rpartition("/")[2] or None, vnet_id=row.hub_id or None)
