"""Between the event loop and the store: one thread writes, a few read; waiting reservations share a transaction.

A commit costs a flush of the disk whether it carries one reservation or a hundred. So all reservation requests that
wait while one is being written are served by the next transaction together. Nobody waits for a full batch; but where
several came at once the writer gives the next few milliseconds to gather more, since each transaction costs as much.
"""

from __future__ import annotations

import asyncio
import copy
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

from unipam.model.errors import Refused, StoreBusy
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import ReservationRequest, reserve, reserve_all
from unipam.plan.tree import Author, Plan
from unipam.server.threads import Outcome, Threads, attempt, deliver, join, require_turn
from unipam.store.api import Store, Tx

T = TypeVar("T")

LARGEST_BATCH = 128
GATHER = 0.003
"""Seconds that the writer lets requests gather when the last batch had company; whoever comes alone never waits."""
LONGEST_QUEUE = 4096
ENDING = 2.0
"""Seconds for which the end waits for work that was begun. What hangs longer is given up with the process."""


class _Write(NamedTuple):
    future: asyncio.Future[Any]
    asked: float
    work: Callable[[Plan], Any]


class _Reserve(NamedTuple):
    future: asyncio.Future[Any]
    asked: float
    wanted: ReservationRequest


class StoreWorker:
    """Takes work from the event loop that made it, and brings the results back there."""

    def __init__(self, open_store: Callable[[], Store], clock: Callable[[], float], *, readers: int = 4) -> None:
        self._open = open_store
        self._frees = False
        self.clock = clock
        self._queue: queue.SimpleQueue[_Write | _Reserve | None] = queue.SimpleQueue()
        self._own = threading.local()
        self._stores: list[Store] = []
        self._readers = Threads(readers, "reader")
        self._patient = Threads(1, "patient")
        self._loop = asyncio.get_running_loop()
        self._writer = threading.Thread(target=self._write_on, name="writer", daemon=True)
        self._writer.start()

    @property
    def waiting(self) -> int:
        """Return how many writes wait."""
        return self._queue.qsize()

    def freeing(self) -> StoreWorker:
        """Return the same worker, for whoever frees something: it may use the room that the store keeps for a full
        disk.
        """
        worker = copy.copy(self)
        worker._frees = True  # noqa: SLF001
        return worker

    async def write(self, work: Callable[[Tx, Author], T], by: Author, *, rehearse: bool = False) -> T:
        """Do work as one transaction; see `Plan.write`."""
        frees = self._frees
        return cast("T", await self._put(lambda plan: plan.write(work, by, rehearse=rehearse, frees=frees)))

    async def _put(self, work: Callable[[Plan], Any]) -> Any:
        return await self._enqueue(lambda future, asked: _Write(future, asked, work))

    async def reserve(self, wanted: ReservationRequest) -> list[Reserved]:
        """Reserve, together with whoever else waits."""
        return cast("list[Reserved]", await self._enqueue(lambda future, asked: _Reserve(future, asked, wanted)))

    async def _enqueue(self, make: Callable[[asyncio.Future[Any], float], _Write | _Reserve]) -> Any:
        if self._queue.qsize() >= LONGEST_QUEUE:
            raise StoreBusy(f"{LONGEST_QUEUE} writes are waiting already: try again later")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(make(future, time.monotonic()))
        return await future

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Do work on one consistent state, in a thread of its own."""
        return await self._readers.call(lambda: self._plan().read(work))

    async def read_at_length(self, work: Callable[[Tx], T]) -> T:
        """Do work that takes long on one consistent state, one after the other: only its like waits for it."""
        return await self._patient.call(lambda: self._plan().read(work))

    def _plan(self) -> Plan:
        if not hasattr(self._own, "plan"):
            store = self._open()
            self._stores.append(store)
            self._own.plan = Plan(store, self.clock)
        return cast("Plan", self._own.plan)

    def _write_on(self) -> None:
        crowd = False
        while (first := self._queue.get()) is not None:
            if crowd:
                time.sleep(GATHER)
            batch, last = self._batch(first)
            crowd = len(batch) > 1
            outcomes = self._serve(batch)
            deliver(self._loop, outcomes)
            if last:
                return

    def _batch(self, first: _Write | _Reserve) -> tuple[list[_Write | _Reserve], bool]:
        """Return what waits, up to a limit, and whether the end of all work was met."""
        batch = [first]
        while len(batch) < LARGEST_BATCH:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                return batch, True
            batch.append(item)
        return batch, False

    def _serve(self, batch: list[_Write | _Reserve]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        together: list[_Reserve] = []
        for item in batch:
            if isinstance(item, _Reserve):
                together.append(item)
            else:
                outcomes += self._reserve(together)  # in the order of arrival
                together = []
                outcomes.append((item.future, self._alone(item)))
        return outcomes + self._reserve(together)

    def _reserve(self, items: list[_Reserve]) -> list[Outcome]:
        if not items:
            return []
        wanted = [item.wanted for item in items]
        by = Author("unipam")
        outcome = self._try(items[0], lambda plan: plan.write(lambda tx, b: reserve_all(tx, wanted, b.now), by))
        if isinstance(outcome, Refused) and len(items) > 1:  # the store refused what looked free: find out whose
            return [(item.future, self._alone(item)) for item in items]
        if isinstance(outcome, Exception):
            return [(item.future, outcome) for item in items]
        return [(item.future, each) for item, each in zip(items, outcome, strict=True)]

    def _alone(self, item: _Write | _Reserve) -> Any:
        if isinstance(item, _Write):
            return self._try(item, item.work)
        wanted = item.wanted
        return self._try(item, lambda plan: plan.write(lambda tx, b: reserve(tx, wanted, b.now), wanted.by))

    def _try(self, item: _Write | _Reserve, work: Callable[[Plan], Any]) -> Any:
        def in_time() -> Any:
            require_turn(item.asked)
            return work(self._plan())

        return attempt(in_time)

    def close(self) -> None:
        """Finish what waits, then let go of every store; what hangs is left alone."""
        until = time.monotonic() + ENDING
        self._queue.put(None)
        finished = [join(self._writer, until), self._readers.close(until), self._patient.close(until)]
        if all(finished):
            for store in self._stores:
                store.close()
