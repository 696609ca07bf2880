"""SRV records of DNS (RFC 1035, RFC 2782), asked of the name servers in /etc/resolv.conf.

The standard library resolves addresses only.
"""

from __future__ import annotations

import random
import socket
import struct
from pathlib import Path
from typing import NamedTuple

from unipam.model.errors import SourceFailed

RESOLV_CONF = "/etc/resolv.conf"
_SRV, _IN = 33, 1
_RECURSE, _TRUNCATED, _CODE, _NO_SUCH_NAME = 0x0100, 0x0200, 0xF, 3
_WITHIN = 3.0
"""Seconds that a name server has to answer."""
_MOST_JUMPS = 64
"""How many compressed labels a name may have: a loop ends."""


class Target(NamedTuple):
    """Where a service is; a lower priority goes first, and then a higher weight."""

    priority: int
    weight: int
    port: int
    host: str


def services(name: str) -> list[Target]:
    """Return the targets of a name's SRV records, the preferred first; none where there is no such name.

    Raises SourceFailed when no name server answers.
    """
    problem = f"{RESOLV_CONF} names no name server"
    for server in _servers():
        try:
            return sorted(_ask(server, name), key=lambda each: (each.priority, -each.weight, each.host, each.port))
        except (OSError, ValueError, IndexError, struct.error) as error:
            problem = f"{server[0]}: {str(error) or type(error).__name__}"
    raise SourceFailed(f"the SRV records of {name} cannot be read: {problem}", source=name)


def _servers() -> list[tuple[str, int]]:
    try:
        lines = Path(RESOLV_CONF).read_text("utf-8").splitlines()
    except OSError:
        return []
    return [(words[1], 53) for line in lines if (words := line.split())[:1] == ["nameserver"] and len(words) > 1]


def _ask(server: tuple[str, int], name: str) -> list[Target]:
    number = random.getrandbits(16)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"
    query = struct.pack(">6H", number, _RECURSE, 1, 0, 0, 0) + labels + struct.pack(">2H", _SRV, _IN)
    answer = _by_datagram(server, query)
    if struct.unpack_from(">H", answer, 2)[0] & _TRUNCATED:
        answer = _by_stream(server, query)
    if answer[:2] != query[:2]:
        raise ValueError("the answer is to another question")
    return _targets(answer)


def _by_datagram(server: tuple[str, int], query: bytes) -> bytes:
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as own:
        own.settimeout(_WITHIN)
        own.connect(server)
        own.send(query)
        return own.recv(65535)


def _by_stream(server: tuple[str, int], query: bytes) -> bytes:
    with socket.create_connection(server, _WITHIN) as own:
        own.sendall(struct.pack(">H", len(query)) + query)
        with own.makefile("rb") as answer:
            return answer.read(struct.unpack(">H", answer.read(2))[0])


def _targets(answer: bytes) -> list[Target]:
    _, flags, questions, answers, _, _ = struct.unpack_from(">6H", answer)
    if code := flags & _CODE:
        if code == _NO_SUCH_NAME:
            return []
        raise ValueError(f"it answers with code {code}")
    at, found = 12, []
    for _ in range(questions):
        at = _name(answer, at)[1] + 4
    for _ in range(answers):
        at = _name(answer, at)[1]
        kind, _, _, length = struct.unpack_from(">2HIH", answer, at)
        if kind == _SRV:
            priority, weight, port = struct.unpack_from(">3H", answer, at + 10)
            found.append(Target(priority, weight, port, _name(answer, at + 16)[0]))
        at += 10 + length
    return found


def _name(message: bytes, at: int) -> tuple[str, int]:
    """Return the name that stands in a message, and where what follows it begins. Raises ValueError, IndexError."""
    labels, end = [], 0
    for _ in range(_MOST_JUMPS):
        length = message[at]
        if length & 0xC0:
            end = end or at + 2
            at = struct.unpack_from(">H", message, at)[0] & 0x3FFF
        elif length:
            labels.append(message[at + 1 : at + 1 + length].decode())
            at += 1 + length
        else:
            return ".".join(labels), end or at + 1
    raise ValueError("a name in it does not end")
