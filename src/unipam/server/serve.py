"""uvicorn as the register runs it: with its own listeners, and an end that comes whatever hangs."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
import threading
from collections.abc import Sequence
from types import FrameType

import structlog
import uvicorn

from unipam.addr.prefix import Prefix
from unipam.clients import systemd
from unipam.server.connection import Connection
from unipam.server.listener import SWEEP, ConnectionTable, Listener, limits

FINISHING = 5
"""Seconds in which requests that were begun are finished after SIGTERM."""
LONGEST_END = 9.0
"""Seconds after which the process is gone, whatever still hangs: a thread in a system call cannot be ended."""

log = structlog.get_logger()


class Server(uvicorn.Server):
    """Serves an application at sockets that listen. Connections of `proxies` are many clients'."""

    def __init__(self, config: uvicorn.Config, listening: Sequence[socket.socket], proxies: Sequence[Prefix]) -> None:
        super().__init__(config)
        self.listening = listening
        self._table = ConnectionTable(limits(), proxies)
        self._last = threading.Timer(LONGEST_END, _break_off)
        self._last.daemon = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn, which has no sockets of its own here."""
        await super().startup(sockets=sockets or [])
        if self.started:
            self.servers = [Listener(each, self._table, self._connection, self.config.ssl) for each in self.listening]  # type: ignore[misc]
            self._sweeper = asyncio.create_task(self._sweep())
            log.info("listening", addresses=[each.getsockname()[:2] for each in self.listening])
            systemd.ready()

    def _connection(self) -> Connection:
        return Connection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            dropped = self._table.sweep()
            if dropped:
                log.info("connections dropped", overdue=dropped, left=len(self._table))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        self._sweeper.cancel()
        await super().shutdown(sockets)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until SIGTERM or SIGINT. The process ends at once if a thread hangs then: nobody waits for it."""
        super().run(sockets)
        self._last.cancel()
        if set(threading.enumerate()) - {threading.main_thread(), self._last}:
            sys.stderr.flush()
            os._exit(0)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """See uvicorn: the end begins, and there is a time by which it has come."""
        if not self.should_exit:
            self._last.start()
        super().handle_exit(sig, frame)


def _break_off() -> None:
    """End the process as it is; what is not acknowledged is not done, or found by looking."""
    if select.select([], [sys.stderr], [], 0)[1]:  # nobody may be reading, and this must not wait
        os.write(sys.stderr.fileno(), b'{"event": "broken off", "level": "error"}\n')
    os._exit(1)
