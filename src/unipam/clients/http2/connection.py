"""One connection: a request, and the frames that answer it; then perhaps the next one."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from unipam.clients.http2 import headers

_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY, _WINDOW, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_TABLE_SIZE, _PUSH, _FIRST_WINDOW, _LARGEST_FRAME = 1, 2, 4, 5
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_ROOM = (1 << 31) - 1
"""How much may be sent to us unasked: as much as can be said."""
_RENEW = 1 << 30
_MOST = 1 << 24
_CHUNK = 1 << 16

Open = Callable[[float], socket.socket]
"""Opens a socket within so many seconds. Raises OSError."""


class Lost(Exception):
    """The connection is gone. `unsent` says that the server has certainly not begun with the request."""

    def __init__(self, why: str, *, unsent: bool = False) -> None:
        super().__init__(why)
        self.unsent = unsent


class Frame(NamedTuple):
    """What came for the request: data, or fields. `last` ends the answer."""

    data: bytes
    fields: dict[str, str] | None
    last: bool


class Connection:
    """A connection to a server that speaks HTTP/2 from its first byte. One thread uses it; any may `cut` it."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._received = bytearray()
        self._next = 1
        self._stream = 0
        self._room, self._stream_room, self._first_room = 65_535, 65_535, 65_535
        self._largest = 16_384
        self._used = self._stream_used = 0
        self._block = bytearray()
        self._going = False
        self._early: Frame | None = None
        settings = ((_TABLE_SIZE, 0), (_PUSH, 0), (_FIRST_WINDOW, _ROOM), (_LARGEST_FRAME, _MOST - 1))
        encoded = b"".join(struct.pack(">HI", *each) for each in settings)
        self._greeting = _PREFACE + _frame(_SETTINGS, 0, 0, encoded) + _frame(_WINDOW, 0, 0, _room(_ROOM - 65_535))

    def begin(self, fields: Iterable[tuple[str, str]], body: bytes, deadline: float, *, last: bool) -> None:
        """Send a request; `last` where nothing follows its body. Raises Lost, TimeoutError."""
        self._stream, self._next = self._next, self._next + 2
        self._stream_room, self._stream_used = self._first_room, 0
        head = _frame(_HEADERS, _END_HEADERS, self._stream, headers.encode(fields))
        greeting, self._greeting = self._greeting, b""
        if len(body) <= min(self._room, self._stream_room, self._largest):
            self._room, self._stream_room = self._room - len(body), self._stream_room - len(body)
            self._send(greeting + head + _frame(_DATA, _END_STREAM * last, self._stream, body), deadline)
            return
        self._send(greeting + head, deadline)
        self._send_long(body, deadline, last=last)

    def read(self, deadline: float) -> Frame:
        """Return the next frame of the answer. Raises Lost, TimeoutError."""
        if self._early is not None:
            early, self._early = self._early, None
            return early
        while True:
            if (found := self._take()) is not None:
                return found
            self._receive(deadline)

    def usable(self) -> bool:
        """Return whether another request can be sent: the server has neither closed nor said that it will."""
        try:
            while select.select([self._socket], [], [], 0)[0]:
                self._receive(time.monotonic() + 1.0)
                while self._take() is not None:
                    pass
        except (Lost, TimeoutError):
            return False
        return not self._going and self._next < _ROOM

    def ping(self, deadline: float) -> None:
        """Ask the server for a sign of life, which `read` takes note of."""
        self._send(_frame(_PING, 0, 0, b"unipam.."), deadline)

    def cut(self) -> None:
        """End it, wherever its reader is."""
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS, too: no farewell, but at once
        except OSError:
            return

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _send_long(self, body: bytes, deadline: float, *, last: bool) -> None:
        """Send a body frame by frame, as far as the server has room for each."""
        at = 0
        while at < len(body):
            frames = b""
            while (size := min(len(body) - at, self._room, self._stream_room, self._largest)) > 0:
                self._room, self._stream_room = self._room - size, self._stream_room - size
                flags = _END_STREAM if last and at + size == len(body) else 0
                frames += _frame(_DATA, flags, self._stream, body[at : at + size])
                at += size
            self._send(frames, deadline)
            if at < len(body):
                self._receive(deadline)
                self._early = self._take()
                if self._early is not None:  # it has refused what it has seen so far
                    return

    def _send(self, data: bytes, deadline: float) -> None:
        self._limit(deadline)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost(f"it was cut: {error.strerror or error}") from error

    def _receive(self, deadline: float) -> None:
        self._limit(deadline)
        try:
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            raise
        except OSError as error:
            raise Lost(f"it was cut: {error.strerror or error}") from error
        if not data:
            raise Lost("the server has closed it")
        self._received += data

    def _limit(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)

    def _take(self) -> Frame | None:
        """Return what whole frames have come say of the request, as far as the next one that says something."""
        while len(self._received) >= 9:
            size = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + size:
                return None
            kind, flags = self._received[3], self._received[4]
            stream = int.from_bytes(self._received[5:9], "big") & _ROOM
            payload = bytes(self._received[9 : 9 + size])
            del self._received[: 9 + size]
            if (found := self._handle(kind, flags, stream, payload)) is not None:
                return found
        return None

    def _handle(self, kind: int, flags: int, stream: int, payload: bytes) -> Frame | None:
        if kind in {_DATA, _HEADERS, _CONTINUATION}:
            return self._answer(kind, flags, stream, payload)
        if kind == _SETTINGS and not flags & _ACK:
            self._set(payload)
        elif kind == _PING and not flags & _ACK:
            self._send(_frame(_PING, _ACK, 0, payload), time.monotonic() + 1.0)
        elif kind == _WINDOW:
            self._widen(stream, int.from_bytes(payload, "big") & _ROOM)
        elif kind == _GOAWAY:
            self._going = True
            if int.from_bytes(payload[:4], "big") & _ROOM < self._stream:
                raise Lost("the server is going away", unsent=True)
        elif kind == _RESET and stream == self._stream:
            code = int.from_bytes(payload, "big")
            raise Lost(f"the server has given the request up (error {code} of HTTP/2)", unsent=code == 7)
        return None

    def _answer(self, kind: int, flags: int, stream: int, payload: bytes) -> Frame | None:
        if kind == _DATA:
            self._note_used(len(payload))
        if flags & _PADDED and kind != _CONTINUATION:
            payload = payload[1 : len(payload) - payload[0]]
        if kind == _DATA:
            return Frame(payload, None, bool(flags & _END_STREAM)) if stream == self._stream else None
        if kind == _HEADERS:
            self._block = bytearray(payload[5:] if flags & _PRIORITY else payload)
            self._ends = bool(flags & _END_STREAM)
        else:
            self._block += payload
        if not flags & _END_HEADERS or stream != self._stream:
            return None
        try:
            return Frame(b"", headers.decode(bytes(self._block)), self._ends)
        except ValueError as error:
            raise Lost(f"its fields cannot be read: {error}") from error

    def _note_used(self, size: int) -> None:
        """Give back the room that was used, long before there is none."""
        self._used, self._stream_used = self._used + size, self._stream_used + size
        renewed = b""
        if self._used > _RENEW:
            renewed, self._used = _frame(_WINDOW, 0, 0, _room(self._used)), 0
        if self._stream_used > _RENEW:
            renewed += _frame(_WINDOW, 0, self._stream, _room(self._stream_used))
            self._stream_used = 0
        if renewed:
            self._send(renewed, time.monotonic() + 10.0)

    def _set(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _FIRST_WINDOW:
                self._stream_room += value - self._first_room
                self._first_room = value
            elif name == _LARGEST_FRAME:
                self._largest = value
        self._send(_frame(_SETTINGS, _ACK, 0, b""), time.monotonic() + 10.0)

    def _widen(self, stream: int, more: int) -> None:
        if stream == 0:
            self._room += more
        elif stream == self._stream:
            self._stream_room += more


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _room(size: int) -> bytes:
    return size.to_bytes(4, "big")
