"""Who answers calls for the agent: the loop's own thread at once, or a thread that may wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar, cast

import unipam.store.sqlite  # noqa: F401 (ledgers import it when they need it, and an agent may have no file left then)
from unipam.cni.call import Answer, Call, Undo
from unipam.cni.context import Context
from unipam.cni.undoing import LONG, take_back
from unipam.dialects.registry import answer, together
from unipam.ledger.open import Ledgers, WouldBlock
from unipam.model.errors import UnipamError

T = TypeVar("T")
Work = Callable[[], None]
Then = Callable[[list[tuple[T, Answer]]], None]
"""Takes answers, each with whom it is for."""


class Waiting(NamedTuple, Generic[T]):
    """A call that waits, whose it is, and whether somebody still waits for its answer."""

    who: T
    call: Call
    heard: Callable[[], bool] = lambda: True


_WAITING_CALLS = 32
_UNDOING = 8
"""How many threads take back what nobody heard of: others than those of calls, which would wait for them."""


class Responder:
    """Answers calls: at once in this thread, or patiently in another.

    `timeout` is in seconds; `home` is the directory of the node's ledger for what has none of its own; `say`
    logs an event with its facts.
    """

    pauses: Sequence[float] = LONG

    def __init__(
        self,
        *,
        flush: bool = False,
        timeout: float = 3.5,
        home: str = "",
        say: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        self._say = say
        self.ledgers = Ledgers(timeout=0, flush=flush)
        self._context = Context(self.ledgers, attended=True, home=home)
        self._timeout = timeout
        self._flush = flush
        self._own = threading.local()
        self._threads = ThreadPoolExecutor(_WAITING_CALLS, "waiting-call")
        self._undoing = ThreadPoolExecutor(_UNDOING, "undoing")
        self._ending = threading.Event()
        self._running: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, bytes], list[Waiting[Any]]] = {}
        """Calls that wait for a thread, by plugin and configuration; a key is there while a thread attends to it."""

    def at_once(self, call: Call) -> Answer | None:
        """Return the answer, or None when giving it would mean to wait."""
        try:
            return answer(call, self._context)
        except WouldBlock:
            return None

    def together(self, calls: Sequence[Call]) -> list[Answer | None]:
        """Answer calls that came at once: they share one wait for the disk."""
        if len(calls) == 1:
            return [self.at_once(calls[0])]
        try:
            with self.ledgers.together():
                return [self.at_once(call) for call in calls]
        except UnipamError:  # asked again one by one, each hears for itself what is wrong
            return [None] * len(calls)

    def patiently(self, asked: Sequence[Waiting[T]], then: Then[T]) -> None:
        """Answer each call, waiting for what it needs until the timeout; `then` is told in threads of their own.

        Calls of one configuration that wait at once are answered together, as far as their plugin can. A call for which
        nobody waits any more when its turn comes is not begun.
        """
        for each in asked:
            key = each.call.plugin, each.call.stdin
            with self._lock:
                begun = key in self._waiting
                self._waiting.setdefault(key, []).append(each)
            if not begun:
                self._start(self._threads, partial(self._answer_waiting, key, then))

    def _answer_waiting(self, key: tuple[str, bytes], then: Then[T]) -> None:
        """Answer whoever waits with this configuration, and who comes meanwhile.

        Here it is those of one joint at a time, and once nobody waits one by itself; all else in other threads.
        """
        last: list[Work] = []
        while taken := self._take(key):
            joints, alone = self._planned([each for each in taken if each.heard()], then)
            for work in (*last, *joints[1:], *(alone if joints else alone[1:])):
                self._start(self._threads, work)
            last = [] if joints else alone[:1]
            for work in joints[:1]:
                work()
        for work in last:
            work()

    def _planned(self, waiting: Sequence[Waiting[T]], then: Then[T]) -> tuple[list[Work], list[Work]]:
        """Return what answers those who can be answered together, and what answers each of the others."""
        if not waiting:
            return [], []
        joints = together([each.call for each in waiting], [each.heard for each in waiting], self._context_here())
        alone = sorted(set(range(len(waiting))).difference(*(numbers for numbers, _ in joints)))
        return (
            [partial(self._answer_jointly, [waiting[n] for n in numbers], act, then) for numbers, act in joints],
            [partial(self._answer_alone, waiting[number], then) for number in alone],
        )

    def _answer_jointly(
        self, asked: Sequence[Waiting[T]], act: Callable[[Context], list[Answer | None]], then: Then[T]
    ) -> None:
        answers = list(zip(asked, act(self._context_here()), strict=True))
        if given := [(each.who, answered) for each, answered in answers if answered]:
            then(given)
        for each, answered in answers:
            if answered is None:
                self._start(self._threads, partial(self._answer_alone, each, then))

    def _answer_alone(self, asked: Waiting[T], then: Then[T]) -> None:
        if asked.heard():
            then([(asked.who, answer(asked.call, self._context_here()._replace(heard=asked.heard)))])

    def _take(self, key: tuple[str, bytes]) -> list[Waiting[Any]]:
        """Take who waits; none when nobody does, and then whoever comes next begins anew."""
        with self._lock:
            waiting = self._waiting[key]
            if waiting:
                self._waiting[key] = []
            else:
                del self._waiting[key]
            return waiting

    def undo(self, given: Answer) -> None:
        """Take back what nobody heard of, in a thread: the ledger may be busy."""
        if given.undo:
            self._start(self._undoing, partial(self._take_back, given.undo, given.facts))

    def _take_back(self, undo: Undo, told: Mapping[str, object]) -> None:
        def say(why: str, again_in: float) -> None:
            self._say("not undone", **{**told, "error": why, "again_in": again_in})

        take_back(undo, self._context_here, self.pauses, self._ending.wait, say)

    def finish(self) -> None:
        """Wait until all that was started is done; what cannot be undone is tried once more, and then left."""
        self._ending.set()
        while self._running:
            wait(self._running)

    def _start(self, threads: ThreadPoolExecutor, work: Work) -> None:
        future = threads.submit(work)
        self._running.add(future)
        future.add_done_callback(self._running.discard)

    def _context_here(self) -> Context:
        if not hasattr(self._own, "context"):
            own = Ledgers(timeout=self._timeout, flush=self._flush)
            self._own.context = self._context._replace(ledgers=own)
        return cast("Context", self._own.context)
