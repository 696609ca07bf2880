"""Requests and their answers on one connection, over HTTP/1.1 (RFC 9112), each in one piece.

http.client sends head and body apart and reads the fields of an answer as those of a mail, which is as much work as all
else that a small request needs here. Importing it, and all that mails are made of, is a tenth of a cold call.
"""

from __future__ import annotations

import socket
import time
from typing import NamedTuple

_CHUNK = 1 << 16
_LONGEST_HEAD = 1 << 17
"""Bytes before which the fields of an answer must end, and the line before a chunk."""


class ProtocolError(Exception):
    """What was to be sent, or what came, is not HTTP."""


class Disconnected(ConnectionError):
    """The server has closed the connection before its answer was whole."""


class Answer(NamedTuple):
    """An HTTP answer, read whole."""

    status: int
    body: bytes
    retry_after: str


class Exchange:
    """A connection on which one request follows the other's answer. One thread uses it.

    `kept` says whether another request may follow.
    """

    def __init__(self, connected: socket.socket) -> None:
        self.socket, self.kept = connected, True
        self._received = bytearray()

    def ask(self, request: bytes, deadline: float) -> Answer:
        """Send a request and return its answer. Raises OSError, ProtocolError."""
        self._limit(deadline)
        self.socket.sendall(request)
        status, fields = self._head(deadline)
        while status < 200:  # it only says that it is at work
            status, fields = self._head(deadline)
        self.kept = self.kept and "close" not in fields.get("connection", "").lower()
        body = b"" if status in {204, 304} else self._body(fields, deadline)
        return Answer(status, body, fields.get("retry-after", ""))

    def close(self) -> None:
        """Let go of the connection."""
        self.socket.close()

    def _head(self, deadline: float) -> tuple[int, dict[str, str]]:
        lines = self._until(b"\r\n\r\n", deadline).decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        code = rest[:3]
        if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit() and len(code) == 3):
            raise ProtocolError(f"an answer that begins with {lines[0]!r:.80}")
        self.kept = self.kept and version != "HTTP/1.0"
        fields = (line.partition(":") for line in lines[1:])
        return int(code), {name.lower(): value.strip() for name, _, value in fields}

    def _body(self, fields: dict[str, str], deadline: float) -> bytes:
        if fields.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks(deadline)
        if (length := fields.get("content-length", "")).isdecimal():
            return self._exactly(int(length), deadline)
        self.kept = False
        try:
            while True:
                self._receive(deadline)
        except Disconnected:
            return bytes(self._received)

    def _chunks(self, deadline: float) -> bytes:
        body = bytearray()
        while size := self._size(self._until(b"\r\n", deadline)):
            body += self._exactly(size, deadline)
            self._exactly(2, deadline)
        while self._until(b"\r\n", deadline):  # fields that come after the body
            pass
        return bytes(body)

    def _size(self, line: bytes) -> int:
        try:
            return int(line.partition(b";")[0], 16)
        except ValueError:
            raise ProtocolError(f"a chunk whose size is {line!r:.80}") from None

    def _until(self, end: bytes, deadline: float) -> bytes:
        """Return what comes before this end, which is taken as well."""
        while (found := self._received.find(end)) < 0:
            if len(self._received) > _LONGEST_HEAD:
                raise ProtocolError("an answer whose head does not end")
            self._receive(deadline)
        return self._take(found + len(end))[:found]

    def _exactly(self, size: int, deadline: float) -> bytes:
        while len(self._received) < size:
            self._receive(deadline)
        return self._take(size)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _receive(self, deadline: float) -> None:
        self._limit(deadline)
        if not (data := self.socket.recv(_CHUNK)):
            raise Disconnected("the connection was closed before the answer's end")
        self._received += data

    def _limit(self, deadline: float) -> None:
        """Give the socket the time that is left. Raises TimeoutError."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self.socket.settimeout(left)
