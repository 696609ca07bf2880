"""A kubelet's hands: the calls that start and stop a sandbox over CRI (runtime.v1), encoded by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc

SERVICE = "/runtime.v1.RuntimeService/"


def encode(*fields: tuple[int, int | str | bytes]) -> bytes:
    """A protobuf message of these fields."""
    return b"".join(_field(number, value) for number, value in fields)


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    head = b""
    while value > 0x7F:
        head += bytes([value & 0x7F | 0x80])
        value >>= 7
    return head + bytes([value])


@dataclass
class Runtime:
    """A container runtime at a CRI socket. Use as a context manager."""

    socket: str

    def __enter__(self) -> Runtime:
        self._channel: Any = grpc.insecure_channel(f"unix:{self.socket}")
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, method: str, request: bytes = b"", *, wait: bool = False, service: str = SERVICE) -> bytes:
        """The encoded response. `wait` for a runtime that is only starting. Raises grpc.RpcError."""
        answer = self._channel.unary_unary(service + method)(request, timeout=60, wait_for_ready=wait)
        assert isinstance(answer, bytes)
        return answer

    def run(self, name: str, namespace: str = "test") -> str:
        """Start a pod's sandbox; its id."""
        metadata = encode((1, name), (2, f"uid-{name}"), (3, namespace), (4, 1))
        config = encode((1, metadata), (2, name), (8, b""))
        answer = self.call("RunPodSandbox", encode((1, config)))
        return answer[2:].decode()  # field 1, and an id is shorter than 128 bytes

    def ranges(self, *cidrs: str) -> None:
        """Tell it the node's ranges of pods' addresses, as kubelet does when the Node has them."""
        network = encode((1, ",".join(cidrs)))
        self.call("UpdateRuntimeConfig", encode((1, encode((1, network)))))

    def stop(self, sandbox: str) -> None:
        """Stop it: its network is taken down."""
        self.call("StopPodSandbox", encode((1, sandbox)))

    def remove(self, sandbox: str) -> None:
        """Forget it."""
        self.call("RemovePodSandbox", encode((1, sandbox)))
