"""SRV records, asked of a name server that a test answers itself, over UDP and TCP on loopback."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from unipam.clients import dns
from unipam.clients.dns import Target
from unipam.clients.etcd import discovery
from unipam.model.errors import SourceFailed

Answer = Callable[[bytes, bool], bytes]


class NameServer:
    """Answers each question, which it is told with whether it came over TCP."""

    def __init__(self, stack: ExitStack) -> None:
        self.answer: Answer = lambda _question, _stream: b""
        self._stream = stack.enter_context(socket.socket())
        self._stream.bind(("127.0.0.1", 0))
        self._stream.listen()
        self.port = self._stream.getsockname()[1]
        self._datagrams = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        self._datagrams.bind(("127.0.0.1", self.port))
        for serve in (self._serve_datagrams, self._serve_streams):
            threading.Thread(target=serve, daemon=True).start()

    def _serve_datagrams(self) -> None:
        while True:
            try:
                question, peer = self._datagrams.recvfrom(4096)
            except OSError:
                return
            self._datagrams.sendto(self.answer(question, False), peer)

    def _serve_streams(self) -> None:
        while True:
            try:
                connection, _ = self._stream.accept()
            except OSError:
                return
            with connection:
                given = self.answer(connection.recv(4096)[2:], True)
                connection.sendall(struct.pack(">H", len(given)) + given)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    with ExitStack() as stack:
        made = NameServer(stack)
        monkeypatch.setattr(dns, "_servers", lambda: [("127.0.0.1", made.port)])
        yield made


def labels(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def reply(question: bytes, records: list[bytes], flags: int = 0x8180) -> bytes:
    """A name server's answer; each record is behind the question's name, by a pointer."""
    head = question[:2] + struct.pack(">5H", flags, 1, len(records), 0, 0)
    return head + question[12:] + b"".join(records)


def srv(priority: int, weight: int, port: int, host: bytes) -> bytes:
    data = struct.pack(">3H", priority, weight, port) + host
    return b"\xc0\x0c" + struct.pack(">2HIH", 33, 1, 60, len(data)) + data


def test_targets_come_preferred_first(server: NameServer) -> None:
    records = [srv(10, 5, 1, labels("c.x")), srv(0, 1, 2379, labels("b.x")), srv(0, 9, 2379, labels("a.x"))]
    server.answer = lambda question, _stream: reply(question, records)
    assert dns.services("_etcd-client._tcp.x") == [
        Target(0, 9, 2379, "a.x"), Target(0, 1, 2379, "b.x"), Target(10, 5, 1, "c.x"),
    ]  # fmt: skip


def test_names_may_be_compressed_and_other_records_between(server: NameServer) -> None:
    """The host ends with the question's own name; a record of another kind is passed over."""
    other = b"\xc0\x0c" + struct.pack(">2HIH", 16, 1, 60, 3) + b"\x02hi"
    server.answer = lambda question, _stream: reply(question, [other, srv(0, 0, 7, b"\x02m1\xc0\x0c")])
    assert dns.services("e.x") == [Target(0, 0, 7, "m1.e.x")]


def test_an_answer_that_is_cut_is_asked_for_again(server: NameServer) -> None:
    def answer(question: bytes, stream: bool) -> bytes:
        return reply(question, [srv(0, 0, 7, labels("whole.x"))]) if stream else reply(question, [], 0x8380)

    server.answer = answer
    assert dns.services("e.x") == [Target(0, 0, 7, "whole.x")]


def test_no_such_name_has_none(server: NameServer) -> None:
    server.answer = lambda question, _stream: reply(question, [], 0x8183)
    assert dns.services("e.x") == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda question, _stream: reply(question, [], 0x8182), "it answers with code 2"),
        (lambda question, _stream: b"\0\0" + reply(question, [])[2:], "to another question"),
        (lambda question, _stream: reply(question, [b"\xc0"]), ""),
        (lambda question, _stream: reply(question, [srv(0, 0, 1, b"\xc0\x00" * 2)])[:-1] + b"\x2a", ""),
        (lambda question, _stream: b"", ""),
    ],
)
def test_what_is_no_answer(server: NameServer, answer: Answer, why: str) -> None:
    server.answer = answer
    with pytest.raises(SourceFailed, match=f"the SRV records of e.x cannot be read: .*{why}"):
        dns.services("e.x")


def test_nobody_to_ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dns, "RESOLV_CONF", str(tmp_path / "resolv.conf"))
    with pytest.raises(SourceFailed, match="names no name server"):
        dns.services("e.x")
    (tmp_path / "resolv.conf").write_text("# a remark\nsearch x\nnameserver 10.0.0.1\nnameserver ::1\n")
    assert dns._servers() == [("10.0.0.1", 53), ("::1", 53)]


def test_the_members_of_an_etcd(server: NameServer) -> None:
    """Those over TLS first; a domain without any is an error that names what was asked for."""

    def answer(question: bytes, _stream: bool) -> bytes:
        secure = b"-ssl" in question
        return reply(question, [srv(0, 0, 2379, labels("s.x" if secure else "p.x"))])

    server.answer = answer
    assert discovery.endpoints("x") == ("https://s.x:2379", "http://p.x:2379")
    server.answer = lambda question, _stream: reply(question, [], 0x8183)
    with pytest.raises(SourceFailed, match=r"_etcd-client-ssl\._tcp\.x and _etcd-client\._tcp\.x have none"):
        discovery.endpoints("x")
