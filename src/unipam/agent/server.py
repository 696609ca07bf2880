"""The agent's socket: one connection, one call, one answer, one acknowledgement.

A call is answered at once in the loop's own thread. Only one that would wait (a locked ledger, a first contact with a
directory of leases) goes to a thread of its own, so that no network waits for another's trouble.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from unipam.cni.call import ACK, Answer, Call, decode_call, encode_answer, frame_size
from unipam.cni.plugin import answer
from unipam.model.errors import StoreBusy
from unipam.service.ledgers import Ledgers, uptime

LARGEST_FRAME = 32 * 1024 * 1024
_PEER = struct.Struct("3i")
_WAITING_CALLS = 32
_FAREWELL = 2.0
"""Seconds that an ending agent gives those who are connected."""

Observe = Callable[[Call, Answer, float], None]
"""Told of every call with its answer and how many seconds it took; for the log and the metrics."""


class Responder:
    """Answers calls: at once in this thread, or patiently in another. `patience` is in seconds."""

    def __init__(self, *, flush: bool = False, patience: float = 3.5) -> None:
        self.ledgers = Ledgers(patience=0, flush=flush, attended=True)
        self._patience = patience
        self._flush = flush
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(_WAITING_CALLS, "waiting-call")

    def at_once(self, call: Call) -> Answer | None:
        """The answer, or None when giving it would mean to wait."""
        try:
            return answer(call, self.ledgers)
        except StoreBusy:
            return None

    async def patiently(self, call: Call) -> Answer:
        """The answer, waiting for other writers as long as patience lasts."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer_here, call)

    def _answer_here(self, call: Call) -> Answer:
        return answer(call, self._ledgers_here())

    def _ledgers_here(self) -> Ledgers:
        if not hasattr(self._own, "ledgers"):
            self._own.ledgers = Ledgers(patience=self._patience, flush=self._flush, attended=True)
        return cast("Ledgers", self._own.ledgers)

    async def undo(self, given: Answer) -> None:
        """Take back what nobody heard of, in a thread: the ledger may be busy."""
        if given.undo:
            undo = given.undo
            await asyncio.get_running_loop().run_in_executor(self._threads, lambda: undo(self._ledgers_here()))


class Connection(asyncio.Protocol):
    """One launcher: its frame is read, answered, acknowledged. Gone before it acknowledged, its call is undone."""

    __slots__ = ("_begun", "_data", "_descriptor", "_heard", "_pid", "_server", "_told", "_transport")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._data = b""
        self._told: Answer | None = None
        self._heard = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._begun = time.perf_counter()
        self._transport = cast("asyncio.Transport", transport)
        connection = transport.get_extra_info("socket")
        self._descriptor = connection.fileno()
        self._pid, uid = _peer(connection)
        self._server.connections.add(self)
        if uid not in self._server.admitted:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._told is not None:
            self._heard = data == ACK
            return
        self._data = self._data + data if self._data else data
        size = frame_size(self._data)
        if size > LARGEST_FRAME:
            self._transport.abort()
        elif size and len(self._data) >= size:
            self._respond(self._data[:size])

    def _respond(self, frame: bytes) -> None:
        try:
            call = decode_call(frame, self._pid, uptime())
        except ValueError:
            self._transport.abort()
            return
        given = self._server.responder.at_once(call)
        if given is None:
            self._server.keep(self._respond_later(call))
        else:
            self._tell(call, given)

    async def _respond_later(self, call: Call) -> None:
        given = await self._server.responder.patiently(call)
        if self._transport.is_closing():
            await self._server.responder.undo(given)
        else:
            self._tell(call, given)

    def _tell(self, call: Call, given: Answer) -> None:
        self._told = given
        frame = encode_answer(given)
        sent = self._send(frame)
        if sent < len(frame):
            self._transport.write(frame[sent:])
        self._server.observe(call, given, time.perf_counter() - self._begun)

    def _send(self, frame: bytes) -> int:
        """How much went at once: past the loop's queue, straight to the socket, since the launcher waits for it."""
        try:
            return os.write(self._descriptor, frame)
        except OSError:
            return 0  # gone, or no room: the loop finds out which

    def connection_lost(self, _: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._told is not None and not self._heard and self._told.undo:
            self._server.keep(self._server.responder.undo(self._told))


def _peer(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end."""
    pid, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return pid, uid


class Server:
    """Listens at a path in the file system, for root and the user it runs as."""

    def __init__(self, path: str, responder: Responder, observe: Observe) -> None:
        self.path = path
        self.responder = responder
        self.observe = observe
        self.admitted = frozenset((0, os.getuid()))
        self.connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._inode = 0

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry on with work that outlives its connection."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def listen(self) -> asyncio.Server:
        """Begin to answer. The socket takes its path by rename, so that an agent is replaced without a gap."""
        draft = f"{self.path}.{os.getpid()}"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(draft)
        os.chmod(draft, 0o600)
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: Connection(self), sock=listening, backlog=4096
        )
        os.rename(draft, self.path)
        self._inode = os.stat(self.path).st_ino
        return server

    async def finish(self) -> None:
        """Finish what is under way, and remove the socket unless another agent has taken the path over.

        A launcher that has its answer needs a moment to say so; who stays silent longer asks again, cold.
        """
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self.path).st_ino == self._inode:
                os.unlink(self.path)
        deadline = asyncio.get_running_loop().time() + _FAREWELL
        while self.connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)
        while self._tasks:
            await asyncio.wait(self._tasks)
