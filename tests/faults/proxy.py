"""A TCP proxy that fails as networks do: it swallows what it is given, delays it, cuts connections, resets them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

NO_LINGER = struct.pack("ii", 1, 0)
"""With this SO_LINGER closing a socket sends a reset."""


class _Link:
    """One connection through the proxy. One that lost a byte has nothing more to say, as after a lost NAT entry."""

    def __init__(self, proxy: Proxy, near: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._ends = [near]
        self._deaf = False

    async def carry(self, reader: asyncio.StreamReader) -> None:
        """Carry both directions until either ends; while all is silent, not even that is told."""
        try:
            await self._proxy.speaking.wait()
            far_reader, far = await asyncio.open_connection("127.0.0.1", self._proxy.target)
            self._ends.append(far)
            await asyncio.gather(self._pass(reader, far), self._pass(far_reader, self._ends[0]))
        except OSError:
            pass
        finally:
            await self._proxy.speaking.wait()
            self.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            await asyncio.sleep(self._proxy.delay)
            self._deaf = self._deaf or not self._proxy.speaking.is_set()
            if not self._deaf:
                writer.write(data)
                await writer.drain()
        await self._proxy.speaking.wait()
        self.close()

    def close(self, *, reset: bool = False) -> None:
        """End both sides, in order or by a reset."""
        for end in self._ends:
            if reset and not end.is_closing():
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                end.transport.abort()
            end.close()


class Proxy:
    """Listens at `port` on loopback and passes everything on to the port `target`, but for what it is told to do.

    Where a socket is given that listens already, in another network namespace say, it is that.
    """

    def __init__(self, target: int, listener: socket.socket | None = None) -> None:
        self.target, self._listener = target, listener
        self.delay = 0.0
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.speaking = asyncio.Event()
        self._server = self._do(self._listen())
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> asyncio.Server:
        self.speaking.set()
        where: dict[str, Any] = {"sock": self._listener} if self._listener else {"host": "127.0.0.1", "port": 0}
        return await asyncio.start_server(self._serve, **where, backlog=1024)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, writer)
        self._links.add(link)
        try:
            await link.carry(reader)
        finally:
            self._links.discard(link)

    @property
    def links(self) -> int:
        """How many connections there are."""
        return len(self._links)

    def swallow(self) -> None:
        """Take everything and pass nothing on; new connections are taken too, and hear nothing."""
        self._loop.call_soon_threadsafe(self.speaking.clear)

    def speak(self) -> None:
        """Pass on again, for connections that have lost nothing and new ones."""
        self._loop.call_soon_threadsafe(self.speaking.set)

    def stop_listening(self) -> None:
        """Refuse new connections from now on."""
        self._loop.call_soon_threadsafe(self._server.close)

    def cut(self, *, reset: bool = False) -> None:
        """End every connection that there is, in order or by a reset."""

        async def end() -> None:
            for link in list(self._links):
                link.close(reset=reset)

        self._do(end())

    def close(self) -> None:
        """Stop, reset what is left, and give the port back."""

        async def end() -> None:
            self._server.close()
            self.speaking.set()  # whoever waits for that has nothing more to do
            for link in list(self._links):
                link.close(reset=True)
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait(rest, timeout=5) if rest else None

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextlib.contextmanager
def proxy(target: int, listener: socket.socket | None = None) -> Iterator[Proxy]:
    """A proxy before a port of loopback, gone at the end."""
    made = Proxy(target, listener)
    try:
        yield made
    finally:
        made.close()
