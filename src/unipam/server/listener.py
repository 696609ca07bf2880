"""Who may connect: as many as there are files for, no address more than its share, and the newest idle ones lose.

uvicorn takes every connection there is, until none can be taken for want of files, and then nothing else that needs one
works either. So connections are accepted here, one look at the room before each, and handed to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import resource
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import structlog

from unipam.addr.prefix import BITS, Prefix, parse_address
from unipam.server.connection import Connection

GRACE = 0.5
"""Seconds for which a connection that has said nothing yet is not idle: a newcomer must have time to ask."""
SWEEP = 1.0
"""Seconds between two looks for connections that are overdue."""
BACKLOG = 1024
"""Connections that the kernel keeps until they are accepted."""
AT_ONCE = 32
"""Connections that are accepted before everybody else's turn."""
OURS = 96
"""Files that are kept for everything but connections: databases, Entra ID, Azure, logs."""
SPARE = 32
"""Connections beyond the limit that are answered about the process's life alone, while all others are at work."""
MOST = 4096
"""Connections at the same time; each costs some 20 KiB."""

log = structlog.get_logger()


class Limits(NamedTuple):
    """How many connections may be there at the same time, and how many of one address that is no proxy's."""

    total: int
    each: int


def limits() -> Limits:
    """Return what the process's limit of open files (RLIMIT_NOFILE) leaves room for."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    room = MOST if files == resource.RLIM_INFINITY else files - OURS - SPARE
    total = max(8, min(MOST, room))
    return Limits(total, max(2, total // 4))


class Admission(enum.Enum):
    """What there is for one more connection: `SPARE` is room for a word of life."""

    ROOM = enum.auto()
    SPARE = enum.auto()
    NONE = enum.auto()


class ConnectionTable:
    """The connections that are there, in the order in which they came. Those of `proxies` are many clients'."""

    def __init__(self, limits: Limits, proxies: Sequence[Prefix]) -> None:
        self._limits = limits
        self._proxies = proxies
        self._sockets: dict[Connection, tuple[socket.socket, str]] = {}
        self._of: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._sockets)

    @property
    def overfull(self) -> bool:
        """Return whether not even a spare place is left."""
        return len(self) >= self._limits.total + SPARE

    def make_room(self, address: str) -> Admission:
        """Return what room there is for one more from this address; the newest idle one is dropped if need be."""
        greedy = self._of[address] >= self._limits.each and not self._is_proxy(address)
        if greedy and not self._drop_newest_idle(address):
            return Admission.NONE
        full = len(self) >= self._limits.total
        return Admission.SPARE if full and not self._drop_newest_idle() else Admission.ROOM

    def _is_proxy(self, address: str) -> bool:
        place = Prefix(parse_address(address.partition("%")[0]), BITS)
        return any(each.contains(place) for each in self._proxies)

    def _drop_newest_idle(self, address: str = "") -> bool:
        now = time.monotonic()
        for connection, (_, place) in reversed(self._sockets.items()):
            if address in ("", place) and connection.idle and now - connection.since > GRACE:
                self.drop(connection)
                return True
        return False

    def add(self, connection: Connection, accepted: socket.socket, address: str) -> None:
        """Count one more that has come."""
        self._sockets[connection] = (accepted, address)
        self._of[address] += 1

    def discard(self, connection: Connection) -> None:
        """Forget one that has gone, if it was here at all."""
        if connection in self._sockets:
            address = self._sockets.pop(connection)[1]
            self._of[address] -= 1
            if not self._of[address]:
                del self._of[address]

    def drop(self, connection: Connection) -> None:
        """Break a connection off."""
        accepted = self._sockets[connection][0]
        if connection.transport is not None:
            connection.transport.abort()
        else:  # TLS is not agreed on yet
            with contextlib.suppress(OSError):
                accepted.shutdown(socket.SHUT_RDWR)
        self.discard(connection)

    def sweep(self) -> int:
        """Drop all that are overdue; how many."""
        overdue = [connection for connection in self._sockets if connection.overdue]
        for connection in overdue:
            self.drop(connection)
        return len(overdue)


class Listener:
    """Accepts connections at one socket, and hands them to what `make` makes, for uvicorn to serve."""

    def __init__(
        self,
        listening: socket.socket,
        table: ConnectionTable,
        make: Callable[[], Connection],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._listening = listening
        self._connections = table
        self._make = make
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        listening.setblocking(False)
        self._listen()

    def _listen(self) -> None:
        self._again = None
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def _pause(self) -> None:
        """Leave newcomers in the kernel's queue for a moment."""
        self._loop.remove_reader(self._listening.fileno())
        self._again = self._loop.call_later(GRACE, self._listen)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            if self._connections.overfull:
                return self._pause()
            try:
                accepted, (address, *_) = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return None
            except OSError as error:  # no files after all: others have them
                log.warning("cannot accept", error=error.strerror)
                return self._pause()
            self._admit(accepted, address)
        return None

    def _admit(self, accepted: socket.socket, address: str) -> None:
        place = self._connections.make_room(address)
        if place is Admission.NONE:
            accepted.close()
            return
        connection = self._make()
        connection.spare = place is Admission.SPARE
        connection.gone = self._connections.discard
        self._connections.add(connection, accepted, address)
        task = self._loop.create_task(self._hand_over(connection, accepted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_over(self, connection: Connection, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted, ssl=self._tls)
        except OSError:  # it does not speak TLS, or not ours, or is gone
            self._connections.discard(connection)
            accepted.close()

    def close(self) -> None:
        """Accept no more (see `asyncio.Server.close`)."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()

    async def wait_closed(self) -> None:
        """See `asyncio.Server.wait_closed`: nothing is left to wait for."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen at every address of a host. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [socket.create_server(at[:2], family=family, backlog=BACKLOG) for family, *_, at in dict.fromkeys(found)]
