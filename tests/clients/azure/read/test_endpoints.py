"""Everything with an address in a network, in the shapes in which Azure keeps it, through a whole look at Azure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from tests.clients.azure.conftest import HandedToken, SetClock
from tests.fakes.azure import FakeAzure, resource_id

from unipam.clients.azure.read.reader import Reader
from unipam.clients.azure.settings import Settings
from unipam.model.cloud import Endpoint, Snapshot


class World:
    """A subscription with one virtual network, and a way to look at it."""

    def __init__(self, fake: FakeAzure, reader: Reader) -> None:
        self.fake = fake
        self.reader = reader
        self.subscription = fake.subscribe()
        self.vnet = fake.vnet(self.subscription, "v1", "10.0.0.0/16", subnets={"a": "10.0.0.0/24"})
        self.subnet = f"{self.vnet}/subnets/a"

    def id(self, what: str) -> str:
        return resource_id(self.subscription, what)

    def network(self, kind: str, name: str, properties: dict[str, Any], **fields: Any) -> str:
        return self.fake.arm.put(self.id(f"Microsoft.Network/{kind}/{name}"), properties, **fields)

    def public(self, name: str, address: str) -> str:
        return self.network("publicIPAddresses", name, {"ipAddress": address, "publicIPAllocationMethod": "Static"})

    def configuration(self, owner: str, name: str, address: str | None, **facts: Any) -> dict[str, Any]:
        where = {"privateIPAddress": address, "privateIPAllocationMethod": "Dynamic", "subnet": {"id": self.subnet}}
        said = {key: value for key, value in (where | facts).items() if value is not None}
        return {"id": f"{self.id(owner)}/ipConfigurations/{name}", "name": name, "properties": said}

    def look(self, *sources: str) -> list[Endpoint]:
        snapshot = self.reader.read(Snapshot())
        assert snapshot.problems == ()
        return [each for each in snapshot.endpoints if not sources or each.source in sources]


@pytest.fixture
def world(fake: FakeAzure, settings: Settings, clock: SetClock) -> Iterator[World]:
    token = HandedToken(fake.entra.token(fake.base, fake.entra.principal))
    with closing(Reader(settings, token, clock.time)) as reader:
        yield World(fake, reader)


def in_subnet(each: Endpoint, world: World) -> bool:
    return (each.vnet_name, each.vnet_id, each.subnet_name, each.subnet_id) == ("v1", world.vnet, "a", world.subnet)


METHODS = {
    "public_ip": "20.0.0.1",
    "private_ip_alloc_method": "Dynamic",
    "public_ip_alloc_method": "Static",
}


def test_machines_with_each_of_their_addresses(world: World) -> None:
    public = world.public("p1", "20.0.0.1")
    nic = world.id("Microsoft.Network/networkInterfaces/nic1")
    first = world.configuration("x", "c1", "10.0.0.4", publicIPAddress={"id": public.upper()})
    second = world.configuration("x", "c2", "10.0.0.16/28")
    world.network("networkInterfaces", "nic1", {"ipConfigurations": [first, second]})
    machine = world.id("Microsoft.Compute/virtualMachines/vm1")
    interfaces = [{"id": nic.upper()}, {"id": world.id("Microsoft.Network/networkInterfaces/unseen")}]
    properties = {"hardwareProfile": {"vmSize": "Standard_D2"}, "networkProfile": {"networkInterfaces": interfaces}}
    world.fake.arm.put(machine, properties)
    found = world.look("vm")
    assert [(e.id, e.name, e.private_ip) for e in found] == [
        (machine, "vm1", "10.0.0.4"), (machine, "vm1", "10.0.0.16/28"), (machine, "vm1", None),
    ]  # fmt: skip
    assert dict(found[0].metadata) == {
        "kind": "Virtual Machine", "size": "Standard_D2", "nic_id": nic.upper(), "public_ip_id": public.upper(),
        **METHODS,
    }  # fmt: skip
    assert in_subnet(found[0], world)
    assert found[2].vnet_id is None


def test_private_endpoints_go_by_what_they_lead_to(world: World) -> None:
    other = world.fake.subscribe("elsewhere")
    vault = resource_id(other, "Microsoft.KeyVault/vaults/kv1", "rg2")
    endpoints = {name: world.id(f"Microsoft.Network/privateEndpoints/{name}") for name in ("pe1", "pe2", "pe3")}
    for number, (name, endpoint) in enumerate(endpoints.items()):
        made = world.configuration("x", name, f"10.0.0.{number + 4}")
        made["properties"]["privateLinkConnectionProperties"] = {"groupId": f"group{number}"}
        properties = {"privateEndpoint": {"id": endpoint}, "ipConfigurations": [made]}
        world.network("networkInterfaces", f"{name}.nic", properties)
    connection = {"properties": {"privateEndpoint": {"id": endpoints["pe1"].upper()}}}
    world.fake.arm.put(vault, {"privateEndpointConnections": [connection]})
    factory = world.fake.arm.put(world.id("Microsoft.DataFactory/factories/df1"), {"privateEndpointConnections": []})
    world.fake.arm.put(f"{factory}/privateEndPointConnections/c1", {"privateEndpoint": {"id": endpoints["pe3"]}})
    found = {e.private_ip: e for e in world.look("pe", "df")}
    led, alone, factorys = found["10.0.0.4"], found["10.0.0.5"], found["10.0.0.6"]
    assert (led.source, led.name, led.id, led.resource_group, led.subscription) == ("pe", "kv1", vault, "rg2", other)
    assert dict(led.metadata) == {
        "kind": "Private Endpoint", "group_id": "group0", "pe_id": endpoints["pe1"], "orphaned": False,
    }  # fmt: skip
    assert (alone.source, alone.name, alone.id) == ("pe", "pe2.nic", endpoints["pe2"])
    assert alone.metadata["orphaned"] is True
    assert (factorys.source, factorys.name, factorys.id) == ("df", "df1", factory)
    assert factorys.metadata["orphaned"] is False
    assert len(found) == 3
    assert in_subnet(led, world)


def _instances(world: World) -> str:
    owner = world.id("Microsoft.Compute/virtualMachineScaleSets/vmss1")
    world.fake.arm.put(owner, {})
    for number in ("0", "12"):
        instance = f"{owner}/virtualMachines/{number}"
        made = world.configuration("x", "ip1", f"10.0.0.{int(number) + 20}")
        properties = {"ipConfigurations": [made], "virtualMachine": {"id": instance}}
        world.fake.arm.put(f"{instance}/networkInterfaces/nic1", properties)
    return owner


def _check_instances(world: World, owner: str, found: list[Endpoint]) -> None:
    assert [(e.name, e.id, e.private_ip) for e in found] == [
        ("vmss1_0", f"{owner}/virtualMachines/0", "10.0.0.20"),
        ("vmss1_12", f"{owner}/virtualMachines/12", "10.0.0.32"),
    ]  # fmt: skip
    assert (found[1].resource_group, found[1].subscription) == ("rg1", world.subscription)
    assert found[1].tenant == world.fake.entra.tenant
    assert dict(found[1].metadata) == {
        "kind": "VM Scale Set", "vmss_name": "vmss1", "vmss_vm_num": "12", "vmss_id": owner,
    }  # fmt: skip
    assert all(in_subnet(each, world) for each in found)


def test_instances_of_scale_sets(world: World) -> None:
    _check_instances(world, _instances(world), world.look("vmss"))
    assert not world.fake.asked("vmss1/networkInterfaces")


def test_instances_of_scale_sets_where_resource_graph_has_none(
    world: World, settings: Settings, clock: SetClock
) -> None:
    owner = _instances(world)
    world.fake.arm.page = 1
    token = HandedToken(world.fake.entra.token(world.fake.base, world.fake.entra.principal))
    with closing(Reader(settings._replace(environment="AZURE_US_GOV"), token, clock.time)) as world.reader:
        _check_instances(world, owner, world.look("vmss"))
    assert len(world.fake.asked("vmss1/networkInterfaces")) == 2
    assert not world.fake.asked("computeresources")


def test_firewalls_bastions_and_their_public_addresses(world: World) -> None:
    public = {"id": world.public("p1", "20.0.0.1")}
    for name, sku in (("fw1", "AZFW_VNet"), ("inhub", "AZFW_Hub")):
        made = world.configuration("x", name, "10.0.0.68", publicIPAddress=public)
        world.network("azureFirewalls", name, {"sku": {"name": sku, "tier": "Standard"}, "ipConfigurations": [made]})
    made = world.configuration("x", "b", None, publicIPAddress=public)
    world.network("bastionHosts", "b1", {"ipConfigurations": [made]}, sku={"name": "Basic"})
    found = {e.name: e for e in world.look("fwvnet", "bastion")}
    assert found.keys() == {"fw1", "b1"}
    said = {"public_ip_id": public["id"], **METHODS}
    assert dict(found["fw1"].metadata) == {"kind": "Firewall", "size": "Standard", **said}
    assert dict(found["b1"].metadata) == {"kind": "Bastion", "size": "Basic", **said}
    assert (found["fw1"].private_ip, found["b1"].private_ip) == ("10.0.0.68", None)
    assert in_subnet(found["b1"], world)


def test_gateways_show_the_address_of_each_of_their_configurations(world: World) -> None:
    one, two = (world.configuration("gw", name, None) for name in ("one", "two"))
    peers = [{"ipconfigurationId": two["id"].upper(), "defaultBgpIpAddresses": ["10.0.0.37", "10.0.0.38"]}]
    properties = {"gatewayType": "Vpn", "ipConfigurations": [one, two], "bgpSettings": {"bgpPeeringAddresses": peers}}
    world.network("virtualNetworkGateways", "gw1", properties)
    found = world.look("vnetgw")
    assert [e.private_ip for e in found] == [None, "10.0.0.37"]
    assert (found[0].metadata["kind"], found[0].metadata["type"]) == ("Virtual Network Gateway", "Vpn")


def test_application_gateways_and_load_balancers(world: World) -> None:
    public = {"id": world.public("p1", "20.0.0.1")}
    inside = world.configuration("x", "in", "10.0.0.10")
    outside = world.configuration("x", "out", None, publicIPAddress=public, subnet=None)
    frontends = {"frontendIPConfigurations": [inside, outside], "sku": {"tier": "WAF_v2"}}
    world.network("applicationGateways", "ag1", frontends)
    world.network("loadBalancers", "lb1", frontends)
    found = world.look("appgw", "lb")
    assert [(e.source, e.private_ip) for e in found] == [("appgw", "10.0.0.10"), ("lb", "10.0.0.10"), ("lb", None)]
    said = {"kind": "Application Gateway", "size": "WAF_v2", "public_ip_id": public["id"], **METHODS}
    assert dict(found[0].metadata) == said
    assert [e.metadata["type"] for e in found[1:]] == ["Private", "Public"]
    assert (found[1].metadata["public_ip"], found[2].metadata["public_ip"]) == (None, "20.0.0.1")
    assert found[2].subnet_id is None


def test_api_management_in_a_network(world: World) -> None:
    inside = {
        "virtualNetworkConfiguration": {"subnetResourceId": world.subnet},
        "virtualNetworkType": "Internal",
        "privateIPAddresses": ["10.0.0.7", "10.0.0.8"],
        "publicIPAddresses": ["20.0.0.1"],
    }
    world.fake.arm.put(world.id("Microsoft.ApiManagement/service/api1"), inside)
    world.fake.arm.put(world.id("Microsoft.ApiManagement/service/outside"), {"publicIPAddresses": ["20.0.0.2"]})
    failed = {**inside, "provisioningState": "Failed"}
    world.fake.arm.put(world.id("Microsoft.ApiManagement/service/failed"), failed)
    found = world.look("apim")
    assert [(e.name, e.private_ip, e.metadata["public_ip"]) for e in found] == [
        ("api1", "10.0.0.7", "20.0.0.1"), ("api1", "10.0.0.8", None),
    ]  # fmt: skip
    assert found[0].metadata["vnet_type"] == "Internal"
    assert in_subnet(found[0], world)


def test_firewalls_and_gateways_inside_a_hub(world: World) -> None:
    hub = world.network("virtualHubs", "hub1", {"addressPrefix": "10.9.0.0/24"})
    inside = {"virtualHub": {"id": hub}}
    addresses = {"privateIPAddress": "10.9.0.132", "publicIPs": {"addresses": [{"address": "20.0.0.1"}]}}
    world.network("azureFirewalls", "fw", {**inside, "sku": {"name": "AZFW_Hub"}, "hubIPAddresses": addresses})
    pairs = [{"id": "i0", "privateIpAddress": "10.9.0.4", "publicIpAddress": "20.0.0.2"}]
    world.network("vpnGateways", "vpn", {**inside, "ipConfigurations": pairs})
    world.network("expressRouteGateways", "er", inside)
    found = {e.name: e for e in world.look("vhub_ep")}
    assert {n: e.private_ip for n, e in found.items()} == {"fw": "10.9.0.132", "vpn": "10.9.0.4", "er": None}
    assert {(e.vnet_name, e.vnet_id, e.subnet_id) for e in found.values()} == {("hub1", hub, None)}
    assert dict(found["fw"].metadata) == {"kind": "vHub Firewall", "sku": "AZFW_Hub", "public_ip": ["20.0.0.1"]}
    assert dict(found["vpn"].metadata) == {"kind": "vHub VPN Gateway", "public_ip": "20.0.0.2"}
    assert dict(found["er"].metadata) == {"kind": "vHub ExpressRoute Gateway"}


@pytest.mark.parametrize("part", ["publicIPAddresses'", "frontendIPConfigurations"])
def test_endpoints_that_could_not_be_read_stay_as_known(world: World, part: str) -> None:
    made = world.configuration("x", "in", "10.0.0.10")
    world.network("loadBalancers", "lb1", {"frontendIPConfigurations": [made]})
    world.fake.arm.put(
        world.id("Microsoft.ApiManagement/service/api1"),
        {"virtualNetworkConfiguration": {"subnetResourceId": world.subnet}, "privateIPAddresses": ["10.0.0.7"]},
    )
    before = world.reader.read(Snapshot())
    world.fake.arm.drop(world.id("Microsoft.Network/loadBalancers/lb1"))
    world.fake.arm.drop(world.id("Microsoft.ApiManagement/service/api1"))
    world.fake.say(part, 400, {"error": {"code": "BadRequest", "message": "out of order"}})
    after = world.reader.read(before)
    assert [e.source for e in after.endpoints] == ["lb"], "what could be read is gone, what could not is kept"
    assert "out of order" in after.problems[0]
    assert after.sees(world.subscription), "its networks were read"


def test_what_only_the_resource_manager_tells_may_fail_too(world: World) -> None:
    endpoint = world.id("Microsoft.Network/privateEndpoints/pe1")
    made = world.configuration("x", "pe1", "10.0.0.4")
    world.network("networkInterfaces", "nic", {"privateEndpoint": {"id": endpoint}, "ipConfigurations": [made]})
    factory = world.fake.arm.put(world.id("Microsoft.DataFactory/factories/df1"), {})
    world.fake.arm.put(f"{factory}/privateEndPointConnections/c1", {"privateEndpoint": {"id": endpoint}})
    before = world.reader.read(Snapshot())
    world.fake.say("df1/privateEndPointConnections", 403, {"error": {"code": "AuthorizationFailed", "message": "no"}})
    after = world.reader.read(before)
    assert [(e.source, e.name) for e in after.endpoints] == [("df", "df1")], "it is shown as orphaned"
    assert after.problems[0].startswith("private endpoints of df1: Azure refused")
