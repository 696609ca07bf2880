"""A launcher played by hand: the frames it sends, and what it hears."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from tests.conftest import Reply, environment

from unipam.cni.call import KEY, Call, encode_call


def encoded(config: dict[str, Any]) -> bytes:
    return json.dumps(config).encode()


def question(verb: str, config: dict[str, Any], container: str = "dummy", key: str = "a" * 32) -> bytes:
    """The frame that a launcher sends."""
    return encode_call(Call("host-local", environment(verb, container) | {KEY: key}, encoded(config), cwd="/"))


def receive(connection: socket.socket) -> Reply:
    """A whole answer, not acknowledged."""
    with connection.makefile("rb") as stream:
        size, code, out = struct.unpack("<IBI", stream.read(9))
        rest = stream.read(size - 5)
    return Reply(code, rest[:out], rest[out:])


def hung_up(connection: socket.socket) -> bool:
    """Whether the agent closes the connection without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
