"""The agent's log: what cannot be written or is not read delays nobody, and what was dropped is counted."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.agent.log import MOST_WAITING, Log

PATIENCE = 10.0
LINE = 64 * 1024


class Pipe:
    """A log, and who reads it."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.log = Log(self.writer)

    def read_until(self, last: str) -> list[dict[str, Any]]:
        """What comes until a line of this event; fails when that does not come."""
        lines: list[dict[str, Any]] = []

        def read() -> None:
            with os.fdopen(os.dup(self.reader), "rb") as stream:
                while not lines or lines[-1]["event"] != last:
                    lines.append(json.loads(stream.readline()))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        assert not thread.is_alive(), lines[-1:]
        return lines

    def close(self) -> None:
        """Nobody reads any more, and with that the log's thread ends."""
        os.close(self.reader)
        self.log.finish(PATIENCE)
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def line(number: int, size: int = 10) -> dict[str, object]:
    return {"event": "call", "number": number, "filler": "x" * size}


def test_lines_come_in_order(pipe: Pipe) -> None:
    for number in range(100):
        pipe.log.write(line(number))
    pipe.log.write({"event": "end"})
    assert [each.get("number") for each in pipe.read_until("end")] == [*range(100), None]
    assert pipe.log.dropped == 0


def test_who_does_not_read_delays_nobody_and_is_told_what_is_missing(pipe: Pipe) -> None:
    written = threading.Thread(target=lambda: [pipe.log.write(line(n, LINE)) for n in range(100)], daemon=True)
    written.start()
    written.join(PATIENCE)
    assert not written.is_alive()
    most = MOST_WAITING // LINE + 2  # what waits, what is being written, what lies in the pipe
    assert 100 - 2 * most <= pipe.log.dropped < 100
    lines = pipe.read_until("lines dropped")
    assert lines[-1]["count"] == pipe.log.dropped


def test_a_descriptor_that_does_not_block_gets_whole_lines(pipe: Pipe) -> None:
    os.set_blocking(pipe.writer, False)
    for number in range(4):
        pipe.log.write(line(number, LINE))
    pipe.log.write({"event": "end"})
    time.sleep(0.1)  # the pipe is full by now, and the log has to wait
    assert [each.get("number") for each in pipe.read_until("end")] == [0, 1, 2, 3, None]


def test_a_log_that_nobody_has_any_more_takes_everything() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    log = Log(writer)
    for number in range(10):
        log.write(line(number))
    log.finish(PATIENCE)
    os.close(writer)
    assert log.dropped == 10


def test_its_end_waits_for_nobody_for_ever(pipe: Pipe) -> None:
    pipe.log.write(line(0, 2 * LINE))
    end = threading.Thread(target=pipe.log.finish, daemon=True)
    end.start()
    end.join(PATIENCE)
    assert not end.is_alive()


def test_its_end_writes_what_waits(pipe: Pipe) -> None:
    pipe.log.write(line(1))
    pipe.log.finish(PATIENCE)
    assert json.loads(os.read(pipe.reader, LINE)) == line(1)


VALUES = st.recursive(
    st.none()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.just(object()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.frozensets(st.integers()),
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=())), VALUES, max_size=4))
def test_whatever_is_to_be_told_becomes_one_line_of_json(facts: dict[str, object]) -> None:
    reader, writer = os.pipe()
    log = Log(writer)
    log.write(facts)
    log.finish(PATIENCE)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        (text,) = stream.readlines()
    assert json.loads(text).keys() == facts.keys()
