"""host-local between protocol and ledger: from arguments to wishes, from allocation to result, from error to words.

Spec: cni-and-host-local §2. Identity is (network, container id, interface); the state lies in `<dataDir>/unipam.db`.
"""

from __future__ import annotations

from typing import Any

from unipam.addr.prefix import V4_OFFSET, format_address, is_v4
from unipam.cni.call import Arguments
from unipam.cni.result import Ip
from unipam.dialects.host_local import config
from unipam.dialects.host_local.config import Network
from unipam.golang.formatting import quote
from unipam.model.errors import (
    BadConfig,
    GivenBack,
    Missing,
    Refused,
    SourceFailed,
    StoreBroken,
    StoreBusy,
    StoreFull,
    Superseded,
    UnipamError,
)
from unipam.model.records import Claim, PoolRange

NAME = "host-local"

CODES: dict[type[UnipamError], int] = {
    UnipamError: 999,  # everything that host-local's own code reports
    StoreBusy: 11,
    GivenBack: 11,
    Superseded: 11,
    SourceFailed: 11,
    StoreBroken: 5,
    StoreFull: 5,
}


def wishes(typed: dict[str, Any], arguments: Arguments) -> tuple[int, ...]:
    """Return the addresses asked for, through any of the three channels, in the order of asking. Raises BadConfig.

    All channels add up, as in host-local; unlike it, IP= takes a comma list, which multus sends (spec §1.10, §5.4).
    """
    found = (*_args(arguments), *config.wishes(typed))
    if not found:
        return ()
    if None in found:
        raise BadConfig("cannot understand ip: IP <nil> not v4 nor v6")
    return tuple(wish for wish in dict.fromkeys(found) if wish is not None)


def _args(arguments: Arguments) -> tuple[int | None, ...]:
    asked: tuple[int | None, ...] = ()
    ignore = False
    unknown: list[tuple[str, str]] = []
    for key, value in arguments.pairs:
        try:
            if key == "IP":
                asked = tuple(config.parse_wish(text) for text in value.split(",")) if value else ()
            elif key == "IgnoreUnknown":
                ignore = _boolean(value)
            else:
                unknown.append((key, value))
        except ValueError as error:
            raise BadConfig(f"ARGS: error parsing value of pair {quote(f'{key}={value}')}: {error}") from None
    if arguments.problem:
        raise BadConfig(arguments.problem)
    if unknown and not ignore:
        raise BadConfig(f"ARGS: unknown args [{' '.join(quote(f'{key}={value}') for key, value in unknown)}]")
    return asked


def _boolean(text: str) -> bool:
    if text.lower() not in {"1", "true", "0", "false"}:
        raise ValueError(f"boolean unmarshal error: invalid input {text}")
    return text.lower() in {"1", "true"}


def addresses(network: Network, claims: tuple[Claim, ...]) -> tuple[Ip, ...]:
    """Return the claims as a result shows them: each with the length of the subnet it came from, and the gateway.

    Answered again for a range that the configuration no longer has, a lease stands alone (/32, /128), without gateway.
    """
    shown = []
    for claim in claims:
        span = _span(network, claim.first)
        offset = V4_OFFSET if is_v4(claim.first) else 0
        length = span.length if span else 128
        gateway = format_address(span.gateway) if span and span.gateway is not None else None
        shown.append(Ip(claim.first, f"{format_address(claim.first)}/{length - offset}", gateway))
    return tuple(shown)


def _span(network: Network, address: int) -> PoolRange | None:
    for pool in network.pools:
        if span := pool.find(address):
            return span
    return None


def word(error: UnipamError) -> str:
    """Return an error in host-local's words (spec §2.7)."""
    if isinstance(error, Missing):
        return f"host-local: {error.message}"
    if isinstance(error, Refused) and "pool" in error.facts:
        return f"failed to allocate for range {error.facts['pool']}: {error.message}"
    return error.message
