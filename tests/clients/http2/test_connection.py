"""A connection of HTTP/2 against a server played by hand: frames in pieces, windows, farewells."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from unipam.clients.http2.connection import Connection, Lost
from unipam.clients.http2.headers import encode

FIELDS = ((":method", "POST"), ("te", "trailers"))


def soon() -> float:
    return time.monotonic() + 20


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


class Server:
    """The other end."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        end.settimeout(20)

    def take(self) -> tuple[int, int, int, bytes]:
        """One frame: kind, flags, stream, payload."""
        head = self._exactly(9)
        size = int.from_bytes(head[:3], "big")
        return head[3], head[4], int.from_bytes(head[5:], "big"), self._exactly(size)

    def greet(self) -> None:
        """What every client sends first."""
        assert self._exactly(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        kind, _, _, payload = self.take()
        settings = dict(struct.iter_unpack(">HI", payload))
        assert (kind, settings[1], settings[2]) == (4, 0, 0)
        assert self.take()[0] == 8

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self.end.recv(size - len(found))
            assert more
            found += more
        return found


@pytest.fixture
def pair() -> Iterator[tuple[Connection, Server]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours), Server(theirs)


def test_one_request_after_the_other(pair: tuple[Connection, Server]) -> None:
    client, server = pair
    for turn in range(2):
        stream = 1 + 2 * turn
        client.begin(FIELDS, b"asked", soon(), last=True)
        if not turn:
            server.greet()
        assert server.take()[:3] == (1, 4, stream)
        assert server.take() == (0, 1, stream, b"asked")
        said = frame(1, 4, stream, b"\x88") + frame(0, 0, stream, b"ans") + frame(0, 8, stream, b"\x02wer\0\0")
        said += frame(1, 0x5, stream, encode([("grpc-status", "0")]))
        for at in range(0, len(said), 7):
            server.end.sendall(said[at : at + 7])
        found = [client.read(soon()) for _ in range(4)]
        assert b"".join(each.data for each in found) == b"answer"
        assert [each.last for each in found] == [False, False, False, True]
        assert found[-1].fields == {"grpc-status": "0"}
        assert client.usable()


def test_fields_in_several_frames(pair: tuple[Connection, Server]) -> None:
    client, server = pair
    client.begin(FIELDS, b"", soon(), last=True)
    fields = encode([("grpc-message", "a" * 100)])
    server.end.sendall(frame(1, 1, 1, fields[:20]) + frame(9, 0, 1, fields[20:50]) + frame(9, 4, 1, fields[50:]))
    found = client.read(soon())
    assert (found.fields, found.last) == ({"grpc-message": "a" * 100}, True)


def test_what_the_server_asks_for_is_answered(pair: tuple[Connection, Server]) -> None:
    client, server = pair
    client.begin(FIELDS, b"", soon(), last=True)
    server.greet()
    server.take(), server.take()
    server.end.sendall(frame(4, 0, 0, struct.pack(">HI", 4, 10)) + frame(6, 0, 0, b"12345678") + frame(99, 0, 0, b"?"))
    server.end.sendall(frame(1, 5, 1, b"\x88"))
    assert client.read(soon()).last
    assert server.take() == (4, 1, 0, b"")
    assert server.take() == (6, 1, 0, b"12345678")


def test_no_more_is_sent_than_there_is_room(pair: tuple[Connection, Server]) -> None:
    """65,535 bytes at first; the rest when the server has made room."""
    client, server = pair
    body = bytes(range(256)) * 1024
    sender = threading.Thread(target=client.begin, args=(FIELDS, body, soon()), kwargs={"last": True})
    sender.start()
    server.greet()
    server.take()
    received, ended = b"", 0
    while len(received) < 65_535:
        _, ended, _, payload = server.take()
        assert len(payload) <= 16_384
        received += payload
    assert (len(received), ended) == (65_535, 0)
    server.end.sendall(frame(8, 0, 0, (1 << 20).to_bytes(4, "big")) + frame(8, 0, 1, (1 << 20).to_bytes(4, "big")))
    while not ended:
        _, ended, _, payload = server.take()
        received += payload
    sender.join()
    assert received == body


def test_a_server_that_refuses_before_it_has_read_all(pair: tuple[Connection, Server]) -> None:
    client, server = pair
    server.end.sendall(frame(1, 5, 1, encode([("grpc-status", "8")])))
    client.begin(FIELDS, b"x" * 100_000, soon(), last=True)
    assert client.read(soon()).fields == {"grpc-status": "8"}


@pytest.mark.parametrize(
    ("said", "unsent"),
    [
        (frame(7, 0, 0, bytes(8)), True),  # going away, and request 1 was not looked at
        (frame(3, 0, 1, (7).to_bytes(4, "big")), True),  # refused stream
        (frame(3, 0, 1, (8).to_bytes(4, "big")), False),  # cancelled
        (frame(1, 5, 1, b"\x00"), False),  # no fields
        (None, False),
    ],
)
def test_a_request_that_is_lost(pair: tuple[Connection, Server], said: bytes | None, unsent: bool) -> None:
    client, server = pair
    client.begin(FIELDS, b"", soon(), last=True)
    if said is None:
        server.end.close()
    else:
        server.end.sendall(said)
    with pytest.raises(Lost) as lost:
        client.read(soon())
    assert lost.value.unsent is unsent


def test_a_connection_that_the_server_leaves(pair: tuple[Connection, Server]) -> None:
    """It is not used again, though the request under way is answered."""
    client, server = pair
    client.begin(FIELDS, b"", soon(), last=True)
    server.end.sendall(frame(7, 0, 0, (1).to_bytes(4, "big") + bytes(4)) + frame(1, 5, 1, b"\x88"))
    assert client.read(soon()).last
    assert not client.usable()


def test_time_is_over(pair: tuple[Connection, Server]) -> None:
    client, _ = pair
    client.begin(FIELDS, b"", soon(), last=True)
    with pytest.raises(TimeoutError):
        client.read(time.monotonic() + 0.01)
