"""The order of addresses: as numbers, IPv4 first, and what is no address after them."""

from __future__ import annotations

import ipaddress

NO_ADDRESS = 9
"""Stands in the key for what is no address."""


def by_address(name: str) -> tuple[int, int, str]:
    """The sorting key of names that begin with an address: as addresses, the others after them."""
    try:
        address = ipaddress.ip_address(name.partition("/")[0].partition("-")[0])
    except ValueError:
        return (NO_ADDRESS, 0, name)
    return (address.version, int(address), name)
