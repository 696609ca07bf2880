"""One call of a CNI plugin, and the frames in which the launcher and the agent exchange it (drawn in docs/cni.md)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from unipam.cni.context import Context

T = TypeVar("T")

KEY = "UNIPAM_CALL"
"""The variable in which the launcher names a call: random, the same when the call is asked again cold."""

SOCKET = "/run/unipam/agent.sock"
"""Where the agent listens unless somebody says otherwise."""

ACK = b"k"
"""What the launcher sends once the caller has the whole answer."""


class Config:
    """A network configuration as far as the protocol reads it; the rest is in `document`.

    It remembers what a plugin reads out of it: a node's pods bring the same configuration again and again.
    """

    __slots__ = ("_readings", "document", "name", "version")

    def __init__(self, name: str, version: str, document: dict[str, Any]) -> None:
        self.name = name
        self.version = version
        self.document = document
        self._readings: dict[object, Any] = {}

    def read(self, reading: Callable[..., T], *given: str) -> T:
        """Return what `reading` makes of the document and `given`. Raises what that raises, each time anew."""
        key = reading, *given
        if key in self._readings:
            return cast("T", self._readings[key])
        return self._readings.setdefault(key, reading(self.document, *given))  # type: ignore[no-any-return]


UNREAD = Config("", "", {})
"""A configuration that has not been read yet, or cannot be."""


class Arguments(NamedTuple):
    """CNI_ARGS, split: `pairs` up to the first part that is no pair, which `problem` names as libcni does.

    `named` has the values of all pairs by their keys.
    """

    pairs: Sequence[Sequence[str]] = ()
    problem: str = ""
    named: Mapping[str, str] = MappingProxyType({})

    @property
    def pod(self) -> str:
        """The pod's namespace and name; empty where none is named."""
        name = self.named.get("K8S_POD_NAME")
        return "" if name is None else f"{self.named.get('K8S_POD_NAMESPACE', '')}/{name}"


NO_ARGUMENTS = Arguments()


class Call(msgspec.Struct):
    """One call of a plugin: what the runtime says, and what `protocol.read` makes of it, once.

    Bytes of a name or the environment that are not UTF-8 become U+FFFD. `pid` is the calling process (0: this one),
    `asked` when it began to ask, in CLOCK_BOOTTIME seconds. `namespace` is the inode of its network namespace, where
    that is known without a look (else 0).

    `key` tells this call from every other, also when it is asked again ("" when nobody said). `last` says that the
    caller asks nobody after us: after the agent it becomes the cold path, after that nothing.

    Of an ADD `facts` say who the owner is and where its namespace is, for people and for the sweep; `own` says that
    this namespace is the caller's own.
    """

    plugin: str
    env: dict[str, str]
    stdin: bytes
    cwd: str = "."
    pid: int = 0
    asked: float = 0.0
    namespace: int = 0
    key: str = ""
    last: bool = True
    config: Config = UNREAD
    arguments: Arguments = NO_ARGUMENTS
    facts: Mapping[str, object] = MappingProxyType({})
    own: bool = False

    @property
    def verb(self) -> str:
        """ADD, DEL and so on; empty when a person called."""
        return self.env.get("CNI_COMMAND", "")


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


AT_IT = b"\0\0\0\0"
"""An empty frame: the agent is at it, and the launcher waits anew."""

AT_IT_FOR = 20.0
"""For how many seconds an agent says so of one call: it may be stuck with it, and then the launcher is to ask cold."""

PATIENCE = 4.0
"""After how many seconds of silence a launcher asks cold."""

_LENGTH = struct.Struct("<I")
_ANSWER = struct.Struct("<IBI")


def frame_size(data: bytes | bytearray) -> int:
    """Return how many bytes the whole frame has that `data` begins; 0 while that cannot be told."""
    return 4 + int(_LENGTH.unpack_from(data)[0]) if len(data) >= 4 else 0


def decode_call(frame: bytes, pid: int = 0, asked: float = 0.0, namespace: int = 0) -> Call:
    """Return the call in a whole frame. Raises ValueError when it is not one."""
    argv0, cwd, rest = frame[4:].split(b"\0", 2)  # either may be empty: a directory can be removed under its process
    head, found, stdin = (b"\0" + rest).partition(b"\0\0")
    if not found:
        raise ValueError("the frame has no end of the environment")
    env = dict([pair.split("=", 1) for pair in head.decode("utf-8", "replace").split("\0") if "=" in pair])
    plugin = argv0.decode("utf-8", "replace").rpartition("/")[2]
    return Call(plugin, env, stdin, cwd.decode("utf-8", "surrogateescape"), pid, asked, namespace)


def encode_call(call: Call) -> bytes:
    """Return the frame the launcher sends."""
    words = (call.plugin, call.cwd, *(f"{name}={value}" for name, value in call.env.items()))
    body = "\0".join(words).encode("utf-8", "surrogateescape") + b"\0\0" + call.stdin
    return _LENGTH.pack(len(body)) + body


def encode_answer(answer: Answer) -> bytes:
    """Return the frame the agent sends back."""
    out, err = answer.stdout, answer.stderr
    return _ANSWER.pack(5 + len(out) + len(err), answer.code, len(out)) + out + err
