"""Connections that keep the register waiting: they are ended, and everybody else is served meanwhile."""

from __future__ import annotations

import contextlib
import http.client
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.certificates import Authority
from tests.server.live import Client, Live, serve
from tests.server.process import Process

from unipam.server import connection, listener
from unipam.server import serve as serving
from unipam.server.listener import Limits

HANGS = 60.0
"""Seconds after which something is said to hang."""
HALF = b"POST /api/spaces HTTP/1.1\r\nHost: x\r\nX-Half: "


@contextlib.contextmanager
def connected(port: int, *sent: bytes, source: str = "127.0.0.1") -> Iterator[socket.socket]:
    """A connection that has sent this much."""
    with socket.create_connection(("127.0.0.1", port), timeout=HANGS, source_address=(source, 0)) as made:
        for each in sent:
            made.sendall(each)
        yield made


def ended(client: socket.socket) -> bool:
    """Whether the server ends the connection; waits for that."""
    try:
        while client.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    return True


def open_still(client: socket.socket) -> bool:
    """Whether the connection is there, as far as one knows."""
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def await_guests(live: Live, count: int) -> None:
    """Wait until there are that many connections."""
    deadline = time.monotonic() + HANGS
    while len(live.server._table) != count:
        assert time.monotonic() < deadline, len(live.server._table)
        time.sleep(0.01)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for for long."""
    for name in ("HEADER", "BODY", "ANSWER"):
        monkeypatch.setattr(connection, name, 0.5)
    monkeypatch.setattr(serving, "SWEEP", 0.1)


BODY = b"POST /api/spaces HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


@pytest.mark.parametrize("half", [b"", b"G", HALF, BODY], ids=["nothing", "a letter", "a header", "a body"])
def test_what_does_not_come_is_not_waited_for(hasty: None, live: Live, half: bytes) -> None:
    with connected(live.admin.port, half) as client:
        assert ended(client)


def test_who_drips_gets_no_more_time(hasty: None, live: Live) -> None:
    with connected(live.admin.port, HALF) as client, contextlib.suppress(ConnectionError):
        deadline = time.monotonic() + HANGS
        while time.monotonic() < deadline:
            client.sendall(b"x")
            time.sleep(0.05)
        pytest.fail("it was waited for")


def test_an_answer_that_nobody_takes_is_given_up(hasty: None, live: Live) -> None:
    ask = b"GET /api/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", live.admin.port))
        client.settimeout(0.5)
        with contextlib.suppress(TimeoutError, ConnectionError):
            client.sendall(ask * 1000)
        await_guests(live, 0)


def test_a_request_that_takes_us_long_is_not_given_up(hasty: None, live: Live) -> None:
    with held(live) as going:
        asking = threading.Timer(2.0, going.set)
        asking.start()
        assert live.admin.get("/azure/vnet").status == 200
        asking.join()


def test_a_header_has_an_end(live: Live) -> None:
    with connected(live.admin.port, HALF + b"x" * (connection.LARGEST_HEADER + 1)) as client:
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 400 ")
    body = b"x" * (1 << 20)
    assert live.admin.ask("POST", "/spaces", body).status == 422, "a large body is no large header"


@contextlib.contextmanager
def held(live: Live) -> Iterator[threading.Event]:
    """Let every look at the cloud wait until the event."""
    going, look = threading.Event(), live.cloud.snapshot

    def slow(**named: Any) -> Any:
        assert going.wait(HANGS)
        return look(**named)

    live.cloud.snapshot = slow  # type: ignore[method-assign]
    try:
        yield going
    finally:
        going.set()


@pytest.fixture
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A register with room for six connections, three of one address, and idle from the start."""
    monkeypatch.setattr(serving, "limits", lambda: Limits(6, 3))
    monkeypatch.setattr(listener, "GRACE", 0.05)
    with serve(str(tmp_path / "r.db"), tmp_path, proxies="192.0.2.1") as running:
        yield running


