"""What a thread of its own receives, for readers that will only wait until a deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

_Item = TypeVar("_Item")

_ROOM = 256
"""Messages that may wait here before the sender has to."""


class Inbox(Generic[_Item]):
    """The items of a blocking iterator, in order; then, again and again, the error that it ended with."""

    def __init__(
        self, source: Iterator[_Item], stop: Callable[[], object], ended: Callable[[Exception | None], Exception]
    ) -> None:
        """Receive from `source`, which `stop` ends from any thread; `ended` words what it ended with, if anything."""
        self._items: queue.Queue[_Item | Exception] = queue.Queue(_ROOM)
        self._stop, self._ended = stop, ended
        self._failure: Exception | None = None
        self._closed = threading.Event()
        threading.Thread(target=self._receive, args=(source,), name="inbox", daemon=True).start()

    def take(self, deadline: float) -> list[_Item]:
        """Return what has come, after waiting for something until the deadline (`time.monotonic()`).

        Raises what the iterator ended with.
        """
        taken: list[_Item] = []
        while not self._closed.is_set() and self._failure is None:
            try:
                item = self._items.get(timeout=0 if taken else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return taken
            if isinstance(item, Exception):
                self._failure = item
            else:
                taken.append(item)
        if taken or self._failure is None or self._closed.is_set():
            return taken
        raise self._failure

    def close(self) -> None:
        """Stop receiving, and let a `take` that waits return."""
        self._closed.set()
        self._stop()
        self._put(self._ended(None))

    def _receive(self, source: Iterator[_Item]) -> None:
        ended: Exception | None = None
        try:
            for item in source:
                if not self._put(item):
                    return
        except Exception as error:  # noqa: BLE001 (whatever a library raises is told to the reader)
            ended = error
        self._put(self._ended(ended))

    def _put(self, item: _Item | Exception) -> bool:
        """Put it into the inbox; return whether it found room before the inbox was closed."""
        while True:
            try:
                self._items.put(item, timeout=0.1)
            except queue.Full:
                if self._closed.is_set():
                    return False
            else:
                return True
