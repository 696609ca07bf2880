"""The cloud of the sample plan: networks that grow over a year, their subnets, peerings, tags and machines.

The same every time, as far as chance is concerned: a generator with a seed rolls the dice.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from unipam.addr.prefix import BITS, Prefix, format_address, parse_prefix
from unipam.model.cloud import VHUB, VNET, CloudNetwork, CloudSubnet, Endpoint, Peering, Snapshot, Subscription, key

TENANT = str(uuid.uuid5(uuid.NAMESPACE_DNS, "tenant.example"))
NAMES = ("platform", "payments", "retail", "analytics", "identity", "sandbox")
SUBSCRIPTIONS = tuple(
    Subscription(str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), name, TENANT, "EnterpriseAgreement") for name in NAMES
)
_PARTS = ("web", "api", "data", "aks-nodes", "aks-pods", "endpoints", "integration")
_STAMP = "X-IPAM-RES-ID"


class Kept(msgspec.Struct, frozen=True):
    """A network as it is kept beside the sample plan."""

    id: str
    name: str
    prefixes: tuple[str, ...]
    subscription: int
    hub: bool = False
    tags: dict[str, str] = {}
    peers: tuple[str, ...] = ()


def kept(
    name: str,
    prefixes: Iterable[Prefix],
    subscription: int,
    *,
    hub: bool = False,
    reservation: str = "",
    peers: Iterable[str] = (),
) -> Kept:
    """Return a network to keep. `peers` are the ids at the far ends of its peerings."""
    group, kind = f"rg-{name.removeprefix('vnet-')}", "virtualHubs" if hub else "virtualNetworks"
    where = f"/subscriptions/{SUBSCRIPTIONS[subscription].id}/resourceGroups/{group}/providers/Microsoft.Network"
    tags = {"owner": NAMES[subscription], **({_STAMP: reservation} if reservation else {})}
    texts = tuple(map(str, prefixes))
    return Kept(f"{where}/{kind}/{name}", name, texts, subscription, hub, tags, tuple(peers))


def snapshot_of(networks: Iterable[Kept], taken: float) -> Snapshot:
    """Return what one would see of these networks."""
    made = {key(each.id): _network(each) for each in networks}
    endpoints = [endpoint for network in made.values() for endpoint in _endpoints(network)]
    return Snapshot(made, SUBSCRIPTIONS, tuple(endpoints), taken)


def _network(each: Kept) -> CloudNetwork:
    prefixes = tuple(map(parse_prefix, each.prefixes))
    peerings = tuple(
        Peering(f"to-{remote.rpartition('/')[2]}", remote, "Connected" if "legacy" not in remote else "Disconnected")
        for remote in each.peers
    )
    subnets = () if each.hub else tuple(_subnets(each, prefixes))
    wan = {"vwan_name": "wan", "vwan_id": "/wan"} if each.hub else {}
    return CloudNetwork(
        each.id, each.name, VHUB if each.hub else VNET, prefixes, each.id.split("/")[4], each.id.split("/")[2],
        TENANT, subnets, peerings, each.tags, **wan,
    )  # fmt: skip


def _subnets(each: Kept, prefixes: Iterable[Prefix]) -> Iterator[CloudSubnet]:
    """Yield subnets that fill a part of each prefix, each half as large as the one before."""
    dice = random.Random(each.name)  # noqa: S311 (for looks)
    for prefix in prefixes:
        first, length = prefix.first, prefix.length + 1
        for part in dice.sample(_PARTS, dice.randint(1, 3)):
            longest = BITS - 3 if prefix.family == 4 else 64
            if length > longest:
                break
            subnet = Prefix(first, length)
            used = min(subnet.size, 5 + int(min(subnet.size, 4096) * dice.random() ** 2))
            yield CloudSubnet(f"{each.id}/subnets/{part}", part, (subnet,), used)
            first, length = subnet.last + 1, length + 1


def _endpoints(network: CloudNetwork) -> Iterator[Endpoint]:
    """Yield up to two machines, and now and then a private endpoint, some of which lead nowhere any more."""
    dice = random.Random(network.id)  # noqa: S311 (for looks)
    name = network.name.removeprefix("vnet-")
    for subnet in network.subnets[:1]:
        for number in range(dice.randint(0, 2)):
            yield _endpoint(network, subnet, 4 + number, f"Compute/virtualMachines/vm-{name}-{number}")
        if dice.random() < 0.2:
            said = {"kind": "Private Endpoint", "group_id": "blob", "orphaned": dice.random() < 0.3}
            made = _endpoint(network, subnet, 6, f"Network/privateEndpoints/pe-{name}")
            yield made._replace(source="pe", metadata=said)


def _endpoint(network: CloudNetwork, subnet: CloudSubnet, place: int, resource: str) -> Endpoint:
    """Return a machine, or what is told apart from one, at a place in a subnet."""
    where = network.id.rpartition("/providers/")[0]
    return Endpoint(
        "vm", f"{where}/providers/Microsoft.{resource}", resource.rpartition("/")[2],
        format_address(subnet.prefixes[0].first + place), network.resource_group, network.subscription, TENANT,
        network.name, network.id, subnet.name, subnet.id,
        {"kind": "Virtual Machine", "size": "Standard_D4s_v5", "private_ip_alloc_method": "Dynamic"},
    )  # fmt: skip


class SampleCloud:
    """A cloud (`plan.cloud.port.Cloud`) that has these networks, and never changes."""

    def __init__(self, networks: Iterable[Kept]) -> None:
        self._seen = snapshot_of(networks, time.time())

    def snapshot(self, *, newer_than: float = 0.0) -> Snapshot:
        """Return everything, as it is now."""
        return self._seen._replace(taken=max(time.time(), newer_than))

    def visible_to(self, credential: str, *, newer_than: float = 0.0) -> Snapshot:  # noqa: ARG002 (the protocol's)
        """Return what a person may see: all of it, since it is nobody's."""
        return self.snapshot(newer_than=newer_than)

    def close(self) -> None:
        """Do nothing: nothing was held."""


_decoder = msgspec.json.Decoder(dict[str, Kept])


def encode(networks: Mapping[str, Kept]) -> str:
    """Return networks as a note beside the plan."""
    return msgspec.json.encode(networks).decode()


def decode(note: str) -> dict[str, Kept]:
    """Return the networks of a note."""
    return _decoder.decode(note)
