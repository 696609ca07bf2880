"""What Resource Graph is asked about everything that has an address in a network, and the rows that it answers with.

The rules of `queries` hold here too. One query covers all that is made of IP configurations: interfaces, firewalls,
bastions, gateways and load balancers.
"""

from __future__ import annotations

from typing import Any

import msgspec

from unipam.clients.azure.queries import COMMON, EXPANDED, Resource

NIC = "microsoft.network/networkinterfaces"
FIREWALL = "microsoft.network/azurefirewalls"
BASTION = "microsoft.network/bastionhosts"
GATEWAY = "microsoft.network/virtualnetworkgateways"
APP_GATEWAY = "microsoft.network/applicationgateways"
BALANCER = "microsoft.network/loadbalancers"


class Bgp(msgspec.Struct):
    """The addresses with which a gateway's IP configuration speaks BGP."""

    configuration: str = msgspec.field(default="", name="ipconfigurationId")
    addresses: list[str] = msgspec.field(default_factory=list, name="defaultBgpIpAddresses")


class ConfigurationRow(Resource):
    """One IP configuration of something; `type` in lower case."""

    type: str = ""
    configuration: str | None = None
    address: str | None = None
    method: str | None = None
    subnet: str | None = None
    public: str | None = None
    size: str | None = None
    sku: str | None = None
    gateway: str | None = None
    bgp: list[Bgp] | None = None
    endpoint: str | None = None
    group: str | None = None


CONFIGURATIONS = f"""
resources
| where type in~ ('{NIC}', '{FIREWALL}', '{BASTION}', '{GATEWAY}', '{APP_GATEWAY}', '{BALANCER}')
| extend frontends = type in~ ('{APP_GATEWAY}', '{BALANCER}')
| extend all = iff(frontends, properties.frontendIPConfigurations, properties.ipConfigurations)
| mv-expand one = all limit {EXPANDED}
| where isnotempty(one.id)
| extend is = one.properties
| project {COMMON}, type = tolower(type), configuration = tostring(one.id), address = is.privateIPAddress,
  method = is.privateIPAllocationMethod, subnet = is.subnet.id, public = is.publicIPAddress.id,
  size = coalesce(tostring(properties.sku.tier), tostring(sku.name)), sku = properties.sku.name,
  gateway = properties.gatewayType, bgp = properties.bgpSettings.bgpPeeringAddresses,
  endpoint = properties.privateEndpoint.id, group = is.privateLinkConnectionProperties.groupId
| order by id asc, configuration asc
"""


class PublicRow(msgspec.Struct):
    """A public address."""

    id: str
    address: str | None = None
    method: str | None = None


PUBLIC = """
resources
| where type =~ 'microsoft.network/publicipaddresses'
| project id, address = properties.ipAddress, method = properties.publicIPAllocationMethod
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
    """One IP configuration of an instance of a scale set; `machine` is the instance's id."""

    id: str = ""
    machine: str | None = None
    subscription: str = ""
    tenant: str = ""
    address: str | None = None
    subnet: str | None = None
    configuration: str | None = None


INSTANCES = f"""
computeresources
| where type =~ 'microsoft.compute/virtualmachinescalesets/virtualmachines/networkinterfaces'
| mv-expand one = properties.ipConfigurations limit {EXPANDED}
| where isnotempty(one.id)
| project id, machine = properties.virtualMachine.id, subscription = subscriptionId, tenant = tenantId,
  address = one.properties.privateIPAddress, subnet = one.properties.subnet.id, configuration = tostring(one.id)
| order by id asc, configuration asc
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

    addresses: list[str] | None = None
    public: list[str] | None = None
    subnet: str | None = None
    vnet_type: str | None = None


SERVICES = f"""
resources
| where type =~ 'microsoft.apimanagement/service'
| where properties.provisioningState =~ 'Succeeded' and isnotnull(properties.virtualNetworkConfiguration)
| project {COMMON}, addresses = properties.privateIPAddresses, public = properties.publicIPAddresses,
  subnet = properties.virtualNetworkConfiguration.subnetResourceId, vnet_type = properties.virtualNetworkType
| order by id asc
"""


class OwnerRow(Resource):
    """Something that a private endpoint leads to; one row for each connection."""

    endpoint: str | None = None


OWNERS = f"""
resources
| where array_length(properties.privateEndpointConnections) > 0
| mv-expand one = properties.privateEndpointConnections limit {EXPANDED}
| project {COMMON}, endpoint = tostring(one.properties.privateEndpoint.id)
| order by id asc, endpoint asc
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
    hub: str = ""
    sku: str | None = None
    address: str | None = None
    public: list[dict[str, str | None]] | None = None
    configurations: list[dict[str, Any]] | None = None


HUB_THINGS = f"""
resources
| where isnotempty(properties.virtualHub.id) and type !~ 'microsoft.network/virtualhubs'
| project {COMMON}, type = tolower(type), hub = properties.virtualHub.id, sku = properties.sku.name,
  address = properties.hubIPAddresses.privateIPAddress, public = properties.hubIPAddresses.publicIPs.addresses,
  configurations = properties.ipConfigurations
| order by id asc
"""
