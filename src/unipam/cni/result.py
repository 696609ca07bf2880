"""Results and errors as each version of CNI prints them (spec cni-and-host-local §1.6, §1.7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from unipam.addr.prefix import is_v4
from unipam.model.errors import BadConfig


class Ip(NamedTuple):
    """One address of a result: its place on the line, its text with the network's length, and its gateway if any."""

    place: int
    address: str
    gateway: str | None


class Result(NamedTuple):
    """What an ADD answers. Routes are objects as the configuration has them; dns is {} when there is none.

    `version` is the one it is rendered for, where that is not the configuration's. `interfaces` are the machine's ones
    through which the addresses are reached, from an IPAM plugin that knows; who does not look for them overlooks them.
    """

    ips: tuple[Ip, ...]
    routes: tuple[dict[str, object], ...] = ()
    dns: Mapping[str, object] = MappingProxyType({})
    version: str = ""
    interfaces: tuple[dict[str, object], ...] = ()


_encode = msgspec.json.Encoder().encode


def print_json(document: object) -> bytes:
    """Return JSON as Go prints it for people: four spaces, and the characters that HTML minds escaped."""
    text = msgspec.json.format(_encode(document), indent=4)
    if b"<" in text or b">" in text or b"&" in text:
        text = text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    return text


def render(result: Result, version: str) -> bytes:
    """Return the result in the shape of the version. Raises BadConfig when the shape cannot hold it."""
    version = result.version or version
    if version >= "1.0.0":
        return print_json(_newest(result, version))
    return print_json(_oldest(result, version) if version < "0.3.0" else _middle(result, version))


def _newest(result: Result, version: str) -> dict[str, object]:
    shown: dict[str, object] = {"cniVersion": version}
    if result.dns:
        shown["dns"] = dict(result.dns)
    if result.interfaces:
        shown["interfaces"] = result.interfaces
    shown["ips"] = [_ip(ip) for ip in result.ips]
    if result.routes:
        shown["routes"] = result.routes
    return shown


def _ip(ip: Ip) -> dict[str, object]:
    return {"address": ip.address} if ip.gateway is None else {"address": ip.address, "gateway": ip.gateway}


def _middle(result: Result, version: str) -> dict[str, object]:
    ips = [{"version": "4" if is_v4(ip.place) else "6", **_ip(ip)} for ip in result.ips]
    routes = {"routes": result.routes} if result.routes else {}
    interfaces = {"interfaces": result.interfaces} if result.interfaces else {}
    return {"cniVersion": version, **interfaces, "ips": ips, **routes, "dns": dict(result.dns)}


def _oldest(result: Result, version: str) -> dict[str, object]:
    shown: dict[str, object] = {"cniVersion": version}
    for ip in result.ips:
        v4 = is_v4(ip.place)
        # Only dst and gw exist here, and a route of a family without an address has no place.
        routes = [
            {k: route[k] for k in ("dst", "gw") if k in route}
            for route in result.routes
            if (":" in str(route["dst"])) != v4
        ]
        entry = {"ip": ip.address, **({} if ip.gateway is None else {"gateway": ip.gateway})}
        shown["ip4" if v4 else "ip6"] = {**entry, **({"routes": routes} if routes else {})}
    if len(shown) == 1:
        raise BadConfig("cannot convert: no valid IP addresses")
    return {**shown, "dns": dict(result.dns)}


def render_error(code: int, message: str, details: str, version: str) -> bytes:
    """Return an error document; libcni shows `msg; details`."""
    shown: dict[str, object] = {"cniVersion": version} if version else {}
    shown |= {"code": code, "msg": message}
    if details:
        shown["details"] = details
    return print_json(shown)
