"""unipam's own plugin between protocol and ledger: from leases to results, and the codes of its errors."""

from __future__ import annotations

import functools
import time

from unipam.addr.prefix import V4_OFFSET, family, format_address, is_v4
from unipam.cni.result import Ip, Result
from unipam.dialects.azure_vnet import nics
from unipam.dialects.native.config import Network
from unipam.ledger.learned import Learned, LearnedPool
from unipam.model.errors import (
    BadInput,
    GivenBack,
    SourceFailed,
    StoreBroken,
    StoreBusy,
    StoreFull,
    Superseded,
    UnipamError,
)
from unipam.model.records import Claim

NAME = "unipam"

CODES: dict[type[UnipamError], int] = {
    UnipamError: 999,
    BadInput: 7,
    StoreBusy: 11,
    GivenBack: 11,
    Superseded: 11,
    SourceFailed: 11,
    StoreBroken: 5,
    StoreFull: 5,
}

AGAIN_LATER = 11
"""The code of what an operator is about to mend by bringing more addresses."""

_KEPT_BY_AZURE = 3
"""Where in a subnet an address is that Azure gives to nobody (the first four and the last are its own)."""

_LOOK_AGAIN = 60.0
"""Seconds for which the name of an interface holds."""

_DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def word(error: UnipamError) -> str:
    """Return an error in words, as it is."""
    return error.message


def result(network: Network, learned: Learned, claims: tuple[Claim, ...]) -> Result:
    """Return what the owner of these claims is told.

    Each address has the length and the gateway of its subnet, and there is a default route for each family, unless the
    configuration has routes or gateways of its own. The interface is the machine's through which the address is reached
    (cni#1137: Cilium takes its hardware address).
    """
    ips = tuple(_ip(network, learned, claim) for claim in claims)
    routes = network.terms.routes or tuple(map(_route, ips))
    pools = [learned.holding(claim.first) for claim in claims]
    macs = dict.fromkeys(pool.interface for pool in pools if pool is not None and pool.interface)
    interfaces: tuple[dict[str, object], ...] = tuple({"name": _device(mac), "mac": mac} for mac in macs)
    return Result(ips, routes, interfaces=interfaces)


def _ip(network: Network, learned: Learned, claim: Claim) -> Ip:
    pool = learned.holding(claim.first)
    offset = V4_OFFSET if is_v4(claim.first) else 0
    length = pool.network.length if pool else 128
    own = None if pool is None else apart(pool) if network.apart else pool.gateway
    gateway = network.gateways.get(family(claim.first), own)
    shown = None if gateway is None else format_address(gateway)
    return Ip(claim.first, f"{format_address(claim.first)}/{length - offset}", shown)


def apart(pool: LearnedPool) -> int | None:
    """Return the gateway that pods of `ptp` are told in a subnet of Azure, which keeps this address and uses it not.

    The plugin gives the gateway's address to the node itself, once for each pod. Were it the subnet's own, the node
    would take its way out for itself, and could not set up a route over it again.
    """
    return pool.network.first + _KEPT_BY_AZURE if pool.interface and pool.gateway is not None else pool.gateway


def _route(ip: Ip) -> dict[str, object]:
    gateway = {} if ip.gateway is None else {"gw": ip.gateway}
    return {"dst": _DEFAULT[family(ip.place)], **gateway}


def _device(mac: str) -> str:
    """Return the name of this machine's interface of a hardware address; empty where it has none to be seen."""
    return _looked_up(mac, int(time.monotonic() // _LOOK_AGAIN))


@functools.lru_cache(maxsize=16)
def _looked_up(mac: str, _: int) -> str:
    return next((name for name, own in nics.local() if own == nics.normal(mac)), "")
