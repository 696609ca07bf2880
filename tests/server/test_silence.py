"""The register while PostgreSQL says nothing: what was answered is kept, it works again soon, and it can be ended."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.faults.proxy import Proxy, proxy
from tests.real.postgres import needs_postgres, shared
from tests.server.live import Client
from tests.server.process import Process

pytestmark = [pytest.mark.real, needs_postgres]

SILENT = 20.0
"""Seconds of silence: longer than anything waits."""
CLIENTS = 32
AGAIN = 15.0
"""Seconds after which it must work again."""
HANGS = 60.0
"""Seconds after which something is said to hang, on a machine that has other things to do."""


@pytest.fixture
def between() -> Iterator[Proxy]:
    """A proxy before the server that the tests share."""
    with proxy(shared().port) as made:
        yield made


@pytest.fixture
def register(between: Proxy, tmp_path: Path) -> Iterator[Process]:
    """A register whose database is behind the proxy, with a space and a block."""
    url = shared().create().replace(f":{shared().port}/", f":{between.port}/")
    running = Process(url, tmp_path)
    client = running.client
    assert client.post("/spaces", {"name": "S", "desc": "d"}).status == 201
    assert client.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/8"}).status == 201
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGKILL)


@dataclass
class Storm:
    """Clients that reserve all the time, and what they were told."""

    client: Client
    kept: list[tuple[float, str]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    slowest: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Storm:
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask_on(self) -> None:
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                answer = self.client.post("/spaces/S/blocks/B/reservations", {"size": 28})
            except (OSError, http.client.HTTPException):
                continue
            now = time.monotonic()
            self.slowest = max(self.slowest, now - begun)
            if answer.status == 201:
                self.kept.append((now, answer.json["id"]))
            else:
                self.refused.append(answer.status)

    def await_success(self, after: float) -> float:
        """Seconds from then to the first reservation that was answered after it."""
        while time.monotonic() < after + HANGS:
            late = [at for at, _ in self.kept if at > after]
            if late:
                return min(late) - after
            time.sleep(0.05)
        pytest.fail(f"nothing was reserved in {HANGS} s: {self.refused[-5:]}")


def storm(register: Process, between: Proxy, silent: float) -> tuple[Storm, float]:
    """A storm with a silence in its middle, and how long after that the first reservation was answered."""
    operations = Client(register.port, base="")
    with Storm(register.client) as clients:
        clients.await_success(time.monotonic())
        between.swallow()
        until = time.monotonic() + silent
        while time.monotonic() < until:
            assert operations.get("/healthz").status == 200
            time.sleep(1)
        assert operations.get("/readyz").status == 503
        between.speak()
        again = clients.await_success(time.monotonic())
        time.sleep(1)
    return clients, again


def test_what_was_answered_is_kept_and_it_works_again(register: Process, between: Proxy) -> None:
    clients, again = storm(register, between, SILENT)
    assert again < AGAIN
    assert set(clients.refused) == {503}
    kept = {row["id"] for row in register.client.get("/spaces/S/reservations").json}
    assert {each for _, each in clients.kept} <= kept
    assert clients.slowest < HANGS
    assert register.end() == 0


def test_it_can_be_ended_in_the_silence(register: Process, between: Proxy) -> None:
    with Storm(register.client) as clients:
        clients.await_success(time.monotonic())
        between.swallow()
        time.sleep(1)
        begun = time.monotonic()
        register.end()
    assert time.monotonic() - begun < HANGS


def test_strangers_are_not_told_where_the_database_is(register: Process, between: Proxy) -> None:
    port = str(between.port)
    between.stop_listening()
    between.cut()
    operations, stranger = Client(register.port, base=""), register.client.as_("unipam_0123456789ab_x")
    unready = operations.get("/readyz")
    assert (unready.status, unready.json) == (503, {"status": "unready"})
    for answer in (stranger.get("/spaces"), stranger.at("/api/v1").get("/spaces")):
        assert answer.status == 503
        assert port.encode() not in answer.body
        assert b"127.0.0.1" not in answer.body
    assert f"port {port}" in register.said
