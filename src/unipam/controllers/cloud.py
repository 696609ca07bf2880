"""Azure as all controllers of a process ask it: one dispatcher, so one budget, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from unipam.clients.azure.arm import Arm
from unipam.clients.azure.write.budget import Budget
from unipam.clients.azure.write.dispatcher import Dispatcher, Done, Heard, Outcome, Waiting
from unipam.clients.azure.write.jobs import Ask, Job, defect, send
from unipam.controllers.log import tell
from unipam.controllers.term import Term
from unipam.model.errors import SourceFailed, UnipamError

_AT_ONCE = 8
"""Requests on their way at one time."""
_LONGEST_WAIT = 60.0
_LATE = 30.0
"""Seconds after which it is told that a job waits."""


class Jobs(Protocol):
    """Where controllers have their jobs done."""

    def start(self, name: Hashable, job: Job[Any], done: Done, urgency: float = 0.0) -> None:
        """Begin a job, unless one of this name is under way. `done` is called from any thread."""

    def busy(self, name: Hashable) -> bool:
        """Return whether a job of this name is under way."""

    def lead(self, term: Term) -> None:
        """Write only as long as this term lasts."""

    def listen(self, heard: Callable[[Heard], None]) -> None:
        """Tell this one of each answer, whoever has asked; it is called in any thread, one answer at a time."""

    def close(self) -> None:
        """Ask nothing more; may be called by several. What is under way at Azure goes on there."""


class Cloud:
    """A dispatcher that any thread may use."""

    def __init__(self, arm: Arm, budget: Callable[[], Budget]) -> None:
        self._arm, self._now = arm, time.monotonic
        self._pool = ThreadPoolExecutor(_AT_ONCE, "azure")
        self._lock = threading.RLock()
        self._dispatcher = Dispatcher(self._send, self._now, budget)
        self._dispatcher.wake = self._wake
        self._woken, self._closed = threading.Event(), False
        self._next_tale = 0.0
        self._thread = threading.Thread(target=self._work, name="azure", daemon=True)
        self._thread.start()

    def start(self, name: Hashable, job: Job[Any], done: Done, urgency: float = 0.0) -> None:
        """See `Jobs.start`."""
        with self._lock:
            self._dispatcher.start(name, job, done, urgency)
        self._wake()

    def busy(self, name: Hashable) -> bool:
        """See `Jobs.busy`."""
        with self._lock:
            return self._dispatcher.busy(name)

    def lead(self, term: Term) -> None:
        """See `Jobs.lead`."""
        self._dispatcher.may_write = lambda: term.lasts

    def listen(self, heard: Callable[[Heard], None]) -> None:
        """See `Jobs.listen`."""
        self._dispatcher.heard = heard

    def waiting(self) -> list[dict[str, object]]:
        """Return every job under way, the next first: for which request, why, for and in how many seconds."""
        with self._lock:
            return [_told(each, self._now()) for each in self._dispatcher.waiting()]

    def close(self) -> None:
        """See `Jobs.close`."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        self._thread.join(5.0)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._arm.close()

    def _work(self) -> None:
        while not self._closed:
            self._woken.clear()
            with self._lock:
                due = self._dispatcher.step()
                self._tell_waiting()
            self._woken.wait(max(0.0, min(due - self._now(), _LONGEST_WAIT)))

    def _tell_waiting(self) -> None:
        """Log once a minute what waits for long, for what, why and until when, and what Azure has left for us."""
        now = self._now()
        if now < self._next_tale:
            return
        self._next_tale = now + _LONGEST_WAIT
        late = [each for each in self._dispatcher.waiting() if now - each.since > _LATE]
        if late:
            tell(
                "azure jobs wait", count=len(late), requests=self._dispatcher.sent, left=self._dispatcher.remaining(),
                first=[_told(each, now) for each in late[:5]],
            )  # fmt: skip

    def _wake(self) -> None:
        self._woken.set()

    def _send(self, ask: Ask, deliver: Callable[[Outcome], None]) -> None:
        may = self._dispatcher.may_write  # in this term, and in no later one
        self._pool.submit(lambda: deliver(self._outcome(ask, may)))

    def _outcome(self, ask: Ask, may: Callable[[], bool]) -> Outcome:
        try:
            return send(self._arm, ask, may)
        except SourceFailed as error:
            return error
        except (UnipamError, OSError) as error:
            return SourceFailed(f"{ask}: {error}", source="azure", asked=str(ask))
        except Exception as error:  # noqa: BLE001 (a job that is answered by nothing waits for ever)
            return SourceFailed(f"{ask}: {defect(error).message}", source="azure", asked=str(ask))


def _told(waiting: Waiting, now: float) -> dict[str, object]:
    return {
        "job": waiting.job, "what": waiting.what, "why": waiting.why, "for": round(now - waiting.since, 1),
        "in": max(0.0, round(waiting.until - now, 1)),
    }  # fmt: skip
