"""azure-vnet-ipam as the CNI room calls it: from allocation to result, from error to words.

Spec: azure-vnet-ipam §1.5 (results), §1.7 (codes and texts). Identity is the container id alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from unipam.addr.prefix import V4_OFFSET, format_address
from unipam.cni.result import Ip
from unipam.dialects.azure_vnet.config import Network
from unipam.ledger.learned import LearnedPool
from unipam.model.errors import (
    Exhausted,
    GivenBack,
    IsGateway,
    Refused,
    StoreBroken,
    StoreBusy,
    StoreFull,
    Superseded,
    Taken,
    UnipamError,
    Unmet,
)

DNS: Mapping[str, object] = {"nameservers": ["168.63.129.16"]}
VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")

CODES: dict[type[UnipamError], int] = {
    UnipamError: 100,  # everything that the original's own code reports
    StoreBusy: 11,
    GivenBack: 11,
    Superseded: 11,
    StoreBroken: 5,
    StoreFull: 5,
}

ALLOCATE_POOL = "Failed to allocate pool"
ALLOCATE_ADDRESS = "Failed to allocate address"
RELEASE_ADDRESS = "Failed to release address"

_WORDS: dict[type[UnipamError], str] = {
    Exhausted: "No available addresses",
    Taken: "Address already in use",
    Unmet: "Address not found",
    IsGateway: "Address not found",
}


def word(error: UnipamError) -> str:
    """Return an error in the original's words; `during` brought the step in front."""
    return error.message


def during(step: str, error: Refused) -> Refused:
    """Return the error of a step as the original prints it."""
    return type(error)(f"{step}: {_WORDS.get(type(error), error.message)}", **error.facts)


def shown(address: int, pool: LearnedPool) -> Ip:
    """Return an address of a pool as a result shows it: with the length of the whole subnet, and the gateway."""
    bits = pool.network.length - (V4_OFFSET if pool.network.family == 4 else 0)
    gateway = None if pool.gateway is None else format_address(pool.gateway)
    return Ip(address, f"{format_address(address)}/{bits}", gateway)


def routes(network: Network, pool: LearnedPool) -> tuple[dict[str, object], ...]:
    """Return the default route. The original gives the IPv4 one to IPv6 pools as well, which nobody can use."""
    destination = "0.0.0.0/0" if pool.network.family == 4 or network.strict else "::/0"
    gateway = {} if pool.gateway is None else {"gw": format_address(pool.gateway)}
    return ({"dst": destination, **gateway},)
