"""The container runtime's own list of sandboxes, over its CRI socket (runtime.v1). It is asked, never told anything.

Field numbers are those of the kubernetes/cri-api file `pkg/apis/runtime/v1/api.proto`.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

from unipam.clients.protobuf import content, fields, number, text
from unipam.model.errors import SourceFailed

_LIST = "/runtime.v1.RuntimeService/ListPodSandbox"
_OPTIONS = (("grpc.max_receive_message_length", 64 << 20), ("grpc.enable_http_proxy", 0))

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
    """Read the sandboxes in an encoded ListPodSandboxResponse. Raises ValueError when it is none."""
    return [_sandbox(content(value)) for item, value in fields(message) if item == _ITEMS]


def _sandbox(message: bytes) -> Sandbox:
    found = dict(fields(message))
    metadata = dict(fields(content(found.get(_METADATA, b""))))
    name, namespace, uid = (text(metadata.get(item, b"")) for item in (_NAME, _NAMESPACE, _UID))
    ready, created = not found.get(_STATE, 0), number(found.get(_CREATED, 0)) / 10**9
    return Sandbox(text(found.get(_ID, b"")), name, namespace, uid, ready, created)
