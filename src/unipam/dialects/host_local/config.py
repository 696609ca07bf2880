"""host-local's network configuration: what it says, and every way in which it can be wrong, in host-local's words.

Spec: cni-and-host-local §2.1 (keys), §2.2 (validation and its order), §2.7 (messages).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

from unipam.addr import prefix as px
from unipam.golang.decoding import Anything, ListOf, Struct, Text, Whole, read
from unipam.model.errors import BadConfig
from unipam.model.records import Pool, PoolRange

DATA_DIR = "/var/lib/cni/networks"


class Subnet(NamedTuple):
    """A subnet as written: the address, its length on the line, and whether it was written as IPv6."""

    address: int
    length: int
    as_v6: bool

    @property
    def mapped(self) -> bool:
        """Whether it is an IPv4 subnet written as IPv6 (RFC 4291 §2.5.5.2), which host-local refuses."""
        return self.as_v6 and px.is_v4(self.address)

    def __str__(self) -> str:
        length = max(self.length - px.V4_OFFSET, 0) if px.is_v4(self.address) else self.length
        return f"{px.format_address(self.address)}/{length}"


def parse_subnet(text: str) -> Subnet:
    """Return a subnet, host bits allowed. Raises ValueError as Go's ParseCIDR words it."""
    address, slash, bits = text.partition("/")
    as_v6 = ":" in address
    try:
        value = px.parse_address(address)
    except ValueError:
        value = -1
    digits = bits.isascii() and bits.isdigit()
    length = int(bits.lstrip("0")[:4] or "0") if digits else px.BITS + 1  # no more digits than decide it
    if not slash or value < 0 or length > (128 if as_v6 else 32):
        raise ValueError(f"invalid CIDR address: {text}")
    return Subnet(value, length + (0 if as_v6 else px.V4_OFFSET), as_v6)


def _parse_ip(text: str) -> int | None:
    return px.parse_address(text) if text else None


def parse_wish(text: str) -> int | None:
    """Return an address asked for, with or without a length, which is dropped. Nothing stands for no address."""
    try:
        return parse_subnet(text).address if "/" in text else _parse_ip(text)
    except ValueError:
        raise ValueError(f"invalid IP address {text}") from None


_IP = Text("net.IP", _parse_ip)
_CIDR = Text("string", parse_subnet, null="", opaque=True)
_RANGE_FIELDS = {"rangeStart": _IP, "rangeEnd": _IP, "subnet": _CIDR, "gateway": _IP}
_RANGES = ListOf(
    "[]allocator.RangeSet", ListOf("allocator.RangeSet", Struct("allocator.Range", "Range", _RANGE_FIELDS))
)
_ROUTE = Struct(
    "types.route",
    "route",
    {
        "dst": _CIDR, "gw": _IP, "mtu": Whole(), "advmss": Whole(), "priority": Whole(), "table": Whole(),
        "scope": Whole(),
    },
    opaque=True,
)  # fmt: skip
_IPS = ListOf("[]*ip.IP", Text("*ip.IP", parse_wish, null=""))
_IPAM = Struct(
    "allocator.IPAMConfig",
    "IPAMConfig",
    {
        **_RANGE_FIELDS,
        "type": Text(),
        "routes": ListOf("[]*types.Route", _ROUTE),
        "dataDir": Text(),
        "resolvConf": Text(),
        "ranges": _RANGES,
        "cooldown": Whole(),
        "duplicateAdd": Text(),
    },
)
_ARGS = Struct("allocator.IPAMArgs", "IPAMArgs", {"ips": _IPS})
_RUNTIME_TYPE = (
    'struct { IPRanges []allocator.RangeSet "json:\\"ipRanges,omitempty\\""; IPs []*ip.IP "json:\\"ips,omitempty\\"" }'
)
_NET = Struct(
    "allocator.Net",
    "Net",
    {
        "name": Text(),
        "cniVersion": Text(),
        "ipam": _IPAM,
        "runtimeConfig": Struct(_RUNTIME_TYPE, "", {"ipRanges": _RANGES, "ips": _IPS}),
        "args": Struct('struct { A *allocator.IPAMArgs "json:\\"cni\\"" }', "", {"cni": _ARGS}),
        "prevResult": Anything(),
    },
)


