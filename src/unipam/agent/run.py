"""The agent's process: configuration in, server and sweeper up, signals, an orderly end."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from unipam.agent import runtime
from unipam.agent.log import Log
from unipam.agent.responder import Responder
from unipam.agent.server import Server
from unipam.agent.sweep import Sweeper
from unipam.agent.warm import Warmer
from unipam.agent.watch import Watch
from unipam.clients import systemd
from unipam.ledger.open import Ledgers
from unipam.logline import AUTO
from unipam.model.errors import BadInput


class Settings(NamedTuple):
    """How an agent runs. `metrics` is HOST:PORT, empty for none; `sweep` is in seconds, 0 for never.

    The first of the `data_dirs` also keeps the history of what has its truth elsewhere.
    """

    socket: str
    data_dirs: tuple[str, ...] = ()
    flush: bool = False
    metrics: str = ""
    sweep: float = 15.0
    cri: str = ""
    journal_days: int = 90
    log_format: str = AUTO


def run(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called in a thread of its own once calls are answered.

    Raises BadInput when it cannot begin, and what `ready` raises.
    """
    watch = Watch(Log(form=settings.log_format))
    home = next(iter(settings.data_dirs), "")
    server = Server(settings.socket, Responder(flush=settings.flush, home=home, say=watch.say), watch.observe)
    # Python runs handlers in between: without, a signal just before the loop waits would be heard at the next call.
    signal.set_wakeup_fd(server.wakeup, warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    sweeper = _start_sweeper(settings, server, watch)
    warmer = Warmer(functools.partial(_directories, settings, server), watch)
    warmer.start()
    _listen(server)
    watch.say("listening", socket=settings.socket)
    systemd.ready()
    try:
        _serve(server, ready)
    finally:
        warmer.stop()
        if sweeper:
            sweeper.stop()
    watch.say("stopped", socket=settings.socket)
    watch.finish()


def _serve(server: Server, ready: Callable[[], None]) -> None:
    """Serve in this thread, and be ready in another; what `ready` raises ends the service."""
    with ThreadPoolExecutor(1) as thread:
        announced = thread.submit(ready)
        announced.add_done_callback(lambda future: server.stop() if future.exception() else None)
        server.serve()
        announced.result()


def _listen(server: Server) -> None:
    try:
        os.makedirs(os.path.dirname(server.path) or ".", mode=0o700, exist_ok=True)
        server.listen()
    except OSError as error:
        raise BadInput(f"cannot listen at {server.path}: {error.strerror or error}: choose another --socket") from None


def _directories(settings: Settings, server: Server) -> list[str]:
    """Return where ledgers are, as far as the agent knows by now."""
    return sorted({*settings.data_dirs, *list(server.responder.ledgers.directories)})


def _start_sweeper(settings: Settings, server: Server, watch: Watch) -> Sweeper | None:
    directories = functools.partial(_directories, settings, server)
    if settings.metrics:
        watch.serve_metrics(settings.metrics, lambda: Ledgers(timeout=1.0), directories)
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
