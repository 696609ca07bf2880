"""What Resource Graph does not tell, asked of the Resource Manager, one resource at a time and a few side by side.

Hub connections; the subnets of networks with more than Resource Graph expands; connections of data factories;
interfaces of scale sets in clouds whose Resource Graph has none. An answer that cannot be had becomes a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import msgspec

from unipam.clients.azure.arm import Arm
from unipam.clients.azure.read.endpoint_queries import InstanceRow, OwnerRow, Reference
from unipam.clients.azure.read.networks import subnet
from unipam.clients.azure.read.queries import SubnetRow
from unipam.model.cloud import VHUB, CloudNetwork, Peering, Snapshot, key, subscription_of
from unipam.model.errors import SourceFailed

A = TypeVar("A")
R = TypeVar("R")

NETWORK_VERSION = "2024-05-01"
SCALE_SET_VERSION = "2018-10-01"
"""The one version in which interfaces of scale sets are listed (README of the ARM fixtures)."""
FACTORY_VERSION = "2018-06-01"

NOTHING_READABLE = "there is no subscription that this identity may read: give it the role Reader on what it is to see"

Lost = set[tuple[str, str]]


class _SubnetFacts(msgspec.Struct, rename="camel"):
    address_prefix: str = ""
    address_prefixes: list[str] | None = None
    ip_configurations: list[Reference] | None = None
    application_gateway_configurations: list[Reference] | None = msgspec.field(
        default=None, name="applicationGatewayIPConfigurations"
    )


class _Subnet(msgspec.Struct):
    id: str
    name: str = ""
    properties: _SubnetFacts = msgspec.field(default_factory=_SubnetFacts)

    def row(self) -> SubnetRow:
        facts = self.properties
        used, gateways = len(facts.ip_configurations or ()), len(facts.application_gateway_configurations or ())
        return SubnetRow(self.id, "", self.name, facts.address_prefix, facts.address_prefixes, used, gateways)


class _ConnectionFacts(msgspec.Struct, rename="camel"):
    remote_virtual_network: Reference | None = None
    private_endpoint: Reference | None = None


class _Connection(msgspec.Struct):
    name: str = ""
    properties: _ConnectionFacts = msgspec.field(default_factory=_ConnectionFacts)


class _AddressFacts(msgspec.Struct):
    address: str | None = msgspec.field(default=None, name="privateIPAddress")
    subnet: Reference | None = None


class _Address(msgspec.Struct):
    id: str = ""
    properties: _AddressFacts = msgspec.field(default_factory=_AddressFacts)


class _InterfaceFacts(msgspec.Struct, rename="camel"):
    ip_configurations: list[_Address] = []
    virtual_machine: Reference | None = None


class _Interface(msgspec.Struct):
    id: str
    properties: _InterfaceFacts = msgspec.field(default_factory=_InterfaceFacts)

    def rows(self, tenant: str) -> Iterator[InstanceRow]:
        machine = self.properties.virtual_machine
        for each in self.properties.ip_configurations:
            facts = each.properties
            where = facts.subnet.id if facts.subnet else None
            owner = machine.id if machine else None
            yield InstanceRow(self.id, owner, subscription_of(self.id), tenant, facts.address, where, each.id)


class Details:
    """Asks for what is missing. `problems` is added to."""

    def __init__(self, arm: Arm, pool: Executor, problems: list[str]) -> None:
        self._arm = arm
        self._pool = pool
        self._problems = problems

    def all_subnets(self, found: MutableMapping[str, CloudNetwork], counts: MutableMapping[str, int]) -> None:
        """Complete the networks that have more subnets than were listed."""
        short = [n for n in found.values() if len(n.subnets) < counts.get(n.id, 0)]
        for network, rows in self._each(short, self._subnets, "subnets"):
            if isinstance(rows, list):
                found[key(network.id)] = network._replace(subnets=tuple(subnet(each.row()) for each in rows))

    def hub_connections(self, found: MutableMapping[str, CloudNetwork], previous: Snapshot) -> None:
        """Give the hubs their peerings; where they cannot be had, those that were known."""
        hubs = [network for network in found.values() if network.kind == VHUB]
        for hub, rows in self._each(hubs, self._connections, "connections"):
            before = previous.network(hub.id)
            ends = _ends(rows) if isinstance(rows, list) else before.peerings if before else ()
            found[key(hub.id)] = hub._replace(peerings=ends)

    def factory_connections(self, factories: Sequence[OwnerRow], lost: Lost) -> list[OwnerRow]:
        """Return the factories, once for each private endpoint that leads to them."""
        found = []
        for factory, rows in self._each(factories, self._private_endpoints, "private endpoints"):
            if isinstance(rows, SourceFailed):
                lost.add((factory.subscription.lower(), "df"))
                continue
            ends = [row.properties.private_endpoint for row in rows]
            found += [msgspec.structs.replace(factory, endpoint_id=end.id) for end in ends if end]
        return found

    def instances(self, scale_sets: Sequence[OwnerRow], lost: Lost) -> list[InstanceRow]:
        """Return the IP configurations of the instances of scale sets."""
        found: list[InstanceRow] = []
        for each, rows in self._each(scale_sets, self._interfaces, "interfaces"):
            if isinstance(rows, SourceFailed):
                lost.add((each.subscription.lower(), "vmss"))
                continue
            found += [row for interface in rows for row in interface.rows(each.tenant)]
        return found

    def _subnets(self, network: CloudNetwork) -> list[_Subnet]:
        return self._arm.every(f"{network.id}/subnets", NETWORK_VERSION, list[_Subnet])

    def _connections(self, hub: CloudNetwork) -> list[_Connection]:
        return self._arm.every(f"{hub.id}/hubVirtualNetworkConnections", NETWORK_VERSION, list[_Connection])

    def _private_endpoints(self, factory: OwnerRow) -> list[_Connection]:
        return self._arm.every(f"{factory.id}/privateEndPointConnections", FACTORY_VERSION, list[_Connection])

    def _interfaces(self, scale_set: OwnerRow) -> list[_Interface]:
        return self._arm.every(f"{scale_set.id}/networkInterfaces", SCALE_SET_VERSION, list[_Interface])

    def _each(
        self, things: Iterable[A], ask: Callable[[A], list[R]], what: str
    ) -> Iterator[tuple[A, list[R] | SourceFailed]]:
        """Ask about each, and give the answers or what went wrong, in order."""
        asked = [(thing, self._pool.submit(ask, thing)) for thing in things]
        for thing, answer in asked:
            try:
                yield thing, answer.result()
            except SourceFailed as error:
                self._problems.append(f"{what} of {getattr(thing, 'name', thing)}: {error.message}")
                yield thing, error


def _ends(rows: Iterable[_Connection]) -> tuple[Peering, ...]:
    """Return a hub's connections as peerings. They have no state of their own; one that is listed is connected."""
    ends = [(row.name, row.properties.remote_virtual_network) for row in rows]
    return tuple(Peering(name, end.id, "Connected") for name, end in ends if end)
