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
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar, cast

from unipam.model.errors import Refused, StoreBusy, UnipamError
from unipam.plan.reservations import Reserved
from unipam.plan.reserve import Wanted, reserve, reserve_all
from unipam.plan.tree import By, Plan
from unipam.store.api import Store, Tx

T = TypeVar("T")
Outcome = tuple["asyncio.Future[Any]", Any]
"""A waiting future, and its result or error."""

LARGEST_BATCH = 128
GATHER = 0.003
"""Seconds that the writer lets requests gather when the last batch had company; whoever comes alone never waits."""
LONGEST_QUEUE = 4096


class _Write(NamedTuple):
    future: asyncio.Future[Any]
    work: Callable[[Plan], Any]


class _Reserve(NamedTuple):
    future: asyncio.Future[Any]
    wanted: Wanted


class Desk:
    """Takes work from the event loop that made it, and brings the results back there."""

    def __init__(self, open_store: Callable[[], Store], clock: Callable[[], float], *, readers: int = 4) -> None:
        self._open = open_store
        self._frees = False
        self.clock = clock
        self._queue: queue.SimpleQueue[_Write | _Reserve | None] = queue.SimpleQueue()
        self._own = threading.local()
        self._stores: list[Store] = []
        self._readers = ThreadPoolExecutor(readers, "reader")
        self._loop = asyncio.get_running_loop()
        self._writer = threading.Thread(target=self._write_on, name="writer", daemon=True)
        self._writer.start()

    @property
    def waiting(self) -> int:
        """How many writes wait."""
        return self._queue.qsize()

    def freeing(self) -> Desk:
        """The same desk, for whoever frees something: it may use the room that the store keeps for a full disk."""
        desk = copy.copy(self)
        desk._frees = True  # noqa: SLF001
        return desk

    async def write(self, work: Callable[[Tx, By], T], by: By, *, rehearse: bool = False) -> T:
        """Do work as one transaction; see `Plan.write`."""
        frees = self._frees
        return cast("T", await self._put(lambda plan: plan.write(work, by, rehearse=rehearse, frees=frees)))

    async def _put(self, work: Callable[[Plan], Any]) -> Any:
        return await self._enqueue(lambda future: _Write(future, work))

    async def reserve(self, wanted: Wanted) -> list[Reserved]:
        """Reserve, together with whoever else waits."""
        return cast("list[Reserved]", await self._enqueue(lambda future: _Reserve(future, wanted)))

    async def _enqueue(self, make: Callable[[asyncio.Future[Any]], _Write | _Reserve]) -> Any:
        if self._queue.qsize() >= LONGEST_QUEUE:
            raise StoreBusy(f"{LONGEST_QUEUE} writes are waiting already: try again later")
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(make(future))
        return await future

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Do work on one consistent state, in a thread of its own."""
        return await self.call(lambda: self._plan().read(work))

    async def call(self, work: Callable[[], T]) -> T:
        """Do something that may block, in a thread."""
        return await self._loop.run_in_executor(self._readers, work)

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
            self._loop.call_soon_threadsafe(_deliver, outcomes)
            if last:
                return

    def _batch(self, first: _Write | _Reserve) -> tuple[list[_Write | _Reserve], bool]:
        """What waits, up to a limit; and whether the end of all work was met."""
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
                outcomes.append((item.future, self._try(item.work)))
        return outcomes + self._reserve(together)

    def _try(self, work: Callable[[Plan], Any]) -> Any:
        try:
            return work(self._plan())
        except Exception as error:  # noqa: BLE001 (whatever it is belongs to the caller, and the writer must go on)
            return error

    def _reserve(self, items: list[_Reserve]) -> list[Outcome]:
        if not items:
            return []
        wanted = [item.wanted for item in items]
        by = By("unipam")
        outcome = self._try(lambda plan: plan.write(lambda tx, b: reserve_all(tx, wanted, b.now), by))
        if isinstance(outcome, Refused) and len(items) > 1:  # the store refused what looked free: find out whose
            return [(item.future, self._alone(item.wanted)) for item in items]
        if isinstance(outcome, Exception):
            return [(item.future, outcome) for item in items]
        return [(item.future, each) for item, each in zip(items, outcome, strict=True)]

    def _alone(self, wanted: Wanted) -> Any:
        return self._try(lambda plan: plan.write(lambda tx, b: reserve(tx, wanted, b.now), wanted.by))

    def close(self) -> None:
        """Finish what waits, then let go of every store."""
        self._queue.put(None)
        self._writer.join()
        self._readers.shutdown(wait=True)
        for store in self._stores:
            store.close()


def _deliver(outcomes: list[Outcome]) -> None:
    for future, outcome in outcomes:
        if future.done():  # its caller is gone; what was done stays done
            continue
        if isinstance(outcome, Exception):
            future.set_exception(_own(outcome))
        else:
            future.set_result(outcome)


def _own(error: Exception) -> Exception:
    """Several callers may share one error; each gets an instance of its own, since raising changes it."""
    return type(error)(error.message, **error.facts) if isinstance(error, UnipamError) else error
