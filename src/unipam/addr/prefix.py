"""Addresses and prefixes as values on one number line; the only door to `ipaddress`.

**The line.** Every address is an integer of 128 bits. An IPv6 address is itself; an IPv4 address lies at
`::ffff:0:0/96`, where RFC 4291 §2.5.5.2 maps it. So one space, one table and one rule serve both families, and
an IPv4 `/24` is a prefix of length 120 on the line. Text in both directions speaks of the families as people do.

What does not belong here: which address anybody gets.
"""

from __future__ import annotations

import ipaddress
from struct import Struct
from typing import NamedTuple

BITS = 128
LINE_LAST = (1 << BITS) - 1
V4_FIRST = 0xFFFF << 32
V4_LAST = V4_FIRST | 0xFFFFFFFF
V4_OFFSET = 96
"""Bits by which a length on the line exceeds the length of an IPv4 prefix as people write it."""


def is_v4(value: int) -> bool:
    """Return whether the address `value` on the line is an IPv4 address."""
    return value >> 32 == 0xFFFF


def family(value: int) -> int:
    """Return 4 or 6, the family of the address `value` on the line."""
    return 4 if value >> 32 == 0xFFFF else 6


_OCTETS = {str(number): number for number in range(256)}
"""An octet as it must be written: no sign, no leading zero."""


def parse_address(text: str) -> int:
    """Return the address on the line that a text means.

    Accepts what Go's `net.ParseIP` accepts: no zone, no leading zeros in IPv4, an IPv4-mapped IPv6 address means
    the IPv4 one. Raises ValueError with the text in it.
    """
    try:  # what `ipaddress` takes three times as long for, and an operator does for every address of a cluster
        first, second, third, fourth = map(_OCTETS.__getitem__, text.split("."))
        return V4_FIRST | first << 24 | second << 16 | third << 8 | fourth
    except (KeyError, ValueError, AttributeError):
        return _parse_other(text)


def _parse_other(text: str) -> int:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"invalid IP address: {text}") from None
    if isinstance(address, ipaddress.IPv4Address):
        return V4_FIRST | int(address)
    if address.scope_id is not None:
        raise ValueError(f"invalid IP address: {text}")
    return int(address)


def format_address(value: int) -> str:
    """Write an address on the line as people do (RFC 5952 for IPv6)."""
    if value >> 32 == 0xFFFF:
        return f"{value >> 24 & 255}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"
    return _format_v6(value)


_hextets = Struct(">8H").unpack
_join = (":{:x}" * 8 + ":").format
_ZEROS = tuple(":" + "0:" * number for number in range(8, 1, -1))
"""The zeros that RFC 5952 §4.2 leaves out: the most that stand together, the first of them, and never one alone."""


def _format_v6(value: int) -> str:
    """Write an IPv6 address as `ipaddress` does, which takes three times as long, and a listing has many."""
    text = _join(*_hextets(value.to_bytes(16, "big")))
    for zeros in _ZEROS:
        before, found, after = text.partition(zeros)
        if found:
            return f"{before[1:]}::{after[:-1]}"
    return text[1:-1]


class Range(NamedTuple):
    """Addresses from `first` to `last`, both included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{format_address(self.first)}-{format_address(self.last)}"


class Prefix(NamedTuple):
    """A prefix on the line: `first` has no bits set below `length` (0 to 128)."""

    first: int
    length: int

    @property
    def last(self) -> int:
        """Return the highest address within."""
        return self.first | ((1 << (BITS - self.length)) - 1)

    @property
    def size(self) -> int:
        """Return how many addresses it spans."""
        return 1 << (BITS - self.length)

    @property
    def family(self) -> int:
        """Return 4 or 6."""
        return 4 if self.length >= V4_OFFSET and is_v4(self.first) else 6

    @property
    def bits(self) -> int:
        """Return the length as people write it: 24 for an IPv4 /24."""
        return self.length - V4_OFFSET if self.family == 4 else self.length

    def contains(self, other: Prefix) -> bool:
        """Return whether `other` lies within this prefix (or equals it)."""
        return other.length >= self.length and self.first <= other.first <= self.last

    def overlaps(self, other: Prefix) -> bool:
        """Return whether the two share an address; of two prefixes one then contains the other."""
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return f"{format_address(self.first)}/{self.bits}"


def line_length(bits: int, of_family: int) -> int:
    """Return the length on the line of a prefix that people write with `bits` in family 4 or 6."""
    return bits + V4_OFFSET if of_family == 4 else bits


def truncate(value: int, length: int) -> Prefix:
    """Return the prefix of `length` (on the line) that holds the address `value`."""
    shift = BITS - length
    return Prefix(value >> shift << shift, length)


def parse_interface(text: str) -> tuple[int, Prefix]:
    """Read an address with a length (`10.1.2.3/24`): return the address, and the prefix it lies in.

    Raises ValueError with the text in it; an IPv6 prefix that would cover the IPv4-mapped range is refused, since
    on the line it would hold all of IPv4.
    """
    address_text, slash, bits_text = text.partition("/")
    if not slash or not bits_text.isascii() or not bits_text.isdigit() or len(bits_text) > 3:
        raise ValueError(f"invalid CIDR address: {text}")
    value, length = _on_line(text, address_text, int(bits_text))
    prefix = truncate(value, length)
    if length < V4_OFFSET and prefix.first <= V4_FIRST <= prefix.last:
        raise ValueError(f"invalid CIDR address: {text} (it would cover the IPv4-mapped range ::ffff:0:0/96)")
    return value, prefix


def _on_line(text: str, address_text: str, bits: int) -> tuple[int, int]:
    try:
        value = parse_address(address_text)
    except ValueError:
        raise ValueError(f"invalid CIDR address: {text}") from None
    # A mapped address written as IPv6 keeps its IPv6 length; only dotted text has an IPv4 length.
    length = line_length(bits, 6 if ":" in address_text else 4)
    if length > BITS:
        raise ValueError(f"invalid CIDR address: {text}")
    return value, length


def parse_prefix(text: str) -> Prefix:
    """Read a prefix written canonically. Raises ValueError, also when host bits are set, naming the canonical form."""
    value, prefix = parse_interface(text)
    if value != prefix.first:
        raise ValueError(f"invalid prefix {text}: host bits are set, the network is {prefix}")
    return prefix
