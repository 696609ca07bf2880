"""Protocol Buffers' wire format, both ways (https://protobuf.dev/programming-guides/encoding).

A handful of small messages is no reason for generated classes and their runtime, which take longer to import than a
call takes; what the fields mean is known to whoever calls.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WORD = (1 << 64) - 1


def field(number: int, value: int | bytes | str) -> bytes:
    """Encode one field: a number, or bytes (a text, a message). A number that is 0 is left out, as proto3 does."""
    if isinstance(value, int):
        return varint(number << 3 | _VARINT) + varint(value & _WORD) if value else b""
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | _BYTES) + varint(len(content)) + content


def varint(value: int) -> bytes:
    """Encode a number from 0 to 2^64 - 1."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message in order: number and value. Raises ValueError when it is none."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
            continue
        size, at = _size(message, at, kind)
        if at + size > len(message):
            raise ValueError("it ends in the middle of a field")
        yield tag >> 3, message[at : at + size]
        at += size


def number(value: int | bytes) -> int:
    """Read a field that must be a number. Raises ValueError."""
    if not isinstance(value, int):
        raise ValueError("a message where a number belongs")
    return value


def content(value: int | bytes) -> bytes:
    """Read a field that must be bytes: a text or a message. Raises ValueError."""
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def text(value: int | bytes) -> str:
    """Read a field that must be a text. Raises ValueError."""
    return content(value).decode()


def _size(message: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind == _BYTES:
        return _read_varint(message, at)
    if kind not in {_FIXED64, _FIXED32}:
        raise ValueError(f"wire type {kind} does not exist")
    return (8 if kind == _FIXED64 else 4), at


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("it ends in the middle of a number")
