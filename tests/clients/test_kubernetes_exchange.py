"""Answers of HTTP/1.1 as servers may give them, whole or in pieces, and what is none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from unipam.clients.kubernetes.exchange import Answer, Exchange, ProtocolError

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;name=value\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
)
BUSY = b"HTTP/1.1 429 Too Many Requests\r\nRETRY-AFTER:  7 \r\nContent-Length: 0\r\n\r\n"
NOTHING = b"HTTP/1.1 204 No Content\r\n\r\n"
AT_WORK = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + LENGTH


class Ends(NamedTuple):
    """Both ends of a connection."""

    ours: Exchange
    server: socket.socket


@pytest.fixture
def ends() -> Iterator[Ends]:
    """A connection."""
    ours, server = socket.socketpair()
    made = Exchange(ours)
    with server:
        yield Ends(made, server)
    made.close()


def soon(seconds: float = 20) -> float:
    """A deadline that is not met."""
    return time.monotonic() + seconds


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (LENGTH, Answer(200, b"hello", "")),
        (CHUNKED, Answer(201, b"hello world", "")),
        (BUSY, Answer(429, b"", "7")),
        (NOTHING, Answer(204, b"", "")),
        (AT_WORK, Answer(200, b"hello", "")),
    ],
    ids=["length", "chunked", "busy", "nothing", "at work"],
)
@pytest.mark.parametrize("pieces", [1, 7, 10_000])
def test_an_answer_is_read_whole(ends: Ends, said: bytes, answer: Answer, pieces: int) -> None:
    """However it comes; and the next one follows on the same connection."""

    def say() -> None:
        for at in range(0, len(said), pieces):
            ends.server.sendall(said[at : at + pieces])

    for request in (b"GET / HTTP/1.1\r\n\r\n", b"GET /again HTTP/1.1\r\n\r\n"):
        saying = threading.Thread(target=say)
        saying.start()
        assert ends.ours.ask(request, soon()) == answer
        saying.join()
        assert ends.server.recv(1000) == request
        assert ends.ours.kept


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_a_connection_that_ends_with_the_answer_is_not_kept(ends: Ends, said: bytes) -> None:
    ends.server.sendall(said)
    ends.server.shutdown(socket.SHUT_WR)
    assert ends.ours.ask(b"x", soon()) == Answer(200, b"hello", "")
    assert not ends.ours.kept


@pytest.mark.parametrize(
    "said",
    [
        b"", LENGTH[:-1], CHUNKED[:-1], b"HTTP/1.1 200", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 ok\r\n\r\n",
        CHUNKED.replace(b"\r\n5\r\n", b"\r\nfive\r\n"), b"HTTP/1.1 200 OK\r\n" + b"x" * (1 << 18),
    ],
)  # fmt: skip
def test_what_is_no_answer(ends: Ends, said: bytes) -> None:
    def say() -> None:
        with suppress(OSError):  # whoever has read enough is gone
            ends.server.sendall(said)
            ends.server.shutdown(socket.SHUT_WR)

    saying = threading.Thread(target=say)
    saying.start()
    with pytest.raises((OSError, ProtocolError)):
        ends.ours.ask(b"x", soon())
    ends.ours.close()
    saying.join()


def test_nobody_answers(ends: Ends) -> None:
    """All that a request does has one deadline, however much comes meanwhile."""
    ends.server.sendall(LENGTH[:-1])
    with pytest.raises(TimeoutError):
        ends.ours.ask(b"x", time.monotonic() + 0.05)
    with pytest.raises(TimeoutError):
        ends.ours.ask(b"x", time.monotonic())
