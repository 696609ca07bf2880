"""The agent's process: configuration in, server and sweeper up, signals, an orderly end."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Callable
from typing import NamedTuple

from unipam.agent import runtime
from unipam.agent.server import Responder, Server
from unipam.agent.sweep import Sweeper
from unipam.agent.warm import Warmer
from unipam.agent.watch import Watch
from unipam.model.errors import BadInput
from unipam.service.ledgers import Ledgers


class Settings(NamedTuple):
    """How an agent runs. `metrics` is HOST:PORT, empty for none; `sweep` is in seconds, 0 for never."""

    socket: str
    data_dirs: tuple[str, ...] = ()
    flush: bool = False
    metrics: str = ""
    sweep: float = 15.0
    cri: str = ""
    journal_days: int = 90


def run(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called in a thread of its own once calls are answered.

    Raises BadInput when it cannot begin, and what `ready` raises.
    """
    try:
        import uvloop  # faster where it is installed, not needed
    except ImportError:
        asyncio.run(_serve(settings, ready))
    else:
        uvloop.run(_serve(settings, ready))


async def _serve(settings: Settings, ready: Callable[[], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    watch = Watch()
    server = Server(settings.socket, Responder(flush=settings.flush), watch.observe)
    sweeper = _watch_over(settings, server, watch)
    warmer = Warmer(functools.partial(_directories, settings, server), watch)
    warmer.start()
    listening = await _listen(server)
    watch.say("listening", socket=settings.socket)
    try:
        await asyncio.to_thread(ready)
        await stop.wait()
    finally:
        listening.close()
        await server.finish()
        warmer.stop()
        if sweeper:
            sweeper.stop()
    watch.say("stopped", socket=settings.socket)


async def _listen(server: Server) -> asyncio.Server:
    try:
        os.makedirs(os.path.dirname(server.path) or ".", mode=0o700, exist_ok=True)
        return await server.listen()
    except OSError as error:
        raise BadInput(f"cannot listen at {server.path}: {error.strerror or error}: choose another --socket") from None


def _directories(settings: Settings, server: Server) -> list[str]:
    """Where ledgers are, as far as the agent knows by now."""
    return sorted({*settings.data_dirs, *list(server.responder.ledgers.directories)})


def _watch_over(settings: Settings, server: Server, watch: Watch) -> Sweeper | None:
    directories = functools.partial(_directories, settings, server)
    if settings.metrics:
        watch.serve_metrics(settings.metrics, lambda: Ledgers(patience=1.0), directories)
    if settings.sweep <= 0:
        return None
    sweeper = Sweeper(
        directories,
        watch,
        interval=settings.sweep,
        keep=settings.journal_days * 86_400.0,
        ask=functools.partial(runtime.ask, settings.cri) if settings.cri else None,
    )
    sweeper.start()
    return sweeper
