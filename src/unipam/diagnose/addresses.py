"""Addresses as names: of files and in tables, and their order."""

from __future__ import annotations

from unipam.addr.prefix import family, parse_address

NO_ADDRESS = 9
"""Stands in the key for what is no address."""


def address_of(name: str) -> int | None:
    """Return the address that a name is, in which host-local writes `_` for `:`; None when it is none."""
    try:
        return parse_address(name.replace("_", ":"))
    except ValueError:
        return None


def by_address(name: str) -> tuple[int, int, str]:
    """Return the sorting key of names that begin with an address: IPv4, IPv6, by number, and last what is none."""
    try:
        address = parse_address(name.partition("/")[0].partition("-")[0])
    except ValueError:
        return (NO_ADDRESS, 0, name)
    return (family(address), address, name)
