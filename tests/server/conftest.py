"""A running register for every test that asks for one."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.server.directory import Entra
from tests.server.live import Client, Live, serve
from tests.server.process import Process


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A register on a fresh SQLite file."""
    with serve(str(tmp_path / "register.db"), tmp_path) as running:
        yield running


@pytest.fixture
def api(live: Live) -> Client:
    """Its administrator, with a space S and in it a block B."""
    api = live.admin
    assert api.post("/spaces", {"name": "S", "desc": "a space"}).status == 201
    assert api.post("/spaces/S/blocks", {"name": "B", "cidr": "10.0.0.0/16"}).status == 201
    return api


@pytest.fixture
def entra() -> Iterator[Entra]:
    """A directory whose people may sign in where a test says so."""
    made = Entra()
    yield made
    made.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Process]]:
    """Start registers as processes of their own, `start(database)`; whatever still runs afterwards is killed."""
    running: list[Process] = []

    def start(database: str) -> Process:
        running.append(Process(database, tmp_path))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.end(signal.SIGKILL)
