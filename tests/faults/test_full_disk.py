"""A full disk takes nothing new, and lets go of what there is: agent, cold path and register on a small tmpfs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ANSWERED_WITHIN, UNIPAM, Agent, Plugin, Reply, host_local
from tests.server.live import serve

from unipam.store.reserve import SUFFIX
from unipam.store.sqlite import PAGE, RESERVE

POOL = {"subnet": "10.1.0.0/16"}

StartAgent = Callable[..., Agent]
Installed = Callable[[Path], Plugin]


class Disk:
    """A file system of a few megabytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self) -> None:
        """Take every byte that is free."""
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 10, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)
        assert os.statvfs(self.path).f_bavail == 0

    def empty(self) -> None:
        """Let go of it."""
        self._filler.unlink()

    @property
    def reserve(self) -> int:
        """Bytes that are kept for what frees things."""
        return sum(file.stat().st_size for file in self.path.rglob(f"*{SUFFIX}"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6M", "tmpfs", path], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs root, to mount a small file system")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture
def config(disk: Disk) -> dict[str, Any]:
    return host_local(disk.path / "data", "1.1.0", [POOL])


def full(reply: Reply) -> bool:
    """Whether a call was refused for want of room, and for nothing else."""
    error = reply.error
    return error["code"] == 5 and "no space left for the ledger" in error["msg"]


def add_and_fill(cni: Plugin, config: dict[str, Any], disk: Disk, count: int) -> None:
    for number in range(count):
        assert cni("ADD", config, f"c{number}").code == 0
    disk.fill()


def none_left(cni: Plugin, config: dict[str, Any], count: int) -> bool:
    return all(cni("CHECK", config, f"c{number}").code for number in range(count))


@pytest.fixture(params=["agent", "agent that flushes"])
def warm_one(request: pytest.FixtureRequest, start_agent: StartAgent, installed: Installed) -> Plugin:
    """host-local with an agent that sweeps, as they do."""
    options = ("--flush",) if "flushes" in request.param else ()
    return installed(start_agent("--sweep", "0.5", *options).socket)


def test_an_agent_releases_all_that_a_full_node_holds(warm_one: Plugin, config: dict[str, Any], disk: Disk) -> None:
    count = 250
    add_and_fill(warm_one, config, disk, count)
    assert disk.reserve == RESERVE * PAGE
    refused = sum(1 for number in range(count) if full_or_served(warm_one("ADD", config, f"more{number}")))
    assert refused > 0
    for number in range(count):
        begun = time.monotonic()
        assert warm_one("DEL", config, f"c{number}").silent, number
        assert time.monotonic() - begun < ANSWERED_WITHIN
        disk.fill()
    assert none_left(warm_one, config, count)
    disk.empty()
    assert warm_one("ADD", config, "after").code == 0


def full_or_served(reply: Reply) -> bool:
    """Whether it was refused for want of room; what the write-ahead log has room for is served."""
    return reply.code != 0 and full(reply)


def test_a_pod_that_is_tried_again_and_again_does_not_use_the_room_up(
    warm_one: Plugin, config: dict[str, Any], disk: Disk
) -> None:
    add_and_fill(warm_one, config, disk, 3)
    for _ in range(400):
        warm_one("ADD", config, "again")
        assert warm_one("DEL", config, "again").silent
        disk.fill()
    assert warm_one("DEL", config, "c0").silent


def test_calls_that_come_at_once_are_each_released(warm_one: Plugin, config: dict[str, Any], disk: Disk) -> None:
    add_and_fill(warm_one, config, disk, 64)
    replies: list[Reply] = []
    threads = [
        threading.Thread(target=lambda n=n: replies.append(warm_one("DEL", config, f"c{n}")))  # type: ignore[misc]
        for n in range(64)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [reply for reply in replies if not reply.silent] == []
    assert none_left(warm_one, config, 64)


def test_the_cold_path_releases(cold: Plugin, config: dict[str, Any], disk: Disk) -> None:
    add_and_fill(cold, config, disk, 12)
    while not full_or_served(cold("ADD", config, f"more{time.monotonic_ns()}")):
        disk.fill()
    for number in range(12):
        assert cold("DEL", config, f"c{number}").silent, number
        disk.fill()
    assert none_left(cold, config, 12)
    left = disk.reserve
    disk.empty()
    assert cold("ADD", config, "after").code == 0
    assert disk.reserve == RESERVE * PAGE >= left


def test_the_cold_path_opens_what_an_agent_has_closed(
    start_agent: StartAgent, installed: Installed, cold: Plugin, config: dict[str, Any], disk: Disk
) -> None:
    """SQLite has then removed its write-ahead log and shared memory, and needs room for both."""
    agent = start_agent()
    add_and_fill(installed(agent.socket), config, disk, 3)
    assert agent.stop() == 0
    disk.fill()
    assert cold("CHECK", {**config, "prevResult": {"cniVersion": "1.0.0"}}, "c0").code == 0
    assert cold("DEL", config, "c0").silent
    assert none_left(cold, config, 1)


def test_gc_and_a_release_by_hand_work(warm_one: Plugin, config: dict[str, Any], disk: Disk) -> None:
    add_and_fill(warm_one, config, disk, 8)
    words = [str(UNIPAM), "lease", "release", "c0", "--yes", "--data-dir", str(disk.path / "data")]
    subprocess.run(words, check=True, capture_output=True, timeout=60)
    disk.fill()
    valid = [{"containerID": "c7", "ifname": "eth0"}]
    assert warm_one("GC", {**config, "cni.dev/valid-attachments": valid}).silent
    assert none_left(warm_one, config, 7)
    assert warm_one("CHECK", config, "c7").silent


# ---- the register


def test_a_register_deletes_and_refuses_what_is_new(disk: Disk, tmp_path: Path) -> None:
    with serve(str(disk.path / "register.db"), tmp_path) as live:
        api, native = live.admin, live.admin.at("/api/v1")
        for name in ("S", "T"):
            assert native.post("/spaces", {"name": name, "desc": "a space"}).status == 201
            assert native.post(f"/spaces/{name}/blocks", {"name": "B", "cidr": "10.0.0.0/8"}).status == 201
        wish = {"blocks": ["B"], "size": 24, "count": 100}
        ids = [row["id"] for row in native.post("/spaces/S/reservations", wish).json]
        disk.fill()
        while (answer := native.post("/spaces/S/reservations", wish)).status == 201:
            disk.fill()
        assert answer.status == 503
        assert "no space left" in answer.json["detail"]
        for number, each in enumerate(ids):
            where, body = ("reservations", [each]) if number % 2 else (f"reservations/{each}", None)
            answer = api.delete(f"/spaces/S/blocks/B/{where}", body)
            assert answer.status == 204, answer.body
            disk.fill()
        assert native.delete("/spaces/T?force=true").status == 204
        assert native.delete("/spaces/S?force=true").status == 204
        assert native.get("/spaces").json["items"] == []
        disk.empty()
        assert native.post("/spaces", {"name": "S", "desc": "again"}).status == 201
