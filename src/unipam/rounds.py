"""Work done in rounds: again and again, with a pause after each round, until it is stopped.

In a thread of its own (`Rounds`), or as a task of an event loop (`repeat`). What a round does about its failures is the
round's matter; one that raises is the last.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import NoReturn


class Rounds:
    """Does a `round` every `interval` seconds in a thread of its own, the first one after `delay` seconds."""

    def __init__(self, name: str, interval: float, *, delay: float = 0.0) -> None:
        self._interval = interval
        self._delay = delay
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, wait: float | None = 5.0) -> None:
        """End after the round under way, for which it waits up to so many seconds; None: as long as it takes."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(wait)

    def round(self) -> None:
        """Do the work once."""
        raise NotImplementedError

    def _work(self) -> None:
        pause = self._delay
        while not self._stop.wait(pause):
            self.round()
            pause = self._interval


async def repeat(
    work: Callable[[], Awaitable[None]], interval: float, sleep: Callable[[float], Awaitable[None]]
) -> NoReturn:
    """Do the work every `interval` seconds, until the task is cancelled. `sleep` is the event loop's."""
    while True:
        await work()
        await sleep(interval)
