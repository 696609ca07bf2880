"""What a thread receives, for readers that will only wait until a deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import pytest

from unipam.clients.inbox import Inbox
from unipam.model.errors import SourceFailed


class Source:
    """An iterator that somebody else feeds; an exception is raised, None ends it."""

    def __init__(self) -> None:
        self.items: queue.Queue[int | Exception | None] = queue.Queue()

    def __iter__(self) -> Iterator[int]:
        while (item := self.items.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def stop(self) -> None:
        self.items.put(None)


def ended(error: Exception | None) -> Exception:
    return SourceFailed(f"ended: {error}")


def soon() -> float:
    return time.monotonic() + 20


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def inbox(source: Source) -> Iterator[Inbox[int]]:
    made = Inbox(iter(source), source.stop, ended)
    yield made
    made.close()


def test_items_come_in_order(source: Source, inbox: Inbox[int]) -> None:
    for number in range(600):  # more than there is room for
        source.items.put(number)
    taken: list[int] = []
    while len(taken) < 600:
        taken += inbox.take(soon())
    assert taken == list(range(600))


def test_nothing_comes_by_the_deadline(inbox: Inbox[int]) -> None:
    assert inbox.take(time.monotonic() + 0.01) == []
    assert inbox.take(time.monotonic() - 1) == []


@pytest.mark.parametrize(("last", "said"), [(None, "ended: None"), (OSError("gone"), "ended: gone")])
def test_the_end_is_told_after_the_items_and_again(
    source: Source, inbox: Inbox[int], last: Exception | None, said: str
) -> None:
    source.items.put(1)
    source.items.put(last)
    assert inbox.take(soon()) == [1]
    for _ in range(2):
        with pytest.raises(SourceFailed, match=said):
            inbox.take(soon())


def test_a_reader_is_let_go_when_it_is_closed(source: Source, inbox: Inbox[int]) -> None:
    closing = threading.Timer(0.05, inbox.close)
    closing.start()
    assert inbox.take(time.monotonic() + 60) == []
    closing.join()
    assert inbox.take(time.monotonic() + 60) == []


def test_a_full_inbox_can_be_closed(source: Source) -> None:
    before = set(threading.enumerate())
    made = Inbox(iter(source), source.stop, ended)
    for number in range(1000):
        source.items.put(number)
    made.close()
    assert made.take(time.monotonic() + 60) == []
    deadline = time.monotonic() + 20
    while any(thread.name == "inbox" for thread in set(threading.enumerate()) - before):
        assert time.monotonic() < deadline
        time.sleep(0.01)
