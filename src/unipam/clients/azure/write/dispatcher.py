"""Who may ask Azure next: every job of a process, by one budget for each subscription, the neediest first.

A job that has begun goes before those that have not: the first one served is served to its end, instead of all at once
going in lockstep (spec cilium §9.1, "No fairness"). `step` never blocks; requests are sent by `send`, which answers by
calling back, from whatever thread. So hours of it can be simulated.
"""

from __future__ import annotations

import math
import queue
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from unipam.clients.azure.arm import Answer
from unipam.clients.azure.pace import UNTOLD
from unipam.clients.azure.write.budget import Budget
from unipam.clients.azure.write.jobs import Ask, Job, Pause, defect
from unipam.clients.azure.write.verdicts import Kind, judge
from unipam.model.errors import SourceFailed

Outcome = Answer | SourceFailed
Send = Callable[[Ask, Callable[[Outcome], None]], None]
"""Sends one request, and calls back once with what became of it."""
_BUDGET = "the budget of the subscription"
Done = Callable[[Any], None]
"""Is told a job's result, or its SourceFailed."""


class Waiting(NamedTuple):
    """A job, what it waits for and why, since when, and until when at the least (moments of the dispatcher's clock)."""

    job: Hashable
    what: str
    why: str
    since: float
    until: float


class Heard(NamedTuple):
    """A request that was answered: the seconds that it waited for the budget, and that Azure took for it."""

    ask: Ask
    waited: float
    took: float
    well: bool


class _Purse(NamedTuple):
    """What a request is paid from."""

    subscription: str = ""
    writes: bool = False
    free: bool = False


_NO_PURSE = _Purse()


@dataclass
class _Task:
    name: Hashable
    job: Job[Any]
    urgency: float
    done: Done
    since: float
    may_write: Callable[[], bool]
    ask: Ask | None = None
    began: bool = False
    due: float = 0.0
    why: str = ""
    sent: bool = False
    sent_at: float = 0.0
    held_up: float | None = None
    """Since when the budget holds its request up."""
    waited: float = 0.0
    purse: _Purse = _NO_PURSE
    in_its_way: int = 0
    """How often another operation was."""

    def rank(self) -> tuple[bool, int, float, float]:
        """Return its place: begun ones first, then those with nothing in their way, then by need, then by age."""
        return (not self.began, self.in_its_way, -self.urgency, self.since)


