"""What Resource Graph is asked, and the rows that it answers with. No meaning is given to them here.

Each query gives flat rows of what is needed and no more, which are put together in Python: joins inside Resource Graph
are few, cut off lists silently, and compare ids by letter case. `id` is in every row, for without it there is no next
page; the order makes pages fit together. Lists inside a resource are expanded to `EXPANDED` rows at most (the service's
limit; its default of 128 is how the Azure IPAM application loses subnets, its issue 311).
"""

from __future__ import annotations

import msgspec

EXPANDED = 2000

COMMON = "id, name, resource_group = resourceGroup, subscription = subscriptionId, tenant = tenantId"
"""The columns of a `Resource`."""


class Resource(msgspec.Struct):
    """What every resource has. Text that is not there is empty."""

    id: str = ""
    name: str = ""
    resource_group: str = ""
    subscription: str = ""
    tenant: str = ""


class GroupRow(msgspec.Struct):
    """A subscription's management group."""

    subscription: str
    management_group: str | None = None
    management_group_name: str | None = None


GROUPS = """
resourcecontainers
| where type =~ 'microsoft.resources/subscriptions'
| extend above = properties.managementGroupAncestorsChain[0]
| project id, subscription = subscriptionId, management_group = above.name,
  management_group_name = above.displayName
| order by id asc
"""


class VnetRow(Resource):
    """A virtual network; `subnet_count` is how many subnets it has."""

    tags: dict[str, str | None] | None = None
    prefixes: list[str] | None = None
    subnet_count: int | None = None


VNETS = f"""
resources
| where type =~ 'microsoft.network/virtualnetworks'
| project {COMMON}, tags, prefixes = properties.addressSpace.addressPrefixes,
  subnet_count = array_length(properties.subnets)
| order by id asc
"""


class SubnetRow(msgspec.Struct):
    """A subnet; how many IP configurations it has, and how many are of application gateways."""

    id: str
    network_id: str = ""
    name: str | None = ""
    prefix: str | None = ""
    prefixes: list[str] | None = None
    used_count: int | None = None
    gateway_count: int | None = None


SUBNETS = f"""
resources
| where type =~ 'microsoft.network/virtualnetworks'
| mv-expand subnet = properties.subnets limit {EXPANDED}
| where isnotempty(subnet.id)
| project id = tostring(subnet.id), network_id = id, name = subnet.name, prefix = subnet.properties.addressPrefix,
  prefixes = subnet.properties.addressPrefixes, used_count = array_length(subnet.properties.ipConfigurations),
  gateway_count = array_length(subnet.properties.applicationGatewayIPConfigurations)
| order by id asc
"""


class PeeringRow(msgspec.Struct):
    """One end of a peering; `network_id` is the virtual network at this end, `remote_id` the one at the other."""

    id: str
    network_id: str = ""
    name: str | None = ""
    remote_id: str | None = ""
    peering_state: str | None = ""
    prefixes: list[str] | None = None


PEERINGS = f"""
resources
| where type =~ 'microsoft.network/virtualnetworks'
| mv-expand peering = properties.virtualNetworkPeerings limit {EXPANDED}
| where isnotempty(peering.id)
| extend far = peering.properties
| project id = tostring(peering.id), network_id = id, name = peering.name, remote_id = far.remoteVirtualNetwork.id,
  peering_state = far.peeringState,
  prefixes = coalesce(far.remoteVirtualNetworkAddressSpace.addressPrefixes, far.remoteAddressSpace.addressPrefixes)
| order by id asc
"""


class HubRow(Resource):
    """A virtual hub; `vwan_id` is its virtual WAN."""

    tags: dict[str, str | None] | None = None
    prefix: str | None = None
    vwan_id: str | None = None


HUBS = f"""
resources
| where type =~ 'microsoft.network/virtualhubs' and isempty(kind)
| project {COMMON}, tags, prefix = properties.addressPrefix, vwan_id = properties.virtualWan.id
| order by id asc
"""
