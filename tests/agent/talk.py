"""A launcher played by hand: the frames it sends, and what it hears."""

from __future__ import annotations

import json
import socket
import struct
import urllib.request
from pathlib import Path
from typing import Any

from tests.conftest import ANSWERED_WITHIN, Reply, environment

from unipam.cni.call import ACK, KEY, Call, encode_call


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


def ask(path: Path, verb: str, config: dict[str, Any], container: str) -> Reply:
    """What the agent itself answers to one call; the launcher would ask elsewhere in time."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWERED_WITHIN)
        connection.connect(str(path))
        connection.sendall(question(verb, config, container))
        reply = receive(connection)
        connection.sendall(ACK)
    return reply


def metric(port: int, name: str) -> float:
    """The sum of a metric over all of its labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=ANSWERED_WITHIN) as answer:
        lines = [line.split() for line in answer.read().decode().splitlines()]
    return sum(float(line[-1]) for line in lines if line[0].split("{")[0] == name)
