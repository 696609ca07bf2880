"""The configuration, the result and the pools as the original's log lines show them (spec §3.1): Go's `%+v`."""

from __future__ import annotations

import time
from typing import Any

from unipam.addr.prefix import format_address
from unipam.golang.formatting import Struct, mask, network, structure
from unipam.ledger.learned import LearnedPool

_DNS: Struct = (
    ("Nameservers", "nameservers", []),
    ("Domain", "domain", ""),
    ("Search", "search", []),
    ("Options", "options", []),
)
_IPAM = (
    ("Mode", "mode", ""), ("Type", "type", ""), ("Environment", "environment", ""), ("AddrSpace", "addressSpace", ""),
    ("Subnet", "subnet", ""), ("Address", "ipAddress", ""), ("QueryInterval", "queryInterval", ""),
)  # fmt: skip
_PORT = (
    ("HostPort", "hostPort", 0),
    ("ContainerPort", "containerPort", 0),
    ("Protocol", "protocol", ""),
    ("HostIp", "hostIP", ""),
)
_RUNTIME_DNS: Struct = (("Servers", "servers", []), ("Searches", "searches", []), ("Options", "options", []))
_WINDOWS = (
    ("EnableLoopbackDSR", "enableLoopbackDSR", False),
    ("HnsTimeoutDurationInSeconds", "hnsTimeoutDurationInSeconds", 0),
)
_CONFIG: Struct = (
    ("CNIVersion", "cniVersion", "0.2.0"), ("Name", "name", ""), ("Type", "type", ""), ("Mode", "mode", ""),
    ("Master", "master", ""), ("AdapterName", "adapterName", ""), ("Bridge", "bridge", ""),
    ("LogLevel", "logLevel", ""), ("LogTarget", "logTarget", ""),
    ("InfraVnetAddressSpace", "infraVnetAddressSpace", ""), ("IPV6Mode", "ipv6Mode", ""),
    ("ServiceCidrs", "serviceCidrs", ""), ("VnetCidrs", "vnetCidrs", ""),
    ("PodNamespaceForDualNetwork", "podNamespaceForDualNetwork", []), ("IPsToRouteViaHost", "ipsToRouteViaHost", []),
    ("MultiTenancy", "multiTenancy", False), ("EnableSnatOnHost", "enableSnatOnHost", False),
    ("EnableExactMatchForPodName", "enableExactMatchForPodName", False),
    ("DisableHairpinOnHostInterface", "disableHairpinOnHostInterface", False),
    ("DisableIPTableLock", "disableIPTableLock", False), ("CNSUrl", "cnsurl", ""),
    ("ExecutionMode", "executionMode", ""), ("IPAM", "ipam", _IPAM), ("DNS", "dns", _DNS),
    ("RuntimeConfig", "runtimeConfig", (("PortMappings", "portMappings", [_PORT]), ("DNS", "dns", _RUNTIME_DNS))),
    ("WindowsSettings", "windowsSettings", _WINDOWS),
    ("AdditionalArgs", "AdditionalArgs", [(("Name", "name", ""), ("Value", "value", ""))]),
)  # fmt: skip


def config(document: dict[str, Any]) -> str:
    """Return the network configuration."""
    return "&" + structure(document, _CONFIG)


def result(address: int, pool: LearnedPool, route: str) -> str:
    """Return an ADD's result. Its version is that of the newest result type, whatever the caller speaks."""
    gateway = "<nil>" if pool.gateway is None else format_address(pool.gateway)
    zeros = "0" * len(mask(pool.network)) if route == "::/0" else "00000000"
    ip = f"Interface:<nil> Address:{{IP:{format_address(address)} Mask:{mask(pool.network)}}} Gateway:{gateway}"
    dst = f"Dst:{{IP:{route.removesuffix('/0')} Mask:{zeros}}} GW:{gateway}"
    dns = "Nameservers:[168.63.129.16] Domain: Search:[] Options:[]"
    return f"&{{CNIVersion:1.0.0 Interfaces:[] IPs:[{{{ip}}}] Routes:[{{{dst}}}] DNS:{{{dns}}}}}"


def pool(found: LearnedPool, holders: dict[int, str], *, taken: bool) -> str:
    """Return an address pool. The pointers of an address and its holder are one made-up number, by which they join."""
    places = sorted(
        {a for r in found.addresses for a in range(r.first, r.last + 1)} | {a for a in holders if _in(a, found)}
    )
    numbers = {address: f"0x{number:x}" for number, address in enumerate(places, 1)}
    addresses = " ".join(f"{format_address(a)}:{number}" for a, number in numbers.items())
    owners = " ".join(f"{holders[a]}:{number}" for a, number in numbers.items() if a in holders)
    flag = str(found.network.family == 6).lower()
    gateway = "<nil>" if found.gateway is None else format_address(found.gateway)
    return (
        f"&{{as:0x0 Id:{found.name} IfName:{found.interface} Subnet:{network(found.network)} Gateway:{gateway}"
        f" Addresses:map[{addresses}] addrsByID:map[{owners}] IsIPv6:{flag} Priority:{found.priority}"
        f" RefCount:{int(found.reserved or taken)} epoch:0}}"
    )


def _in(address: int, pool: LearnedPool) -> bool:
    return pool.network.first <= address <= pool.network.last


def moment(seconds: float) -> str:
    """Return a time.Time, in the local zone."""
    local = time.localtime(seconds)
    fraction = f"{seconds % 1:.6f}"[1:].rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%d %H:%M:%S", local) + fraction + time.strftime(" %z %Z", local)
