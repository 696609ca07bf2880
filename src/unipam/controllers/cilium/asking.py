"""Jobs at Azure whose results are taken in by the thread that has begun them."""

from __future__ import annotations

import queue
from collections.abc import Callable, Hashable
from typing import Any

from unipam.clients.azure.write.jobs import Job
from unipam.controllers.cloud import Jobs


class Asking:
    """Jobs under way, and results that wait to be taken in. `wake` is called, in any thread, when one has ended."""

    def __init__(self, azure: Jobs, wake: Callable[[], None]) -> None:
        self._azure, self._wake = azure, wake
        self._outcomes: queue.SimpleQueue[Callable[[float], None]] = queue.SimpleQueue()

    def start(self, name: Hashable, job: Job[Any], done: Callable[[Any, float], None], urgency: float) -> None:
        """Begin a job, unless one of this name is under way; `done` is called by `settle`."""

        def came(result: Any) -> None:
            self._outcomes.put(lambda now: done(result, now))
            self._wake()

        self._azure.start(name, job, came, urgency)

    def busy(self, name: Hashable) -> bool:
        """Return whether a job of this name is under way."""
        return self._azure.busy(name)

    def settle(self, now: float) -> None:
        """Take in what has ended."""
        while not self._outcomes.empty():
            self._outcomes.get_nowait()(now)

    def heard(self) -> bool:
        """Return whether something has ended that was not taken in yet."""
        return not self._outcomes.empty()
