"""Who answers calls for the agent: the loop's own thread at once, or a thread that may wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Any, cast

from unipam.cni.call import Answer, Call, Undo
from unipam.cni.context import Context
from unipam.cni.undoing import take_back
from unipam.dialects.registry import answer
from unipam.ledger.open import Ledgers, WouldBlock
from unipam.model.errors import UnipamError

_WAITING_CALLS = 32
_UNDOING = 8
"""How many threads take back what nobody heard of: others than those of calls, which would wait for them."""


class Responder:
    """Answers calls: at once in this thread, or patiently in another.

    `timeout` is in seconds; `home` is the directory of the node's ledger for what has none of its own; `say`
    logs an event with its facts.
    """

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

    def patiently(self, call: Call, then: Callable[[Answer], None], heard: Callable[[], bool] = lambda: True) -> None:
        """Answer, waiting for other writers until the timeout; `then` is told in a thread of its own.

        A call for which nobody waits any more (`heard`) when its turn comes is not begun.
        """

        def work() -> None:
            if heard():
                then(answer(call, self._context_here()._replace(heard=heard)))

        self._start(self._threads, work)

    def undo(self, given: Answer) -> None:
        """Take back what nobody heard of, in a thread: the ledger may be busy."""
        if given.undo:
            self._start(self._undoing, partial(self._take_back, given.undo, given.facts))

    def _take_back(self, undo: Undo, told: Mapping[str, object]) -> None:
        def say(why: str, again_in: float) -> None:
            self._say("not undone", **{**told, "error": why, "again_in": again_in})

        take_back(undo, self._context_here, self._ending.wait, say)

    def finish(self) -> None:
        """Wait until all that was started is done; what cannot be undone is tried once more, and then left."""
        self._ending.set()
        while self._running:
            wait(self._running)

    def _start(self, threads: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        future = threads.submit(work)
        self._running.add(future)
        future.add_done_callback(self._running.discard)

    def _context_here(self) -> Context:
        if not hasattr(self._own, "context"):
            own = Ledgers(timeout=self._timeout, flush=self._flush)
            self._own.context = self._context._replace(ledgers=own)
        return cast("Context", self._own.context)