def place(document: dict[str, Any]) -> str:
    """Return the data directory, as far as a configuration says one: DEL must work with a broken configuration."""
    return text(document, "dataDir") or DATA_DIR


def text(document: dict[str, Any], name: str) -> str:
    """Return a text under `ipam`, however broken the rest; empty where there is none."""
    found = _ipam(document, name)
    return found if isinstance(found, str) else ""


def flag(document: dict[str, Any], name: str) -> bool:
    """Return whether a switch under `ipam` is on."""
    return _ipam(document, name) is True


def _ipam(document: dict[str, Any], key: str) -> object:
    """Return the value of a key under `ipam`, however broken the rest; in any case, and the last counts."""
    ipam = _last(document, "ipam")
    return _last(ipam, key) if isinstance(ipam, dict) else None


def _last(document: dict[str, Any], key: str) -> object:
    return next((v for k, v in reversed(document.items()) if k.casefold() == key.casefold()), None)


class Network(NamedTuple):
    """A configuration that makes sense: the pools in the order of their addresses in the result, and the rest.

    `again` says whether a second ADD of an attachment is answered with what it holds (`"duplicateAdd": "return"`);
    `cooldown` is in seconds.
    """

    name: str
    data_dir: str
    pools: tuple[Pool, ...]
    routes: tuple[dict[str, object], ...]
    resolv_conf: str
    cooldown: int
    again: bool


def typed(document: object) -> dict[str, Any]:
    """Return the values of a configuration in their types. Raises BadConfig in host-local's words."""
    net = read(_NET, document)
    if net.get("ipam") is None:
        raise BadConfig("IPAM config missing 'ipam' key")
    return net


def wishes(net: dict[str, Any]) -> tuple[int | None, ...]:
    """Return the addresses that a typed configuration asks for."""
    args = (net.get("args") or {}).get("cni") or {}
    return (*(args.get("ips") or ()), *((net.get("runtimeConfig") or {}).get("ips") or ()))


def load(net: dict[str, Any]) -> Network:
    """Return a typed configuration as a Network. Raises BadConfig in host-local's words."""
    ipam = net["ipam"]
    runtime = net.get("runtimeConfig") or {}
    legacy = [[ipam]] if ipam.get("subnet") is not None else []
    sets = [*(runtime.get("ipRanges") or []), *legacy, *(ipam.get("ranges") or [])]
    return of_pools(net, _pools(sets, net.get("cniVersion") or ""))


def of_pools(net: dict[str, Any], pools: tuple[Pool, ...]) -> Network:
    """Return a typed configuration as a Network of these pools, whatever it says of any. Raises BadConfig."""
    ipam = net["ipam"]
    return Network(
        net.get("name") or "",
        ipam.get("dataDir") or DATA_DIR,
        pools,
        tuple(map(_route, ipam.get("routes") or ())),
        ipam.get("resolvConf") or "",
        _cooldown(ipam.get("cooldown") or 0),
        _again(ipam.get("duplicateAdd") or "error"),
    )


def _cooldown(seconds: int) -> int:
    if not 0 <= seconds <= 86_400:
        raise BadConfig(f"invalid cooldown {seconds}: seconds from 0 (off) to 86400 (a day)", cooldown=seconds)
    return seconds


def _again(word: str) -> bool:
    if word not in {"error", "return"}:
        raise BadConfig(f'invalid duplicateAdd "{word}": "error" or "return"', duplicateAdd=word)
    return word == "return"


def _route(route: dict[str, Any] | None) -> dict[str, object]:
    """Return a route as the result carries it: host bits and explicit zeros of table and scope stay (spec §1.6)."""
    if not route or route.get("dst") is None:
        raise BadConfig("invalid route: dst is missing")
    shown: dict[str, object] = {"dst": str(route["dst"])}
    if route.get("gw") is not None:
        shown["gw"] = px.format_address(route["gw"])
    shown.update({key: route[key] for key in ("mtu", "advmss", "priority") if route.get(key)})
    shown.update({key: route[key] for key in ("table", "scope") if route.get(key) is not None})
    return shown


