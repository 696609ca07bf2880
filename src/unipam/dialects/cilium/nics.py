"""Interfaces, machines and subnets of Azure, as an operator sees them (spec cilium §1.6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, format_address, parse_prefix
from unipam.dialects.cilium.formulas import BLOCK, MOST
from unipam.dialects.cilium.machine import is_of_scale_set

SUCCEEDED, UPDATING = "succeeded", "updating"
_BROKEN = ("failed", "canceled")
_ENDED = (SUCCEEDED, *_BROKEN)
RESERVED = 5
"""Addresses of a subnet that Azure keeps."""


class Address(NamedTuple):
    """An address of an interface, its state in lower case, and the ipConfiguration that has it, perhaps in a block."""

    ip: str
    state: str
    configuration: str
    primary: bool
    block: str = ""


class Nic(NamedTuple):
    """An interface. `instance` is its machine's id in lower case; `ip` its primary address."""

    id: str
    name: str
    instance: str
    mac: str
    subnet: str
    ip: str
    addresses: tuple[Address, ...]
    security_group: str = ""
    use_primary: bool = False
    updating: bool = False
    """Whether a write of it is under way: one of its addresses may be about to go."""
    others: int = 0
    """Configurations of IPv6, which count and give pods nothing."""

    @property
    def secondary(self) -> list[Address]:
        """Return the addresses that pods may have: without the primary one, which is the host's."""
        return [each for each in self.addresses if self.use_primary or not each.primary]

    @property
    def available(self) -> list[Address]:
        """Return those that are ready for use."""
        return [each for each in self.secondary if each.state == SUCCEEDED]

    @property
    def present(self) -> list[Address]:
        """Return those that are ready, or will be when the write under way has ended.

        Azure calls every configuration of an interface that is written so, those that stay as well.
        """
        return [
            each for each in self.secondary if each.state == SUCCEEDED or (self.updating and each.state == UPDATING)
        ]

    @property
    def broken(self) -> list[Address]:
        """Return those that a write has left failed: another one repairs them."""
        return [each for each in self.secondary if each.state in _BROKEN]

    @property
    def blocks(self) -> int:
        """Return how many blocks it has."""
        return len({each.block for each in self.addresses if each.block})

    @property
    def configured(self) -> int:
        """Return how many configurations it has; those that are not ready count, and so does the primary one."""
        return self.blocks + sum(1 for each in self.addresses if not each.block) + self.others

    @property
    def room(self) -> int:
        """Return how many configurations more it may have."""
        return MOST - self.configured

    @property
    def takes_blocks(self) -> bool:
        """Return whether it can have blocks: the API of scale sets' machines has no field for them (46072)."""
        return not is_of_scale_set(self.id)


def capacity(nics: Iterable[Nic], *, blocks: bool = False) -> int:
    """Return how many addresses pods of a machine may have in all (A5: 255 with one interface, 254 with two).

    With `blocks` those interfaces count sixteenfold that can have them.
    """
    nics = list(nics)
    hidden = sum(1 for each in nics if not each.use_primary)
    manifold = BLOCK if blocks and any(each.takes_blocks for each in nics) else 1
    return (MOST - hidden) * manifold


def nics_of(documents: Iterable[Mapping[str, Any]], *, use_primary: bool = False) -> list[Nic]:
    """Return the interfaces that belong to machines."""
    found = []
    for each in documents:
        properties = each.get("properties") or {}
        machine = str((properties.get("virtualMachine") or {}).get("id") or "")
        if machine:
            found.append(_nic(each, properties, machine.lower(), use_primary))
    return found


def _nic(document: Mapping[str, Any], properties: Mapping[str, Any], machine: str, use_primary: bool) -> Nic:
    configurations = properties.get("ipConfigurations") or []
    addresses = tuple(each for found in configurations for each in _addresses(found))
    subnet = next((found for each in configurations if (found := _subnet(each))), "")
    return Nic(
        str(document["id"]),
        str(document.get("name") or str(document["id"]).rpartition("/")[2]),
        machine,
        str(properties.get("macAddress") or "").replace("-", ":"),
        subnet,
        next((each.ip for each in addresses if each.primary), ""),
        addresses,
        str((properties.get("networkSecurityGroup") or {}).get("id") or ""),
        use_primary,
        str(properties.get("provisioningState") or SUCCEEDED).lower() not in _ENDED,
        sum(1 for each in configurations if is_other(each)),
    )


def is_other(configuration: Mapping[str, Any]) -> bool:
    """Return whether a configuration is one of IPv6."""
    return (configuration.get("properties") or {}).get("privateIPAddressVersion") == "IPv6"


def _addresses(configuration: Mapping[str, Any]) -> Iterator[Address]:
    """Yield a configuration's address, or those of its block; none for one of IPv6, or one that has none yet."""
    properties = configuration.get("properties") or {}
    ip, _, said = str(properties.get("privateIPAddress") or "").partition("/")
    if not ip or is_other(configuration):
        return
    state = str(properties.get("provisioningState") or SUCCEEDED).lower()
    name, primary = str(configuration.get("name", "")), bool(properties.get("primary"))
    length = int(said or properties.get("privateIPAddressPrefixLength") or 32)
    if length >= 32:
        yield Address(ip, state, name, primary)
        return
    prefix = parse_prefix(f"{ip}/{length}")
    for each in range(prefix.first, prefix.last + 1):
        yield Address(format_address(each), state, name, primary, str(prefix))


def _subnet(configuration: Mapping[str, Any]) -> str:
    return str(((configuration.get("properties") or {}).get("subnet") or {}).get("id") or "")


class Subnet(NamedTuple):
    """A subnet, and how many of its addresses were free when it was read."""

    id: str
    prefix: Prefix
    free: int
    blocks: bool = True
    """Whether a block can be had in it, as far as is known."""

    @property
    def cidr(self) -> str:
        """Return its range."""
        return str(self.prefix)

    @property
    def gateway(self) -> str:
        """Return the address that Azure keeps for its router: the first."""
        return format_address(self.prefix.first + 1)


def subnet_of(document: Mapping[str, Any]) -> Subnet | None:
    """Return a subnet; None for one without an IPv4 range. Where Azure tells no addresses in use, all count as free."""
    properties = document.get("properties") or {}
    texts = [properties.get("addressPrefix"), *(properties.get("addressPrefixes") or ())]
    for text in texts:
        if not text:
            continue
        try:
            prefix = parse_prefix(str(text))
        except ValueError:
            continue
        if prefix.family == 4:
            used = len(properties.get("ipConfigurations") or ())
            return Subnet(str(document["id"]), prefix, max(0, prefix.size - RESERVED - used))
    return None
