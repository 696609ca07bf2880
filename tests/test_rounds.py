"""Work done in rounds, in a thread and in an event loop."""

from __future__ import annotations

import asyncio
import threading

import pytest

from unipam.rounds import Rounds, repeat


class Counted(Rounds):
    """Counts its rounds, and says when there were enough."""

    def __init__(self, enough: int, interval: float, delay: float = 0.0) -> None:
        super().__init__("counted", interval, delay=delay)
        self.enough = enough
        self.done = 0
        self.reached = threading.Event()

    def round(self) -> None:
        self.done += 1
        if self.done == self.enough:
            self.reached.set()


def test_a_thread_does_round_after_round_until_it_is_stopped() -> None:
    counted = Counted(3, 0.001)
    counted.start()
    assert counted.reached.wait(30)
    counted.stop()
    done = counted.done
    assert not [thread for thread in threading.enumerate() if thread.name == "counted"]
    assert counted.done == done


def test_a_thread_that_is_stopped_before_its_first_round_does_none() -> None:
    counted = Counted(1, 0.001, delay=3600.0)
    counted.start()
    counted.stop()
    assert counted.done == 0


def test_a_task_pauses_after_each_round_and_ends_when_it_is_cancelled() -> None:
    told: list[object] = []

    async def work() -> None:
        told.append("work")

    async def sleep(seconds: float) -> None:
        told.append(seconds)
        if told.count("work") == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(repeat(work, 7.0, sleep))
    assert told == ["work", 7.0] * 3
