"""azure-vnet-ipam's network configuration: what it says, and how it can be wrong.

Spec: azure-vnet-ipam §1.2. The keys `dataDir`, `stateFile`, `writeState`, `log` and `strict` are unipam's own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from unipam.golang.decoding import Flag, Struct, Text, read
from unipam.model.errors import BadConfig

NAMES = ("azure-vnet-ipam", "azure-vnet-ipamv6")
"""The plugin, and the copy of it that azure-vnet calls for IPv6 addresses, with state of its own (spec §1.9)."""
SPACE = "local"
"""The only address space that any source fills (spec §1.2)."""
INTERVAL = 10.0
ENVIRONMENTS = ("azure", "mas", "fileIpam", "ipv6NodeIpam", "null")

_TEXTS = (
    "type", "mode", "environment", "addressSpace", "subnet", "ipAddress", "queryInterval",
    "dataDir", "stateFile", "log",
)  # fmt: skip
_PATHS = ("dataDir", "stateFile", "log")
_FLAGS = ("writeState", "strict")
_IPAM = Struct("cni.IPAM", "IPAM", {**{key: Text() for key in _TEXTS}, **{key: Flag() for key in _FLAGS}})
_NET = Struct(
    "cni.NetworkConfig",
    "NetworkConfig",
    {"cniVersion": Text(), "name": Text(), "type": Text(), "mode": Text(), "master": Text(), "ipam": _IPAM},
)


def data_dir(plugin: str) -> str:
    """Return where a plugin's ledger is when nobody says otherwise."""
    return f"/var/lib/unipam/{plugin}"


class Origin(NamedTuple):
    """Where pools come from and where the state lies; all that is needed to keep them fresh without a call.

    `interval` is in seconds; `plugin` is the name under which it was called.
    """

    plugin: str
    environment: str
    interval: float
    state_file: str
    write_state: bool


class Network(NamedTuple):
    """A configuration that makes sense.

    `subnet` is the pool asked for ("" for any), `address` the address. `strict` reproduces what the original does where
    it is known to be wrong (docs/azure-vnet-ipam.md lists it).
    """

    name: str
    version: str
    kind: str
    space: str
    subnet: str
    address: str
    master: str
    v6: bool
    data_dir: str
    log: str
    strict: bool
    origin: Origin


def load(document: Any, plugin: str) -> Network:
    """Return a configuration as a Network. Raises BadConfig in the original's words."""
    try:
        net = read(_NET, document)
        ipam = net.get("ipam") or {}
        for key in _bad_paths(ipam):
            raise BadConfig(f"{key} {ipam[key]!r} is not an absolute path")
        network = _network(net, ipam, plugin)
    except BadConfig as error:
        raise BadConfig(f"Failed to parse network configuration: {error.message}") from None
    if network.origin.environment not in ENVIRONMENTS:
        known = ", ".join(ENVIRONMENTS)
        raise BadConfig(
            "Failed to parse network configuration: Invalid configuration",
            details=f"environment is {network.origin.environment!r}; known are {known}",
        )
    return network


def _bad_paths(ipam: dict[str, Any]) -> list[str]:
    """Return the keys whose path nobody can open, or whose place depends on who opens it."""
    found = {key: ipam.get(key) or "/" for key in _PATHS}
    return [key for key, path in found.items() if "\0" in path or not (path.startswith("/") or key == "dataDir")]


def load_leniently(document: dict[str, Any], plugin: str) -> Network:
    """Load what makes sense of a configuration: a container is let go of whatever became of the rest."""
    ipam = next((v for k, v in document.items() if k.casefold() == "ipam" and isinstance(v, dict)), {})
    shapes = {key.casefold(): str for key in _TEXTS} | {key.casefold(): bool for key in _FLAGS}
    sound = read(_IPAM, {k: v for k, v in ipam.items() if isinstance(v, shapes.get(k.casefold(), object))})
    for key in _bad_paths(sound):
        del sound[key]
    network = _network({"name": str(document.get("name") or "")}, sound, plugin)
    known = network.origin.environment in ENVIRONMENTS
    return network if known else network._replace(origin=network.origin._replace(environment="azure"))


def _network(net: dict[str, Any], ipam: dict[str, Any], plugin: str) -> Network:
    kind = ipam.get("type") or ""
    origin = Origin(
        plugin,
        ipam.get("environment") or "azure",
        _seconds(ipam.get("queryInterval") or ""),
        ipam.get("stateFile") or f"/var/run/{plugin}.json",
        bool(ipam.get("writeState")),
    )
    return Network(
        net.get("name") or "",
        net.get("cniVersion") or "0.2.0",
        kind,
        ipam.get("addressSpace") or SPACE,
        ipam.get("subnet") or "",
        ipam.get("ipAddress") or "",
        net.get("master") or "",
        kind == "azure-vnet-ipamv6",
        ipam.get("dataDir") or data_dir(plugin),
        ipam.get("log") or "",
        bool(ipam.get("strict")),
        origin,
    )


def _seconds(text: str) -> float:
    """Read queryInterval: a string of seconds; anything else means the default, as in the original."""
    return float(text) if text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 10 else INTERVAL
