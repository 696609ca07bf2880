"""Where azure-vnet-ipam's pools come from, and what the answers mean for them.

Spec: azure-vnet-ipam §2.4 (wireserver), §2.5 (file), §1.9 (IPv6 ranges of the node). A fault in one item of an answer
costs that item only; each is remarked on, in the words of the original's log, for whoever keeps that log.
"""

from __future__ import annotations

from collections.abc import Sequence

from unipam.addr.prefix import V4_FIRST, V4_OFFSET, Prefix, Range, parse_address, parse_interface
from unipam.addr.ranges import RangeSet
from unipam.clients import wireserver
from unipam.clients.wireserver import WireserverInterface, WireserverSubnet
from unipam.dialects.azure_vnet import nics, node
from unipam.golang.decoding import Flag, ListOf, Struct, Text, parse, read
from unipam.ledger.learned import LearnedPool
from unipam.model.errors import BadConfig, SourceFailed, Undecodable

FILE = "/etc/kubernetes/interfaces.json"
_LARGEST_FILE = 16 << 20

Remark = tuple[str, str]
"""A line of the original's log: component and message."""
Nics = Sequence[tuple[str, str]]


def fetch(environment: str, remarks: list[Remark]) -> tuple[LearnedPool, ...]:
    """Return all pools that an environment's source has now. Raises SourceFailed; `remarks` grows either way."""
    if environment == "null":
        return (LearnedPool(Prefix(V4_FIRST, V4_OFFSET), None, "", 0, ()),)
    if environment == "ipv6NodeIpam":
        return node.pools()
    listed = _ask(remarks) if environment == "azure" else read_file(FILE)
    found = pools(listed, nics.local(), remarks)
    if not found:
        named = ", ".join(interface.mac or '""' for interface in listed[:8])
        raise SourceFailed(f"no subnet was listed for a network interface of this machine (listed were: {named})")
    return found


def _ask(remarks: list[Remark]) -> tuple[WireserverInterface, ...]:
    seconds = f"{wireserver.TIMEOUT:g}"
    remarks += [
        ("Utils", f"Initializing HTTP client with connection timeout: {seconds}, response header timeout: {seconds}"),
        ("ipam", f"Wireserver call {wireserver.URL} to retrieve IP List"),
    ]
    found = wireserver.fetch(wireserver.URL)
    remarks.append(("ipam", f"xml name received:{{ Interfaces}} interfaces:{len(found)}"))
    if not found:
        remarks.append(("ipam", "ip list retrieved from azure host is empty, doc:{{ Interfaces} []}"))
        raise SourceFailed("ip list retrieved from azure host is empty", source=wireserver.URL)
    return found


def pools(interfaces: Sequence[WireserverInterface], local: Nics, remarks: list[Remark]) -> tuple[LearnedPool, ...]:
    """Return what an answer means on a machine with these interfaces: a pool for each subnet of one that is there."""
    found: dict[Prefix, LearnedPool] = {}
    for interface in interfaces:
        mac = nics.normal(interface.mac)
        name = next((name for name, own in local if mac in {own, "*"}), "") if mac else ""
        if not name:
            remarks.append(("ipam", f"Failed to find interface with MAC address:{mac}."))
            continue
        flag = "true" if interface.primary else "false"
        remarks.append(
            ("ipam", f"processing interface:{name} IsPrimary:{flag} macAddress:{mac} ips:{len(interface.subnets)}")
        )
        for subnet in interface.subnets:
            _add_pool(found, subnet, name, 0 if interface.primary else 1, remarks)
    return tuple(found[network] for network in sorted(found))


def _add_pool(
    found: dict[Prefix, LearnedPool], subnet: WireserverSubnet, name: str, priority: int, remarks: list[Remark]
) -> None:
    try:
        _, network = parse_interface(subnet.prefix)
    except ValueError as error:
        remarks.append(("ipam", f"Failed to parse subnet:{subnet.prefix} err:{error}."))
        return
    if network in found:
        remarks.append(("ipam", f"Failed to create pool:{network} ifName:{name} err:Address pool already exists."))
        return
    remarks.append(("ipam", f"Number of IPAddress found in ipsubnet {subnet.prefix}: {len(subnet.addresses)}"))
    addresses = _addresses(subnet, network, remarks)
    count = sum(last - first + 1 for first, last in addresses)
    remarks.append(("ipam", f"got {count} addresses from interface {name}, subnet {network}"))
    gateway = network.first + 1 if network.size > 1 else None
    found[network] = LearnedPool(network, gateway, name, priority, addresses)


def _addresses(subnet: WireserverSubnet, network: Prefix, remarks: list[Remark]) -> tuple[Range, ...]:
    """Return the addresses that may be handed out: the interface's own (primary) one is the host's."""
    found: set[int] = set()
    for text, primary in subnet.addresses:
        problem = "" if primary else _problem(text, network, found)
        if problem:
            remarks.append(("ipam", f"Failed to create address:{text or '<nil>'} err:{problem}."))
    return tuple(RangeSet((a, a) for a in sorted(found)))


def _problem(text: str, network: Prefix, found: set[int]) -> str:
    """Return what is wrong with an address; put one that is right into `found`."""
    try:
        address = parse_address(text)
    except ValueError:
        return "Invalid address"
    if not network.first <= address <= network.last:
        return "Invalid address"
    if address in found:
        return "Address already exists"
    found.add(address)
    return ""


_FILE_SHAPE = Struct(
    "ipam.NetworkInterfaces",
    "NetworkInterfaces",
    {
        "Interfaces": ListOf(
            "[]ipam.Interface",
            Struct(
                "ipam.Interface",
                "Interface",
                {
                    "MacAddress": Text(),
                    "IsPrimary": Flag(),
                    "IPSubnets": ListOf(
                        "[]ipam.IPSubnet",
                        Struct(
                            "ipam.IPSubnet",
                            "IPSubnet",
                            {
                                "Prefix": Text(),
                                "IPAddresses": ListOf(
                                    "[]ipam.IPAddress",
                                    Struct("ipam.IPAddress", "IPAddress", {"Address": Text(), "IsPrimary": Flag()}),
                                ),
                            },
                        ),
                    ),
                },
            ),
        )
    },
)


def read_file(path: str) -> tuple[WireserverInterface, ...]:
    """Return the interfaces that a file lists (environments `mas` and `fileIpam`). Raises SourceFailed."""
    try:
        with open(path, "rb") as file:
            document = read(_FILE_SHAPE, parse(file.read(_LARGEST_FILE)))
    except OSError as error:
        raise SourceFailed(f"open {path}: {(error.strerror or '').lower()}", source=path) from None
    except (BadConfig, Undecodable) as error:
        raise SourceFailed(f"cannot read {path}: {error.message}", source=path) from None
    found = [i for i in document.get("Interfaces") or () if i]
    if not found:
        raise SourceFailed(f"{path} lists no interfaces", source=path)
    return tuple(
        WireserverInterface(
            i.get("MacAddress") or "",
            bool(i.get("IsPrimary")),
            tuple(_subnet(s) for s in i.get("IPSubnets") or () if s),
        )
        for i in found
    )


def _subnet(subnet: dict[str, object]) -> WireserverSubnet:
    addresses = subnet.get("IPAddresses") or []
    assert isinstance(addresses, list)
    return WireserverSubnet(
        str(subnet.get("Prefix") or ""),
        tuple((a.get("Address") or "", bool(a.get("IsPrimary"))) for a in addresses if a),
    )
