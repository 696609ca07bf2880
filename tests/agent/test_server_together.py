"""Calls that come at once are answered together: one wait for the disk, each answer its own."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Agent, Plugin, Reply

StartAgent = Callable[..., Agent]
Installed = Callable[[Path], Plugin]
CALLERS = 16

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to count flushes")


@contextmanager
def asleep(agent: Agent) -> Iterator[None]:
    """The agent sleeps; when it wakes up, whoever called meanwhile has called at once."""
    os.kill(agent.process.pid, signal.SIGSTOP)
    try:
        yield
        time.sleep(0.5)  # all have asked by now, and none has lost its patience
    finally:
        os.kill(agent.process.pid, signal.SIGCONT)


def at_once(agent: Agent, plugin: Plugin, calls: list[tuple[str, dict[str, Any], str]]) -> list[Reply]:
    """What calls are answered that meet the agent together."""
    with ThreadPoolExecutor(len(calls)) as pool:
        with asleep(agent):
            asked: list[Future[Reply]] = [pool.submit(plugin.__call__, *call) for call in calls]
        return [each.result() for each in asked]


@needs_strace
def test_they_share_flushes(
    start_agent: StartAgent, installed: Installed, config: dict[str, Any], tmp_path: Path
) -> None:
    log = tmp_path / "flushes"
    agent = start_agent("--flush", within=("strace", "-D", "-f", "-q", "-e", "trace=fdatasync", "-o", str(log)))
    plugin = installed(agent.socket)
    assert plugin("ADD", config, "before").code == 0
    before = log.read_text().count("fdatasync(")
    replies = at_once(agent, plugin, [("ADD", config, f"c{n}") for n in range(CALLERS)])
    assert len({reply.addresses[0] for reply in replies}) == CALLERS
    assert 0 < log.read_text().count("fdatasync(") - before < CALLERS / 2
    assert len(agent.await_lines("call", CALLERS + 1)) == CALLERS + 1


def test_each_has_its_own_answer(start_agent: StartAgent, installed: Installed, config: dict[str, Any]) -> None:
    agent = start_agent()
    plugin = installed(agent.socket)
    config["ipam"]["ranges"] = [[{"subnet": "10.1.2.0/29"}]]
    broken = {**config, "ipam": {**config["ipam"], "ranges": [[{"subnet": "10.1.2.1/29"}]]}}
    other = {**config, "name": "other"}
    assert plugin("ADD", config, "old").addresses == ["10.1.2.2/29"]
    calls = [
        *(("ADD", config, f"c{n}") for n in range(8)),
        ("ADD", config, "old"),
        ("DEL", config, "nobody"),
        ("ADD", broken, "broken"),
        ("ADD", other, "other"),
    ]
    replies = at_once(agent, plugin, calls)
    served = [reply for reply in replies[:8] if reply.code == 0]
    refused = [reply.error["msg"] for reply in replies[:8] if reply.code]
    assert sorted(reply.addresses[0] for reply in served) == [f"10.1.2.{n}/29" for n in range(3, 7)]
    assert all("no IP addresses available in range set" in message for message in refused)
    assert "duplicate allocation is not allowed" in replies[8].error["msg"]
    assert replies[9].silent
    assert replies[10].code == 1
    assert replies[11].addresses == ["10.1.2.2/29"]
    for n in range(8):
        assert plugin("CHECK", config, f"c{n}").silent == (replies[n].code == 0)


def test_a_busy_ledger_is_waited_for_by_those_alone_who_need_it(
    start_agent: StartAgent, installed: Installed, config: dict[str, Any], tmp_path: Path
) -> None:
    agent = start_agent()
    plugin = installed(agent.socket)
    free = {**config, "ipam": {**config["ipam"], "dataDir": str(tmp_path / "free")}}
    assert plugin("ADD", config, "before").code == plugin("ADD", free, "before").code == 0
    holder = sqlite3.connect(f"{config['ipam']['dataDir']}/unipam.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(8) as pool:
        with asleep(agent):
            waiting = [pool.submit(plugin.__call__, "ADD", config, f"c{n}") for n in range(4)]
            served = [pool.submit(plugin.__call__, "ADD", free, f"c{n}") for n in range(4)]
        assert len({each.result().addresses[0] for each in served}) == 4
        assert not any(each.done() for each in waiting)
        holder.execute("ROLLBACK")
        assert len({each.result().addresses[0] for each in waiting}) == 4
    holder.close()
