"""Connections to one API server, kept between requests, with one deadline for all that a request does."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from unipam.clients.kubernetes.access import Access
from unipam.clients.kubernetes.exchange import Answer, Exchange

JSON = "application/json"
_KEPT = 16
"""Idle connections at the most."""


class Unsent(Exception):
    """Nothing of the request has reached the server."""


class Untrusted(Unsent):
    """The server is not the one that the access names: its certificate says so, and will say so again."""


class Request(NamedTuple):
    """A request: its body, if it has one, of what media type that is, and which types are accepted as an answer."""

    method: str
    target: str
    body: bytes | None = None
    content_type: str = JSON
    accept: str = JSON


class Connections:
    """Connections with what an access shows. Any thread may use them; a connection serves one request at a time."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._idle: deque[Exchange] = deque()
        self._headers = {"User-Agent": "unipam"}
        if access.token:
            self._headers["Authorization"] = f"Bearer {access.token}"
        self._fields = _fields({"Host": access.server.netloc.rpartition("@")[2], **self._headers})

    def ask(self, request: Request, deadline: float) -> Answer:
        """Send one request and return its answer.

        Raises Unsent; or OSError and http.client.HTTPException when it may have reached the server.
        """
        exchange = self._take(deadline)
        try:
            answer = exchange.ask(self._encoded(request), deadline)
        except BaseException:
            exchange.close()
            raise
        self._give_back(exchange)
        return answer

    def _encoded(self, request: Request) -> bytes:
        method, target, body, content_type, accept = request
        if not target.isprintable() or " " in target:
            raise http.client.InvalidURL(f"{target!r} is no target of a request")
        head = f"{method} {self._path(target)} HTTP/1.1\r\n{self._fields}Accept: {accept}\r\n"
        if body is not None:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        return f"{head}\r\n".encode("latin-1") + (body or b"")

    def stream(self, target: str, deadline: float) -> Stream:
        """Begin a GET whose answer comes bit by bit. Raises as `ask` does."""
        connection = self._open(deadline)
        try:
            connection.request("GET", self._path(target), headers={**self._headers, "Accept": JSON})
            used = connection.sock  # an answer that ends with its connection takes it over
            return Stream(connection, connection.getresponse(), used)
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """Let go of every connection."""
        while self._idle:
            self._idle.pop().close()

    def _path(self, target: str) -> str:
        return f"{self._access.server.path.rstrip('/')}{target}"

    def _take(self, deadline: float) -> Exchange:
        """Return a connection that was kept and that the server has not closed, or a new one. Raises Unsent."""
        if time.monotonic() >= deadline:
            raise Unsent("the deadline has passed")
        while True:
            try:
                kept = self._idle.pop()
            except IndexError:
                return Exchange(self._open(deadline).sock)
            if not select.select([kept.socket], [], [], 0)[0]:
                return kept
            kept.close()

    def _open(self, deadline: float) -> http.client.HTTPConnection:
        server = self._access.server
        port = server.port or (443 if self._access.tls else 80)
        made: http.client.HTTPConnection
        if self._access.tls:
            made = http.client.HTTPSConnection(server.hostname or "", port, context=self._access.tls)
        else:
            made = http.client.HTTPConnection(server.hostname or "", port)
        try:
            made.timeout = _left(deadline)
            made.connect()
        except (OSError, ValueError) as error:
            made.close()
            kind = Untrusted if isinstance(error, ssl.SSLCertVerificationError) else Unsent
            raise kind(str(error) or type(error).__name__) from error
        _keep_alive(made.sock)
        return made

    def _give_back(self, exchange: Exchange) -> None:
        if not exchange.kept or len(self._idle) >= _KEPT:
            exchange.close()
        else:
            self._idle.append(exchange)


def _fields(headers: dict[str, str]) -> str:
    """Return header fields as they are sent. Raises ValueError for one that would end in the middle."""
    for name, value in headers.items():
        if not value.isprintable():
            raise ValueError(f"the header field {name} has a character that it must not have")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


class Stream:
    """An answer that comes line by line. Another thread may close it, which ends whoever reads."""

    def __init__(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse, used: socket.socket
    ) -> None:
        self._socket = used
        self._connection, self._response = connection, response
        self.status = response.status

    def read(self) -> bytes:
        """Read the whole of an answer that is an error, and no stream."""
        with contextlib.closing(self._connection):
            return self._response.read()

    def lines(self, timeout: float) -> Iterator[bytes]:
        """Yield the lines as they come, each within `timeout` seconds. Raises OSError, http.client.HTTPException."""
        self._socket.settimeout(timeout)
        try:
            while line := self._response.readline():
                yield line
        finally:
            self._response.close()
            self._connection.close()

    def close(self) -> None:
        """End it, wherever a reader is."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS, too: no farewell, but at once


def _left(deadline: float) -> float:
    """Return the seconds until a deadline. Raises TimeoutError when it has passed."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def _keep_alive(connected: socket.socket) -> None:
    """Find out within a minute that the other end is gone, also where nothing is being sent."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 20), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
        connected.setsockopt(socket.IPPROTO_TCP, option, value)
