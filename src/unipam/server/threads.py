"""Threads that work for an event loop. They may hang: neither the process's end nor other threads wait for them."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from unipam.model.errors import StoreBusy, UnipamError

T = TypeVar("T")
Outcome = tuple["asyncio.Future[Any]", Any]
"""A waiting future, and its result or error."""

LONGEST_WAIT = 15.0
"""Seconds for which work waits for its turn: where what it waits for hangs, it is answered all the same."""


def require_turn(asked: float) -> None:
    """Raise StoreBusy when what was asked for then (CLOCK_MONOTONIC) comes to its turn too late."""
    waited = time.monotonic() - asked
    if waited > LONGEST_WAIT:
        raise StoreBusy(f"others were waited for {waited:.0f} s, and nothing was begun: try again")


def attempt(work: Callable[[], Any]) -> Any:
    """Return the result of work, or the error that it raised: whatever that is, it belongs to whoever asked."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 (see above; and the thread must go on)
        return error


class Threads:
    """Some threads with one queue, for the running event loop."""

    def __init__(self, count: int, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._work_on, name=name, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    async def call(self, work: Callable[[], T]) -> T:
        """Do something that may block. Raises what it raises, or StoreBusy when its turn comes too late."""
        asked = time.monotonic()

        def in_time() -> T:
            require_turn(asked)
            return work()

        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put((future, in_time))
        return cast("T", await future)

    def _work_on(self) -> None:
        while self._do_next():
            pass

    def _do_next(self) -> bool:
        """Do what is next in the queue, and keep nothing of it while waiting for more: an answer may be large."""
        item = self._queue.get()
        if item is None:
            return False
        deliver(self._loop, [(item[0], attempt(item[1]))])
        return True

    def close(self, until: float) -> bool:
        """Finish what waits, but not after `until` (CLOCK_MONOTONIC); whether everything is finished."""
        for _ in self._threads:
            self._queue.put(None)
        return all(join(thread, until) for thread in self._threads)


def join(thread: threading.Thread, until: float) -> bool:
    """Wait for the end of a thread, but not after `until` (CLOCK_MONOTONIC); whether it has ended."""
    thread.join(max(0.0, until - time.monotonic()))
    return not thread.is_alive()


def deliver(loop: asyncio.AbstractEventLoop, outcomes: list[Outcome]) -> None:
    """Bring outcomes to those who wait for them in the loop; nobody does when it has ended."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[Outcome]) -> None:
    for future, outcome in outcomes:
        if future.done():  # its caller is gone; what was done stays done
            continue
        if isinstance(outcome, Exception):
            future.set_exception(_own(outcome))
        else:
            future.set_result(outcome)


def _own(error: Exception) -> Exception:
    """Return an instance of an error that is one caller's own: several may share one, and raising changes it."""
    return type(error)(error.message, **error.facts) if isinstance(error, UnipamError) else error
