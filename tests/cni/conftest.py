"""What the launcher's tests stand on: a plugin directory with a launcher in it, and a socket answered by hand.

The launcher is a real process and the socket a real one; its "interpreter" is a script that records what it was given.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from unipam.cni import launcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 20  # seconds; only a broken launcher waits that long

RECORDING_INTERPRETER = """#!/bin/sh
printf '%s\\0' "$@" > "{0}/argv"
cat /proc/$$/environ > "{0}/env"
ls -l /proc/$$/fd > "{0}/descriptors"
cat > "{0}/stdin"
echo cold
exit 3
"""


class Answer(NamedTuple):
    """What a caller gets; an output that went elsewhere is None."""

    code: int
    out: bytes | None
    err: bytes | None = b""

    def error(self) -> str:
        """The message, if this is a failure of the launcher's own and nothing else."""
        assert (self.code, self.err) == (1, b"")
        assert self.out
        assert self.out.startswith(b'{\n    "code": 5,\n    "msg": "')
        document = json.loads(self.out)
        assert list(document) == ["code", "msg"]
        return str(document["msg"])


class Launched(subprocess.Popen[bytes]):
    """A running launcher."""

    def give(self, stdin: bytes) -> None:
        """All of its stdin, then the end of it."""
        assert self.stdin
        self.stdin.write(stdin)
        self.stdin.close()
        self.stdin = None

    def finish(self) -> Answer:
        """Wait for its end."""
        out, err = self.communicate(timeout=PATIENCE)
        return Answer(self.returncode, out, err)


@dataclass
class Call:
    """One connection of a launcher, its question already read."""

    connection: socket.socket
    name: str
    cwd: str
    env: dict[str, str]
    stdin: bytes

    def answer(self, code: int, out: bytes = b"", err: bytes = b"") -> None:
        self.connection.sendall(struct.pack("<IBI", 5 + len(out) + len(err), code, len(out)) + out + err)

    def rest(self) -> bytes:
        """All that comes until the launcher hangs up."""
        with self.connection.makefile("rb") as stream:
            return stream.read()

    def hang_up(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


class AgentByHand:
    """A socket that a test answers itself, in the order in which things happen."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(8)
        self.listener.settimeout(PATIENCE)
        self.connections: list[socket.socket] = []

    def accept(self) -> socket.socket:
        connection, _ = self.listener.accept()
        self.connections.append(connection)
        connection.settimeout(PATIENCE)
        return connection

    def receive(self) -> Call:
        connection = self.accept()
        with connection.makefile("rb") as stream:
            (size,) = struct.unpack("<I", stream.read(4))
            frame = stream.read(size)
        name, cwd, rest = frame.split(b"\0", 2)
        entries, stdin = rest.split(b"\0\0", 1)
        env = dict(entry.split("=", 1) for entry in os.fsdecode(entries).split("\0"))
        return Call(connection, os.fsdecode(name), os.fsdecode(cwd), env, stdin)

    def has_callers(self) -> bool:
        self.listener.settimeout(0)
        try:
            self.accept()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        for each in [*self.connections, self.listener]:
            each.close()


@dataclass
class Node:
    """A plugin directory, the agent's place, and what the cold path was given."""

    directory: Path

    env = {  # noqa: RUF012 (a constant)
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "c1",
        "CNI_IFNAME": "eth0",
        "CNI_NETNS": "/n",
        "CNI_PATH": "/p",
    }
    conf = b'{"cniVersion":"1.0.0","name":"net","ipam":{"type":"host-local"}}'

    def __post_init__(self) -> None:
        self.plugin = self.directory / "host-local"
        self.socket = self.directory / "agent.sock"
        self.interpreter = self.directory / "python"
        self.interpreter.write_text(RECORDING_INTERPRETER.format(self.directory))
        self.interpreter.chmod(0o755)
        self.plugin.write_bytes(launcher.configured(self.socket, launcher.cold([str(self.interpreter)])))
        self.plugin.chmod(0o755)

    def start(self, env: dict[str, str] | None = None, **how: Any) -> Launched:
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        defaults = {"args": [self.plugin], "env": self.env if env is None else env}
        return Launched(**(defaults | pipes | how))

    def start_by_shell(self, script: str, **how: Any) -> Launched:
        return self.start(args=["/bin/sh", "-c", script.format(plugin=f'"{self.plugin}"')], **how)

    def ask(self, stdin: bytes | None = None, **how: Any) -> Launched:
        """Start it and give it its stdin."""
        process = self.start(**how)
        process.give(self.conf if stdin is None else stdin)
        return process

    def recorded(self, what: str) -> bytes:
        return (self.directory / what).read_bytes()

    def recorded_env(self) -> list[str]:
        return os.fsdecode(self.recorded("env")).rstrip("\0").split("\0")

    def assert_cold(self, answer: Answer, stdin: bytes | None = None) -> None:
        """The interpreter answered, and had been given the whole call and nothing else."""
        assert answer == (3, b"cold\n", b"")
        assert self.recorded("stdin") == (self.conf if stdin is None else stdin)
        assert b"socket:" not in self.recorded("descriptors")
        assert self.recorded("argv").split(b"\0") == [
            *map(os.fsencode, launcher.cold()[1:]),
            os.fsencode(self.plugin),
            b"",
        ]


@pytest.fixture(scope="session")
def make_node() -> Callable[[Path], Node]:
    return Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def agent_by_hand(node: Node) -> Iterator[AgentByHand]:
    agent = AgentByHand(node.socket)
    yield agent
    agent.close()
