"""The container runtime's own list of sandboxes, over its CRI socket (runtime.v1). It is asked, never told anything.

One method with a few strings in its answer is no reason for generated classes: the wire format is read here, as
https://protobuf.dev/programming-guides/encoding describes it. Field numbers are those of the kubernetes/cri-api file
``pkg/apis/runtime/v1/api.proto``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

from unipam.model.errors import SourceFailed

_LIST = "/runtime.v1.RuntimeService/ListPodSandbox"
_OPTIONS = (("grpc.max_receive_message_length", 64 << 20), ("grpc.enable_http_proxy", 0))

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_ITEMS = 1
_ID, _METADATA, _STATE, _CREATED = 1, 2, 3, 4
_NAME, _UID, _NAMESPACE = 1, 2, 3


class Sandbox(NamedTuple):
    """A pod's sandbox; `id` is the container id of its CNI calls, `ready` says whether its first process runs.

    `created` is in seconds since the epoch.
    """

    id: str
    name: str
    namespace: str
    uid: str
    ready: bool
    created: float = 0.0


def sandboxes(socket: str, timeout: float) -> list[Sandbox]:
    """Return every sandbox that the runtime at this socket knows, running or not, within `timeout` seconds.

    Raises SourceFailed when it does not answer in time, or not in a way that can be read, or grpcio is missing.
    """
    try:
        import grpc
    except ImportError:
        raise _failed(socket, "grpcio is missing: install unipam[cri]") from None
    try:
        with grpc.insecure_channel(f"unix:{quote(socket)}", options=_OPTIONS) as channel:
            return read_list(channel.unary_unary(_LIST)(b"", timeout=timeout))
    except grpc.RpcError as error:
        raise _failed(socket, f"{error.code().name}, {error.details()}: is it the runtime's CRI socket?") from error
    except ValueError as error:
        raise _failed(socket, f"its answer is not a list of sandboxes ({error})") from error


def _failed(socket: str, why: str) -> SourceFailed:
    return SourceFailed(f"the container runtime at {socket} could not be asked for its sandboxes: {why}", source=socket)


def read_list(message: bytes) -> list[Sandbox]:
    """The sandboxes in an encoded ListPodSandboxResponse. Raises ValueError when it is none."""
    return [_sandbox(_message(value)) for number, value in _fields(message) if number == _ITEMS]


def _sandbox(message: bytes) -> Sandbox:
    fields = dict(_fields(message))
    metadata = dict(_fields(_message(fields.get(_METADATA, b""))))
    name, namespace, uid = (_text(metadata.get(number, b"")) for number in (_NAME, _NAMESPACE, _UID))
    ready, created = not fields.get(_STATE, 0), _number(fields.get(_CREATED, 0)) / 1e9
    return Sandbox(_text(fields.get(_ID, b"")), name, namespace, uid, ready, created)


def _number(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise ValueError("a message where a number belongs")
    return value


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def _text(value: int | bytes) -> str:
    return _message(value).decode()


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in order: number and value."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        size, at = _size(message, at, kind)
        if at + size > len(message):
            raise ValueError("it ends in the middle of a field")
        yield tag >> 3, message[at : at + size]
        at += size


def _size(message: bytes, at: int, kind: int) -> tuple[int, int]:
    if kind == _BYTES:
        return _varint(message, at)
    if kind not in {_FIXED64, _FIXED32}:
        raise ValueError(f"wire type {kind} does not exist")
    return (8 if kind == _FIXED64 else 4), at


def _varint(message: bytes, at: int) -> tuple[int, int]:
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