def _pools(sets: Sequence[Sequence[dict[str, Any] | None] | None], version: str) -> tuple[Pool, ...]:
    if not sets:
        raise BadConfig("no IP ranges specified")
    pools = []
    for number, ranges in enumerate(sets):
        try:
            pools.append(Pool(number, _range_set(ranges or [])))
        except ValueError as error:
            raise BadConfig(f"invalid range set {number}: {error}", range_set=number) from None
    families = [px.family(pool.ranges[0].first) for pool in pools]
    if version in {"", "0.1.0", "0.2.0"} and len(set(families)) < len(families):
        raise BadConfig(f"CNI version {version} does not support more than 1 address per family")
    for (i, a), (j, b) in combinations(enumerate(pools), 2):
        if any(_overlap(r, s) for r in a.ranges for s in b.ranges):
            raise BadConfig(f"range set {i} overlaps with {j}")
    return tuple(pools)


def _range_set(ranges: Sequence[dict[str, Any] | None]) -> tuple[PoolRange, ...]:
    if not ranges:
        raise ValueError("empty range set")
    found: list[PoolRange] = []
    for spec in ranges:
        found.append(_range(spec or {}))
        if px.family(found[-1].first) != px.family(found[0].first):
            raise ValueError("mixed address families")
    for a, b in combinations(found, 2):
        if _overlap(a, b):
            raise ValueError(f"subnets {a.span} and {b.span} overlap")
    return tuple(found)


def _overlap(a: PoolRange, b: PoolRange) -> bool:
    return px.family(a.first) == px.family(b.first) and a.first <= b.last and b.first <= a.last


def range_of(subnet: str) -> PoolRange:
    """Return the range that a subnet is when nothing else is said of it. Raises ValueError."""
    return _range({"subnet": parse_subnet(subnet)})


def _range(spec: dict[str, Any]) -> PoolRange:
    """Return one range with its defaults. Raises ValueError; the order of the checks is host-local's (spec §2.2)."""
    subnet: Subnet | None = spec.get("subnet")
    if subnet is None:
        raise ValueError("IP <nil> not v4 nor v6")
    if subnet.length > px.BITS - 2:
        raise ValueError(f"Network {subnet} too small to allocate from")
    if subnet.mapped:
        raise ValueError("IPNet IP and Mask version mismatch")
    network = px.truncate(subnet.address, subnet.length)
    if network.first != subnet.address:
        raise ValueError(
            f"Network has host bits set. For a subnet mask of length {network.bits} the network address is"
            f" {px.format_address(network.first)}"
        )
    gateway = network.first + 1 if spec.get("gateway") is None else spec["gateway"]
    if not _inside(gateway, network):
        raise ValueError(f"gateway {px.format_address(gateway)} not in network {network}")
    first, last = _bounds(spec, network)
    return PoolRange(first, last, network.length, gateway)


def _inside(address: int, network: px.Prefix) -> bool:
    """Return whether the address lies in the network and is of its family, as IPv4 lies within ::/0 on the line."""
    return px.family(address) == network.family and network.first <= address <= network.last


def _bounds(spec: dict[str, Any], network: px.Prefix) -> tuple[int, int]:
    start, end = spec.get("rangeStart"), spec.get("rangeEnd")
    comparable = end is not None and px.family(end) == network.family
    if start is not None and (not _inside(start, network) or (comparable and start > end)):
        raise ValueError(f"RangeStart {px.format_address(start)} not in network {network}")
    first = network.first + 1 if start is None else start
    if end is not None and (not _inside(end, network) or end < first):
        raise ValueError(f"RangeEnd {px.format_address(end)} not in network {network}")
    # Without an end an IPv4 range stops before the broadcast address; IPv6 has none (RFC 4291 §2.4).
    last = end if end is not None else network.last - (network.family == 4)
    if first > last:  # plugins 1.1.1 would walk out of the subnet here (defect D9)
        raise ValueError(
            f"RangeStart {px.format_address(first)} is after RangeEnd {px.format_address(last)} in network {network}"
        )
    return first, last
