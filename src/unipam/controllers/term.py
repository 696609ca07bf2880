"""A time of leadership: how long it lasts, and how whoever works in it waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Term:
    """From an election to the next. Any thread may use it.

    It ends when it is ended, and also by itself when its lease was not renewed in time, however long the process stood
    still meanwhile.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Last for so many seconds, unless it is renewed."""
        self._clock = clock
        self._until = clock() + seconds
        self._changed = threading.Condition()
        self._ended = self._woken = False

    @property
    def lasts(self) -> bool:
        """Whether this process leads still, and so may begin a write."""
        return not self._ended and self._clock() < self._until

    def renew(self, until: float) -> None:
        """Last until this reading of the clock."""
        self._until = until

    def end(self) -> None:
        """Lead no more. Whoever waits returns."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wake(self) -> None:
        """Let `wait` return: there is something to look at."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until somebody wakes it, so many seconds at the most; whether the term lasts."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._woken, seconds)
            self._woken = False
        return self.lasts

    def rest(self, seconds: float, over: Callable[[], bool] = lambda: False) -> bool:
        """Wait so many seconds, whatever there is to look at, unless the term ends; whether it lasts.

        It is `over` before its time where that says so when somebody wakes it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ended or over(), seconds)
        return self.lasts
