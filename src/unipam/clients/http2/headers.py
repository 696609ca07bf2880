"""Header fields as HTTP/2 has them (HPACK, RFC 7541), without its dynamic table, which each side may decline.

Of what is read only fields whose names are spelled out are told: those of the static table say nothing that gRPC
needs.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

_LENGTHS = (
    b"ISXXXXXXXTZXXZXXXXXXXXZXXXXXXXXXBFFHIBDGFFDGDBBBAAABBBBBBBCDKBHFIBCCCCCCCCCCCCCCCCCCCCCCDCDIOIJBKABABABBBACCBBBABCBAABC"
    b"CCCCKGJIXPRPPRRRSRSSSSSTSTTRSTSSSSQRSRSSTRQPRRSSQSRRTQRSSQQRQSRSSPRRRSRRSVVPORSRUVVVWWVTUOQVWWVWTQQVVXWWWPTPQRQQSRRU"
    b"UTTVSVWVVWWWWWXWWWWWVZ"
)
"""How many bits the code of each byte has, and last that of the end: A stands for five. The codes themselves follow
from that: they are consecutive in the order of their lengths and their bytes (RFC 7541, appendix B)."""
_END = 256


def encode(fields: Iterable[tuple[str, str]]) -> bytes:
    """Encode fields as literals that nobody is to remember."""
    return b"".join(b"\0" + _text(name) + _text(value) for name, value in fields)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _whole(len(encoded), 7) + encoded


def _whole(value: int, bits: int) -> bytes:
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    encoded, value = bytearray([most]), value - most
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode(block: bytes) -> dict[str, str]:
    """Decode the fields whose names are spelled out. Raises ValueError for what is no block of fields."""
    return dict(_decoded(block))


@functools.lru_cache(maxsize=64)  # nearly all answers begin and end alike
def _decoded(block: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    try:
        while at < len(block):
            first = block[at]
            if first & 0x80:  # a field of the static table
                _, at = _read_whole(block, at, 7)
            elif first & 0xE0 == 0x20:  # the size of the table that there is not
                _, at = _read_whole(block, at, 5)
            else:
                at = _literal(block, at, found)
    except IndexError:
        raise ValueError("it ends in the middle of a field") from None
    return found


def _literal(block: bytes, at: int, found: dict[str, str]) -> int:
    index, at = _read_whole(block, at, 6 if block[at] & 0x40 else 4)
    name = ""
    if not index:
        name, at = _read_text(block, at)
    value, at = _read_text(block, at)
    if name:
        found[name] = value
    return at


def _read_whole(block: bytes, at: int, bits: int) -> tuple[int, int]:
    most = (1 << bits) - 1
    value, at = block[at] & most, at + 1
    if value < most:
        return value, at
    shift = 0
    while shift < 32:
        value += (block[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not block[at - 1] & 0x80:
            return value, at
    raise ValueError("a number is too long")


def _read_text(block: bytes, at: int) -> tuple[str, int]:
    packed = bool(block[at] & 0x80)
    size, at = _read_whole(block, at, 7)
    if at + size > len(block):
        raise ValueError("it ends in the middle of a text")
    encoded = block[at : at + size]
    return (_unpacked(encoded) if packed else encoded).decode(errors="replace"), at + size


@functools.cache
def _codes() -> dict[tuple[int, int], int]:
    """Return which byte each code stands for, by its length and its bits."""
    lengths = [letter - ord("A") + 5 for letter in _LENGTHS]
    found, code, before = {}, 0, 0
    for symbol in sorted(range(len(lengths)), key=lambda symbol: (lengths[symbol], symbol)):
        code <<= lengths[symbol] - before
        before = lengths[symbol]
        found[before, code] = symbol
        code += 1
    return found


def _unpacked(encoded: bytes) -> bytes:
    codes, unpacked = _codes(), bytearray()
    code = length = 0
    for byte in encoded:
        for bit in range(7, -1, -1):
            code, length = code << 1 | byte >> bit & 1, length + 1
            symbol = codes.get((length, code))
            if symbol is not None:
                if symbol == _END:
                    raise ValueError("a text ends before its end")
                unpacked.append(symbol)
                code = length = 0
    if length > 7 or code != (1 << length) - 1:
        raise ValueError("a text ends in the middle of a letter")
    return bytes(unpacked)
