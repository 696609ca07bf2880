"""What Resource Graph is asked about everything that has an address in a network, and the rows that it answers with.

The rules of `queries` hold here too. One query covers all that is made of IP configurations: interfaces, firewalls,
bastions, gateways and load balancers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from unipam.clients.azure.read.queries import COMMON, EXPANDED, Resource

NIC = "microsoft.network/networkinterfaces"
FIREWALL = "microsoft.network/azurefirewalls"
BASTION = "microsoft.network/bastionhosts"
GATEWAY = "microsoft.network/virtualnetworkgateways"
APP_GATEWAY = "microsoft.network/applicationgateways"
BALANCER = "microsoft.network/loadbalancers"


class Bgp(msgspec.Struct):
    """The addresses with which a gateway's IP configuration speaks BGP."""

    configuration_id: str = msgspec.field(default="", name="ipconfigurationId")
    addresses: list[str] | None = msgspec.field(default=None, name="defaultBgpIpAddresses")


class ConfigurationRow(Resource):
    """One IP configuration of something; `type` in lower case."""

    type: str = ""
    configuration_id: str | None = None
    private_ip: str | None = None
    alloc_method: str | None = None
    subnet_id: str | None = None
    public_id: str | None = None
    size: str | None = None
    sku_name: str | None = None
    gateway_type: str | None = None
    bgp_peers: list[Bgp] | None = None
    endpoint_id: str | None = None
    group_id: str | None = None


CONFIGURATIONS = f"""
resources
| where type in~ ('{NIC}', '{FIREWALL}', '{BASTION}', '{GATEWAY}', '{APP_GATEWAY}', '{BALANCER}')
| extend has_frontends = type in~ ('{APP_GATEWAY}', '{BALANCER}')
| extend configurations = iff(has_frontends, properties.frontendIPConfigurations, properties.ipConfigurations)
| mv-expand item = configurations limit {EXPANDED}
| where isnotempty(item.id)
| extend facts = item.properties
| project {COMMON}, type = tolower(type), configuration_id = tostring(item.id), private_ip = facts.privateIPAddress,
  alloc_method = facts.privateIPAllocationMethod, subnet_id = facts.subnet.id, public_id = facts.publicIPAddress.id,
  size = coalesce(tostring(properties.sku.tier), tostring(sku.name)), sku_name = properties.sku.name,
  gateway_type = properties.gatewayType, bgp_peers = properties.bgpSettings.bgpPeeringAddresses,
  endpoint_id = properties.privateEndpoint.id, group_id = facts.privateLinkConnectionProperties.groupId
| order by id asc, configuration_id asc
"""


class PublicRow(msgspec.Struct):
    """A public address."""

    id: str
    ip_address: str | None = None
    alloc_method: str | None = None


PUBLIC = """
resources
| where type =~ 'microsoft.network/publicipaddresses'
| project id, ip_address = properties.ipAddress, alloc_method = properties.publicIPAllocationMethod
| order by id asc
"""


class Reference(msgspec.Struct):
    """Something named by its id."""

    id: str = ""


class MachineRow(Resource):
    """A virtual machine."""

    size: str | None = None
    interfaces: list[Reference] | None = None


MACHINES = f"""
resources
| where type =~ 'microsoft.compute/virtualmachines'
| project {COMMON}, size = properties.hardwareProfile.vmSize, interfaces = properties.networkProfile.networkInterfaces
| order by id asc
"""


class InstanceRow(msgspec.Struct):
    """One IP configuration of an instance of a scale set; `machine_id` is the instance's."""

    id: str = ""
    machine_id: str | None = None
    subscription: str = ""
    tenant: str = ""
    private_ip: str | None = None
    subnet_id: str | None = None
    configuration_id: str | None = None


INSTANCES = f"""
computeresources
| where type =~ 'microsoft.compute/virtualmachinescalesets/virtualmachines/networkinterfaces'
| mv-expand item = properties.ipConfigurations limit {EXPANDED}
| where isnotempty(item.id)
| project id, machine_id = properties.virtualMachine.id, subscription = subscriptionId, tenant = tenantId,
  private_ip = item.properties.privateIPAddress, subnet_id = item.properties.subnet.id,
  configuration_id = tostring(item.id)
| order by id asc, configuration_id asc
"""

SCALE_SETS = f"""
resources
| where type =~ 'microsoft.compute/virtualmachinescalesets'
| project {COMMON}
| order by id asc
"""
"""For clouds whose Resource Graph knows no instances: the sets, whose interfaces the Resource Manager lists."""


class ServiceRow(Resource):
    """An API Management service inside a network."""

    private_ips: list[str] | None = None
    public_ips: list[str] | None = None
    subnet_id: str | None = None
    vnet_type: str | None = None


SERVICES = f"""
resources
| where type =~ 'microsoft.apimanagement/service'
| where properties.provisioningState =~ 'Succeeded' and isnotnull(properties.virtualNetworkConfiguration)
| project {COMMON}, private_ips = properties.privateIPAddresses, public_ips = properties.publicIPAddresses,
  subnet_id = properties.virtualNetworkConfiguration.subnetResourceId, vnet_type = properties.virtualNetworkType
| order by id asc
"""


class OwnerRow(Resource):
    """Something that a private endpoint leads to; one row for each connection."""

    endpoint_id: str | None = None


OWNERS = f"""
resources
| where array_length(properties.privateEndpointConnections) > 0
| mv-expand item = properties.privateEndpointConnections limit {EXPANDED}
| project {COMMON}, endpoint_id = tostring(item.properties.privateEndpoint.id)
| order by id asc, endpoint_id asc
"""

FACTORIES = f"""
resources
| where type =~ 'microsoft.datafactory/factories'
| project {COMMON}
| order by id asc
"""
"""Data factories do not show their connections in Resource Graph; the Resource Manager lists them."""


class HubThingRow(Resource):
    """A firewall or gateway inside a virtual hub; `configurations` as the resource has them."""

    type: str = ""
    hub_id: str = ""
    sku_name: str | None = None
    private_ip: str | None = None
    public_ips: list[dict[str, str | None]] | None = None
    configurations: list[dict[str, Any]] | None = None


HUB_THINGS = f"""
resources
| where isnotempty(properties.virtualHub.id) and type !~ 'microsoft.network/virtualhubs'
| project {COMMON}, type = tolower(type), hub_id = properties.virtualHub.id, sku_name = properties.sku.name,
  private_ip = properties.hubIPAddresses.privateIPAddress, public_ips = properties.hubIPAddresses.publicIPs.addresses,
  configurations = properties.ipConfigurations
| order by id asc
"""
