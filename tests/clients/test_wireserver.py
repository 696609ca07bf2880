"""The wireserver's client against servers on loopback that answer well, badly, slowly, endlessly or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from unipam.clients import wireserver
from unipam.clients.wireserver import WireserverInterface, WireserverSubnet
from unipam.model.errors import SourceFailed

CAPTURED = Path(__file__).parents[1] / "dialects" / "azure_vnet" / "captured"
PATIENCE = 20.0
Script = Callable[[socket.socket], None]


@contextmanager
def server(script: Script) -> Iterator[str]:
    """A server that reads one request and then does what the script says; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(PATIENCE)

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.settimeout(PATIENCE)
            connection.recv(65536)
            script(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/machine/plugins?comp=nmagent"
    finally:
        thread.join(PATIENCE)
        listening.close()
    assert not thread.is_alive(), "the client let go of its connection"


def saying(body: bytes, status: str = "200 OK", length: int | None = None) -> Script:
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {size}\r\n\r\n".encode()
    return lambda connection: connection.sendall(head + body)


def fetch(script: Script, timeout: float = PATIENCE) -> tuple[WireserverInterface, ...]:
    with server(script) as url:
        return wireserver.fetch(url, timeout)


def test_a_captured_answer() -> None:
    assert fetch(saying((CAPTURED / "wireserver_two_nics.xml").read_bytes())) == (
        WireserverInterface(
            "02FC00000001",
            True,
            (
                WireserverSubnet(
                    "10.224.0.0/16",
                    (("10.224.0.4", True), ("10.224.0.5", False), ("10.224.0.6", False), ("10.224.0.7", False)),
                ),
            ),
        ),
        WireserverInterface(
            "7264E7E445DF", False, (WireserverSubnet("10.225.0.0/24", (("10.225.0.4", True), ("10.225.0.5", False))),)
        ),
    )


def test_several_subnets_of_one_interface_and_absent_flags() -> None:
    text = b"""<?xml version="1.0"?><Interfaces><Interface MacAddress="*"><IPSubnet Prefix="10.0.0.0/24">
      <IPAddress Address="10.0.0.4"/></IPSubnet><Other/><IPSubnet Prefix="10.1.0.0/24"/></Interface></Interfaces>"""
    subnets = (WireserverSubnet("10.0.0.0/24", (("10.0.0.4", False),)), WireserverSubnet("10.1.0.0/24", ()))
    assert fetch(saying(text)) == (WireserverInterface("*", False, subnets),)


def test_an_answer_in_small_pieces() -> None:
    whole = (CAPTURED / "wireserver_two_nics.xml").read_bytes()

    def chunked(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for byte in whole:
            connection.sendall(b"1\r\n%c\r\n" % byte)
        connection.sendall(b"0\r\n\r\n")

    assert fetch(chunked) == fetch(saying(whole))


def test_no_interfaces_is_an_answer() -> None:
    assert fetch(saying(b"<Interfaces></Interfaces>")) == ()


HALF = (CAPTURED / "wireserver_two_nics.xml").read_bytes()[:300]
BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<Interfaces><Interface MacAddress="&b;"/></Interfaces>"""
FOREIGN_ENTITY = b"""<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><Interfaces>&f;</Interfaces>"""


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (saying(b"oops", "500 Internal Server Error"), "http error 500 Internal Server Error"),
        (saying(b"", "302 Found"), "http error 302"),
        (saying(b"<html><body>Sign in</body></html>"), "expected element type <Interfaces> but have <html>"),
        (saying(b"<!DOCTYPE html><html></html>"), "document type"),
        (saying(BOMB), "document type"),
        (saying(FOREIGN_ENTITY), "document type"),
        (saying(HALF), "no element found|unclosed token"),
        (saying(HALF, length=10_000), "IncompleteRead|unclosed token|no element found"),
        (saying(b""), "no element found"),
        (saying(b"\x00\xff\xfe"), "syntax error"),
        (saying(b'<Interfaces><Interface IsPrimary="perhaps"/></Interfaces>'), "IsPrimary is 'perhaps'"),
        (saying(b"<Interfaces/><Interfaces/>"), "junk after document element"),
        (lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"), "not an HTTP answer"),
        (lambda connection: None, "closed connection without response"),
    ],
)
def test_a_bad_answer_says_what_is_wrong_with_it(script: Script, problem: str) -> None:
    with pytest.raises(SourceFailed, match=problem) as caught:
        fetch(script)
    assert caught.value.message.startswith("the wireserver at 127.0.0.1:")


def flooding(head: bytes, piece: bytes) -> Script:
    """Sends the same piece over and over, as long as anybody takes it."""

    def script(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + head)
        while True:
            connection.sendall(piece)

    return script


def test_a_million_addresses_are_too_many() -> None:
    head = b'<Interfaces><Interface MacAddress="*"><IPSubnet Prefix="10.0.0.0/8">'
    with pytest.raises(SourceFailed, match="lists more than 65536 addresses"):
        fetch(flooding(head, b'<IPAddress Address="10.0.0.4" IsPrimary="false"/>' * 100))


@pytest.mark.parametrize("head", [b"<Interfaces>", b"<Interfaces><Interface MacAddress='"])
def test_an_endless_answer_is_cut_off(head: bytes) -> None:
    with pytest.raises(SourceFailed, match="larger than 8 MiB"):
        fetch(flooding(head, b" " * 65536))


def dripping(head: bytes, drop: bytes) -> Script:
    """Sends a piece, then a drop again and again, each long before any single wait would be over."""

    def script(connection: socket.socket) -> None:
        connection.sendall(head)
        stop = threading.Event()
        while not stop.wait(0.02):
            connection.sendall(drop)

    return script


@pytest.mark.parametrize(
    "script",
    [
        lambda connection: connection.recv(1),  # says nothing until the client is gone
        dripping(b"HTTP/1.1 200 OK\r\n", b"X-Drop: 1\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\n\r\n<Interfaces>", b" "),
    ],
    ids=["silent", "dripping headers", "dripping body"],
)
def test_a_slow_answer_ends_at_the_deadline(script: Script) -> None:
    with pytest.raises(SourceFailed, match=r"no whole answer within 0.3 s"):
        fetch(script, timeout=0.3)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SourceFailed, match="connection refused"):
        wireserver.fetch(f"http://127.0.0.1:{port}/", PATIENCE)


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert fetch(saying(b"<Interfaces/>")) == ()
