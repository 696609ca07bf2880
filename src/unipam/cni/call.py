"""One call of a CNI plugin, and the frames in which the launcher and the agent exchange it (drawn in docs/cni.md)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from unipam.cni.context import Context

KEY = "UNIPAM_CALL"
"""The variable in which the launcher names a call: random, the same when the call is asked again cold."""

SOCKET = "/run/unipam/agent.sock"
"""Where the agent listens unless somebody says otherwise."""

ACK = b"k"
"""What the launcher sends once the caller has the whole answer."""


class Call(NamedTuple):
    """What a runtime says when it calls a plugin. Bytes of a name or the environment that are not UTF-8 become U+FFFD.

    `pid` is the calling process (0: this one), `asked` when it began to ask, in CLOCK_BOOTTIME seconds. `home` is the
    inode of its network namespace, where that is known without looking (else 0).
    """

    plugin: str
    env: dict[str, str]
    stdin: bytes
    cwd: str = "."
    pid: int = 0
    asked: float = 0.0
    home: int = 0

    @property
    def verb(self) -> str:
        """ADD, DEL and so on; empty when a person called."""
        return self.env.get("CNI_COMMAND", "")

    @property
    def last(self) -> bool:
        """Whether the caller asks nobody after us: after the agent it becomes the cold path, after that nothing."""
        return self.pid == 0

    @property
    def key(self) -> str:
        """What tells this call from every other, also when it is asked again; empty when nobody said."""
        return self.env.get(KEY, "")


Undo = Callable[[Context], None]
"""Takes back what a call did, in the context of whoever does it (a connection belongs to one thread)."""


class Answer(NamedTuple):
    """What the plugin prints and its exit code.

    `undo` is for the case that the caller does not live to hear it. `facts` are for the log.
    """

    code: int
    stdout: bytes = b""
    stderr: bytes = b""
    undo: Undo | None = None
    facts: Mapping[str, object] = MappingProxyType({})


_LENGTH = struct.Struct("<I")
_ANSWER = struct.Struct("<IBI")


def frame_size(data: bytes | bytearray) -> int:
    """How many bytes the whole frame has that `data` begins; 0 while that cannot be told."""
    return 4 + int(_LENGTH.unpack_from(data)[0]) if len(data) >= 4 else 0


def decode_call(frame: bytes, pid: int = 0, asked: float = 0.0, home: int = 0) -> Call:
    """The call in a whole frame. Raises ValueError when it is not one."""
    argv0, cwd, rest = frame[4:].split(b"\0", 2)  # either may be empty: a directory can be removed under its process
    head, found, stdin = (b"\0" + rest).partition(b"\0\0")
    if not found:
        raise ValueError("the frame has no end of the environment")
    env = dict([pair.split("=", 1) for pair in head.decode("utf-8", "replace").split("\0") if "=" in pair])
    plugin = argv0.decode("utf-8", "replace").rpartition("/")[2]
    return Call(plugin, env, stdin, cwd.decode("utf-8", "surrogateescape"), pid, asked, home)


def encode_call(call: Call) -> bytes:
    """The frame the launcher sends."""
    words = (call.plugin, call.cwd, *(f"{name}={value}" for name, value in call.env.items()))
    body = "\0".join(words).encode("utf-8", "surrogateescape") + b"\0\0" + call.stdin
    return _LENGTH.pack(len(body)) + body


def encode_answer(answer: Answer) -> bytes:
    """The frame the agent sends back."""
    out, err = answer.stdout, answer.stderr
    return _ANSWER.pack(5 + len(out) + len(err), answer.code, len(out)) + out + err
