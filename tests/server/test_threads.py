"""Work in threads: what hangs keeps nobody waiting for ever, neither its neighbours nor the end."""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from pathlib import Path

import pytest

from unipam.model.errors import StoreBusy
from unipam.plan.blocks import create_space
from unipam.plan.open import open_store
from unipam.plan.tree import Author
from unipam.server import threads
from unipam.server.store_worker import StoreWorker
from unipam.server.threads import Threads
from unipam.store.api import Store

ME = Author("me", "me")


def test_what_comes_to_its_turn_too_late_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LONGEST_WAIT", 0.1)
    going, begun = threading.Event(), []

    async def main() -> None:
        one = Threads(1, "one")
        hanging = asyncio.ensure_future(one.call(going.wait))
        late = asyncio.ensure_future(one.call(lambda: begun.append(1)))
        await asyncio.sleep(0.3)
        going.set()
        assert await hanging
        with pytest.raises(StoreBusy, match="nothing was begun"):
            await late
        assert await one.call(lambda: 7) == 7
        assert one.close(time.monotonic() + 60)

    asyncio.run(main())
    assert begun == []


class Answer:
    """Stands for a large one."""


def test_a_thread_that_waits_for_work_keeps_nothing_of_the_last() -> None:
    async def main() -> None:
        one = Threads(1, "one")
        answer = weakref.ref(await one.call(Answer))
        while answer() is not None:  # the thread may still be on its way back to the queue
            await asyncio.sleep(0.01)
        assert one.close(time.monotonic() + 60)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_write_that_comes_too_late_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "LONGEST_WAIT", 0.1)
    going = threading.Event()

    async def main() -> None:
        worker = StoreWorker(lambda: open_store(str(tmp_path / "r.db")), time.time)
        hanging = asyncio.ensure_future(worker.write(lambda tx, by: going.wait(60), ME))
        await asyncio.sleep(0.2)  # it is alone in its batch
        late = asyncio.ensure_future(worker.write(lambda tx, by: create_space(tx, by, "S", "s"), ME))
        await asyncio.sleep(0.3)
        going.set()
        assert await hanging
        with pytest.raises(StoreBusy):
            await late
        assert await worker.read(lambda tx: tx.spaces()) == []
        worker.close()

    asyncio.run(main())


def test_the_end_does_not_wait_for_what_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipam.server.store_worker.ENDING", 0.1)
    going = threading.Event()

    def opened() -> Store:
        going.wait(60)
        return open_store(str(tmp_path / "r.db"))

    async def main() -> None:
        worker = StoreWorker(opened, time.time)
        hanging = asyncio.ensure_future(worker.read(lambda tx: tx.spaces()))
        await asyncio.sleep(0.1)
        worker.close()
        assert not hanging.done()
        going.set()
        assert await hanging == []

    asyncio.run(main())