def test_the_newest_idle_one_of_an_address_makes_room(narrow: Live) -> None:
    port = narrow.admin.port
    with contextlib.ExitStack() as stack:
        first, second, third = (stack.enter_context(connected(port, HALF, source="127.0.0.2")) for _ in range(3))
        await_guests(narrow, 3)
        time.sleep(0.2)
        fourth = stack.enter_context(connected(port, HALF, source="127.0.0.2"))
        assert ended(third)
        assert [open_still(each) for each in (first, second, fourth)] == [True] * 3
        assert narrow.admin.get("/spaces").status == 200


def test_many_idle_ones_keep_nobody_out(narrow: Live) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(2, 12):
            stack.enter_context(connected(narrow.admin.port, HALF, source=f"127.0.0.{number}"))
            time.sleep(0.1)
        assert [narrow.admin.get("/spaces").status for _ in range(10)] == [200] * 10


def test_life_is_told_while_everybody_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "limits", lambda: Limits(4, 4))
    with serve(str(tmp_path / "r.db"), tmp_path) as live, ThreadPoolExecutor(4) as pool:
        with held(live):
            asking = [pool.submit(live.admin.get, "/azure/vnet") for _ in range(4)]
            await_guests(live, 4)
            operations = live.admin.at("")
            assert operations.get("/healthz").status == 200
            assert operations.get("/readyz").status == 503
        assert [each.result().status for each in asking] == [200] * 4
        await_guests(live, 0)
        assert operations.get("/readyz").status == 200


def test_who_does_not_speak_tls_is_not_waited_for_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    monkeypatch.setattr(serving, "limits", lambda: Limits(6, 6))
    monkeypatch.setattr(listener, "GRACE", 0.05)
    authority = Authority(tmp_path)
    with serve(str(tmp_path / "r.db"), tmp_path, certificate=authority.server, key=authority.server) as live:
        with connected(live.admin.port) as silent:
            assert ended(silent)
        with connected(live.admin.port, b"GET / HTTP/1.1\r\n\r\n") as plain:
            assert ended(plain)
        monkeypatch.setattr(connection, "HEADER", HANGS)
        with contextlib.ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(connected(live.admin.port))
                time.sleep(0.1)
            context = ssl.create_default_context(cafile=authority.ca)
            asking = http.client.HTTPSConnection("127.0.0.1", live.admin.port, timeout=HANGS, context=context)
            with contextlib.closing(asking):
                asking.request("GET", "/healthz")
                assert asking.getresponse().status == 200
        await_guests(live, 0)


def test_limits_come_from_the_limit_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, total in ((1024, 896), (256, 128), (64, 8), (65536, 4096), (resource.RLIM_INFINITY, 4096)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert listener.limits() == Limits(total, max(2, total // 4))


# ---- as a process, with the files that a process usually has

STRANGERS = 2000
FILES = ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh"]


@pytest.fixture
def many_files() -> Iterator[None]:
    """Files enough to be many clients at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < STRANGERS + 500:
        pytest.skip(f"needs a limit of {STRANGERS + 500} open files (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, STRANGERS + 500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def usual(tmp_path: Path) -> Iterator[Process]:
    """A register with 1,024 files."""
    running = Process(str(tmp_path / "register.db"), tmp_path, within=FILES)
    yield running
    assert running.end(signal.SIGTERM) == 0, running.said
    assert "Too many open files" not in running.said


def besieged(port: int, honest: Client, half: bytes, requests: int) -> list[float]:
    """How long each request of an honest client takes while strangers begin theirs and never end them."""
    seconds = []
    with contextlib.ExitStack() as stack:
        for _ in range(STRANGERS):
            with contextlib.suppress(ConnectionError):  # it was broken off before it had sent anything
                stack.enter_context(connected(port, half))
        for _ in range(requests):
            begun = time.monotonic()
            assert honest.get("/spaces").status == 200
            seconds.append(time.monotonic() - begun)
        assert honest.at("").get("/healthz").status == 200
    return seconds


@pytest.mark.parametrize("half", [b"", HALF], ids=["idle", "half-sent"])
def test_two_thousand_strangers_keep_nobody_out(many_files: None, usual: Process, half: bytes) -> None:
    seconds = besieged(usual.port, usual.client, half, 50)
    assert max(seconds) < HANGS
