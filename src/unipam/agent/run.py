"""The agent's process: configuration in, server and sweeper up, signals, an orderly end."""

from __future__ import annotations

import asyncio
import signal
from typing import NamedTuple

from unipam.agent.server import Responder, Server
from unipam.agent.watch import Watch


class Settings(NamedTuple):
    """How an agent runs. `metrics` is HOST:PORT, empty for none; `sweep` is in seconds."""

    socket: str
    data_dirs: tuple[str, ...] = ()
    flush: bool = False
    metrics: str = ""
    sweep: float = 15.0
    cri: str = ""
    journal_days: int = 90


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        import uvloop  # faster where it is installed, not needed
    except ImportError:
        asyncio.run(_serve(settings))
    else:
        uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    watch = Watch()
    server = Server(settings.socket, Responder(flush=settings.flush), watch.observe)
    listening = await server.listen()
    watch.say("listening", socket=settings.socket)
    await stop.wait()
    listening.close()
    await server.finish()
    watch.say("stopped", socket=settings.socket)
