"""gRPC to one member of a cluster (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md)."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from unipam.clients import tcp
from unipam.clients.etcd.settings import Tls
from unipam.clients.http2.connection import Connection, Frame, Lost

if TYPE_CHECKING:
    import ssl

_CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
_KEPT = 32
"""Connections kept open while nobody uses them: as many as there are calls at once."""
_SIGN_OF_LIFE, _ANSWERED = 30.0, 10.0
"""Seconds of silence after which a stream asks for a sign of life, and for that."""

Metadata = tuple[tuple[str, str], ...]


class RpcFailed(Exception):
    """A call that ended with an error: gRPC's name of it, and what was said."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}, {details}")
        self.code, self.details = code, details


class Channel:
    """The connections to one member, `host:port`. Any thread may use it."""

    def __init__(self, address: str, tls: Tls | None) -> None:
        self._address, self._scheme = address, "http" if tls is None else "https"
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._trust = None if tls is None else _trust(tls)
        self._idle: deque[Connection] = deque()

    def call(self, method: str, request: bytes, timeout: float, metadata: Metadata) -> bytes:
        """Return the encoded answer. Raises RpcFailed."""
        deadline = time.monotonic() + timeout
        connection = self._take(deadline)
        try:
            fields = (*self._fields(method, metadata), ("grpc-timeout", f"{max(1, int(timeout * 1000))}m"))
            connection.begin(fields, _message(request), deadline, last=True)
            answer = _whole(connection, deadline)
        except BaseException as error:
            connection.close()
            raise _failed(error, self._address) from error
        self._give_back(connection)
        return answer

    def stream(self, method: str, request: bytes, timeout: float, metadata: Metadata) -> Stream:
        """Begin a call whose answers come one by one, for as long as it is not cancelled. Raises RpcFailed."""
        deadline = time.monotonic() + timeout
        connection = self._open(deadline)
        try:
            connection.begin(self._fields(method, metadata), _message(request), deadline, last=False)
        except BaseException as error:
            connection.close()
            raise _failed(error, self._address) from error
        return Stream(connection, self._address)

    def close(self) -> None:
        """Let go of every connection that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    def _fields(self, method: str, metadata: Metadata) -> Metadata:
        return (
            (":method", "POST"), (":scheme", self._scheme), (":path", method), (":authority", self._address),
            ("te", "trailers"), ("content-type", "application/grpc"), *metadata,
        )  # fmt: skip

    def _take(self, deadline: float) -> Connection:
        while True:
            try:
                kept = self._idle.pop()
            except IndexError:
                return self._open(deadline)
            if kept.usable():
                return kept
            kept.close()

    def _give_back(self, connection: Connection) -> None:
        if len(self._idle) < _KEPT:
            self._idle.append(connection)
        else:
            connection.close()

    def _open(self, deadline: float) -> Connection:
        try:
            left = max(0.001, deadline - time.monotonic())
            return Connection(tcp.connect(self._host, self._port, left, self._trust))
        except socket.gaierror as error:
            raise RpcFailed("UNAVAILABLE", f"DNS resolution failed for {self._address}: {error.strerror}") from error
        except OSError as error:
            why = str(error) or type(error).__name__
            raise RpcFailed("UNAVAILABLE", f"failed to connect to {self._address}: {why}") from error


class Stream:
    """The encoded answers of a call that goes on. One thread reads it, any may cancel it."""

    def __init__(self, connection: Connection, address: str) -> None:
        self._connection, self._address = connection, address
        self._cancelled = False

    def __iter__(self) -> Iterator[bytes]:
        """Yield answers as they come. Raises RpcFailed; ends quietly where it was cancelled."""
        received = bytearray()
        try:
            while True:
                frame = self._next()
                received += frame.data
                while (size := _size(received)) is not None and len(received) >= size:
                    yield bytes(received[5:size])
                    del received[:size]
                if frame.last:
                    raise _status(frame.fields or {})
        except GeneratorExit:
            raise
        except BaseException as error:
            if not self._cancelled:
                raise _failed(error, self._address) from error
        finally:
            self._connection.close()

    def cancel(self) -> None:
        """End it, wherever its reader is."""
        self._cancelled = True
        self._connection.cut()

    def _next(self) -> Frame:
        try:
            return self._connection.read(time.monotonic() + _SIGN_OF_LIFE)
        except TimeoutError:
            self._connection.ping(time.monotonic() + _ANSWERED)
            return self._connection.read(time.monotonic() + _ANSWERED)


def _whole(connection: Connection, deadline: float) -> bytes:
    received, fields = bytearray(), dict[str, str]()
    while True:
        frame = connection.read(deadline)
        received += frame.data
        fields |= frame.fields or {}
        if frame.last:
            break
    if fields.get("grpc-status") != "0":
        raise _status(fields)
    size = _size(received)
    if size is None or size != len(received):
        raise RpcFailed("INTERNAL", "its answer is not one whole message")
    return bytes(received[5:])


def _message(encoded: bytes) -> bytes:
    return b"\0" + len(encoded).to_bytes(4, "big") + encoded


def _size(received: bytes | bytearray) -> int | None:
    """Return how long the first message is with its head, once that is there. Raises RpcFailed for a compressed one."""
    if len(received) < 5:
        return None
    if received[0]:
        raise RpcFailed("INTERNAL", "its answer is compressed, which nobody asked for")
    return 5 + int.from_bytes(received[1:5], "big")


def _status(fields: dict[str, str]) -> RpcFailed:
    number = fields.get("grpc-status", "")
    known = number.isdigit() and int(number) < len(_CODES)
    details = unquote(fields.get("grpc-message", "")) or "the call ended without a reason"
    return RpcFailed(_CODES[int(number)] if known else "UNKNOWN", details)


def _failed(error: BaseException, address: str) -> BaseException:
    """Return a failure of the connection as gRPC names it; anything else as it is."""
    if isinstance(error, TimeoutError):
        return RpcFailed("DEADLINE_EXCEEDED", "Deadline Exceeded")
    if isinstance(error, Lost):
        sent = f"failed to connect to {address}" if error.unsent else f"the connection to {address} was lost"
        return RpcFailed("UNAVAILABLE", f"{sent}: {error}")
    return error


def _trust(tls: Tls) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context(cadata=tls.authorities.decode() if tls.authorities else None)
    context.set_alpn_protocols(["h2"])
    if tls.certificate:
        with _shown(tls.certificate) as certificate, _shown(tls.key) as key:
            context.load_cert_chain(certificate, key)
    return context


@contextlib.contextmanager
def _shown(content: bytes) -> Iterator[str]:
    """Show bytes as a file, which is in memory only: OpenSSL reads keys from files."""
    descriptor = os.memfd_create("unipam", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