class Dispatcher:
    """Drives jobs, one at a time for each name. One thread calls it; answers may come from any."""

    def __init__(self, send: Send, now: Callable[[], float], budget: Callable[[], Budget] = Budget) -> None:
        self._send, self._now, self._new_budget = send, now, budget
        self._tasks: dict[Hashable, _Task] = {}
        self._budgets: dict[str, Budget] = {}
        self._answers: queue.SimpleQueue[tuple[_Task, Outcome]] = queue.SimpleQueue()
        self.wake: Callable[[], None] = lambda: None
        """Is called when an answer has come, from the thread in which it came."""
        self.may_write: Callable[[], bool] = lambda: True
        """Says whether this process leads still. A job that is to write when it does not is cancelled, also when it
        leads again by then: what the job goes by is of a time before another one may have led."""
        self.heard: Callable[[Heard], None] = lambda _: None
        """Is told of each answer."""
        self.sent = 0
        """Requests so far."""
        self.tokens = 0
        """Requests so far that the budget was charged for."""

    def start(self, name: Hashable, job: Job[Any], done: Done, urgency: float = 0.0) -> None:
        """Begin a job; its first question is asked by a `step`. A name that is busy keeps the job that it has."""
        if name not in self._tasks:
            task = self._tasks[name] = _Task(name, job, urgency, done, self._now(), self.may_write)
            self._advance(task, None)

    def busy(self, name: Hashable) -> bool:
        """Return whether a job of this name is under way."""
        return name in self._tasks

    def waiting(self) -> list[Waiting]:
        """Return every job under way, the next first."""
        return [
            Waiting(task.name, str(task.ask or "its time"), task.why, task.since, task.due)
            for task in sorted(self._tasks.values(), key=_Task.rank)
        ]

    def remaining(self) -> dict[str, float]:
        """Return what each limit of Azure had left when it was last told."""
        return {
            f"{subscription} {limit}": left
            for subscription, budget in self._budgets.items()
            for limit, left in budget.remaining.items()
        }

    def budget(self, subscription: str) -> Budget:
        """Return the budget of a subscription."""
        return self._budgets.setdefault(subscription, self._new_budget())

    def step(self) -> float:
        """Take the answers that have come and send what may be sent; return when to step again, at the latest."""
        self._take_answers()
        now, due = self._now(), math.inf
        closed: dict[_Purse, float] = {}
        open_ones = [each for each in self._tasks.values() if not each.sent]
        for task in sorted((each for each in open_ones if each.due <= now), key=_Task.rank):
            due = min(due, self._try(task, now, closed))
        return min([due, *(each.due for each in open_ones if each.due > now)])

    def _take_answers(self) -> None:
        while True:
            try:
                task, outcome = self._answers.get_nowait()
            except queue.Empty:
                return
            self._answered(task, outcome)

    def _try(self, task: _Task, now: float, closed: dict[_Purse, float]) -> float:
        """Go on with a task whose time it is; return when to try again. `closed`: empty purses, until when."""
        if task.ask is None:
            self._advance(task, None)
            return now
        if task.purse in closed:
            return _hold_up(task, now, closed[task.purse])
        if task.ask.writes and not task.may_write():
            self._advance(task, SourceFailed(f"{task.ask}: this process leads no more", code="Canceled"))
            return now
        budget = self.budget(task.purse.subscription)
        ready = budget.ready_at(now, writes=task.ask.writes, free=task.ask.follows)
        if ready > now:
            closed[task.purse] = ready
            return _hold_up(task, now, ready)
        budget.take(now, writes=task.ask.writes, free=task.ask.follows)
        self.tokens += not task.ask.follows
        task.sent = task.began = True
        task.why, self.sent = "Azure's answer", self.sent + 1
        task.sent_at, task.waited = now, 0.0 if task.held_up is None else now - task.held_up
        task.held_up = None
        self._send(task.ask, lambda outcome: self._deliver(task, outcome))
        return math.inf

    def _deliver(self, task: _Task, outcome: Outcome) -> None:
        self._answers.put((task, outcome))
        self.wake()

    def _answered(self, task: _Task, outcome: Outcome) -> None:
        task.sent = False
        assert task.ask is not None
        budget, now = self.budget(task.purse.subscription), self._now()
        self.heard(Heard(task.ask, task.waited, now - task.sent_at, not isinstance(outcome, SourceFailed)))
        if isinstance(outcome, SourceFailed):
            verdict = judge(outcome)
            if verdict.kind is Kind.THROTTLED:  # nobody may ask before; then this one asks again
                task.due, task.why = now + (verdict.wait or UNTOLD), f"{verdict.code}: Azure wants no requests"
                budget.refuse(task.due, writes=task.ask.writes)
                return
            if verdict.kind is Kind.BUSY:  # many that wait for one thing do not go before others again and again
                task.began, task.in_its_way = False, task.in_its_way + 1
        else:
            budget.heed(outcome.headers, now)
        budget.grant(writes=task.ask.writes)
        self._advance(task, outcome)

    def _advance(self, task: _Task, outcome: Outcome | None) -> None:
        """Tell a job what became of its question, and note the next one."""
        try:
            failed = isinstance(outcome, SourceFailed)
            # None begins it, or answers a Pause
            wanted = task.job.throw(outcome) if failed else task.job.send(outcome)  # type: ignore[arg-type]
        except StopIteration as stop:
            self._end(task, stop.value)
        except SourceFailed as error:
            self._end(task, error)
        except Exception as error:  # noqa: BLE001 (an answer that one job did not expect must not end the others)
            self._end(task, defect(error))
        else:
            if isinstance(wanted, Pause):
                task.ask, task.due, task.why = None, self._now() + wanted.seconds, wanted.why
            else:
                task.ask, task.due, task.why = wanted, self._now(), "its turn"
                task.purse = _Purse(wanted.subscription or task.purse.subscription, wanted.writes, wanted.follows)

    def _end(self, task: _Task, result: Any) -> None:
        del self._tasks[task.name]
        task.done(result)


def _hold_up(task: _Task, now: float, until: float) -> float:
    """Note that the budget holds a request up, and until when."""
    task.why, task.held_up = _BUDGET, now if task.held_up is None else task.held_up
    return until
