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
    group: str | None = None
    group_name: str | None = None


GROUPS = """
resourcecontainers
| where type =~ 'microsoft.resources/subscriptions'
| extend parent = properties.managementGroupAncestorsChain[0]
| project id, subscription = subscriptionId, group = parent.name, group_name = parent.displayName
| order by id asc
"""


class VnetRow(Resource):
    """A virtual network; `subnets` is how many it has."""

    tags: dict[str, str | None] | None = None
    prefixes: list[str] | None = None
    subnets: int | None = None


VNETS = f"""
resources
| where type =~ 'microsoft.network/virtualnetworks'
| project {COMMON}, tags, prefixes = properties.addressSpace.addressPrefixes, subnets = array_length(properties.subnets)
| order by id asc
"""


class SubnetRow(msgspec.Struct):
    """A subnet; `network` is the id of its virtual network, `used` and `gateways` count its configurations."""

    id: str
    network: str = ""
    name: str | None = ""
    prefix: str | None = ""
    prefixes: list[str] | None = None
    used: int | None = None
    gateways: int | None = None


SUBNETS = f"""
resources
| where type =~ 'microsoft.network/virtualnetworks'
| mv-expand subnet = properties.subnets limit {EXPANDED}
| where isnotempty(subnet.id)
| project id = tostring(subnet.id), network = id, name = subnet.name, prefix = subnet.properties.addressPrefix,
  prefixes = subnet.properties.addressPrefixes, used = array_length(subnet.properties.ipConfigurations),
  gateways = array_length(subnet.properties.applicationGatewayIPConfigurations)
| order by id asc
"""


class PeeringRow(msgspec.Struct):
    """One end of a peering; `network` is the id of the virtual network at this end, `remote` of that at the other."""

    id: str
    network: str = ""
    name: str | None = ""
    remote: str | None = ""
    state: str | None = ""
    prefixes: list[str] | None = None


PEERINGS = f"""
resources
| where type =~ 'microsoft.network/virtualnetworks'
| mv-expand peering = properties.virtualNetworkPeerings limit {EXPANDED}
| where isnotempty(peering.id)
| extend far = peering.properties
| project id = tostring(peering.id), network = id, name = peering.name, remote = far.remoteVirtualNetwork.id,
  state = far.peeringState,
  prefixes = coalesce(far.remoteVirtualNetworkAddressSpace.addressPrefixes, far.remoteAddressSpace.addressPrefixes)
| order by id asc
"""


class HubRow(Resource):
    """A virtual hub; `wan` is the id of its virtual WAN."""

    tags: dict[str, str | None] | None = None
    prefix: str | None = None
    wan: str | None = None


HUBS = f"""
resources
| where type =~ 'microsoft.network/virtualhubs' and isempty(kind)
| project {COMMON}, tags, prefix = properties.addressPrefix, wan = properties.virtualWan.id
| order by id asc
"""
