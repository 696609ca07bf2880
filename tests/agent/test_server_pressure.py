"""The agent's socket when something runs out: room in a socket, descriptors, somebody who reads the log."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.agent.talk import question, receive
from tests.conftest import ANSWERED_WITHIN, QUIET, UNIPAM, Agent, Plugin

from unipam.cni.call import ACK

StartAgent = Callable[..., Agent]
Installed = Callable[[Path], Plugin]


def test_an_answer_larger_than_a_socket_holds_arrives_whole(agent: Agent, config: dict[str, Any]) -> None:
    config["ipam"]["routes"] = [{"dst": f"10.{n // 256}.{n % 256}.0/24"} for n in range(20_000)]
    with agent.connect() as connection:
        connection.sendall(question("ADD", config))
        time.sleep(0.3)  # the socket is full by now, and the agent has to wait
        reply = receive(connection)
        connection.sendall(ACK)
    assert reply.addresses == ["10.1.2.2/24"]
    assert reply.result["routes"] == config["ipam"]["routes"]


def test_one_who_leaves_in_the_middle_of_a_large_answer_is_undone(
    agent: Agent, warm: Plugin, config: dict[str, Any]
) -> None:
    config["ipam"]["routes"] = [{"dst": f"10.{n // 256}.{n % 256}.0/24"} for n in range(20_000)]
    with agent.connect() as connection:
        connection.sendall(question("ADD", config))
        assert connection.recv(9)
    deadline = time.monotonic() + ANSWERED_WITHIN
    while warm("CHECK", config).code == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_agent_out_of_descriptors_serves_again_when_some_are_free(
    start_agent: StartAgent, installed: Installed, config: dict[str, Any]
) -> None:
    agent = start_agent(within=("prlimit", "--nofile=64"))
    plugin = installed(agent.socket)
    assert plugin("ADD", config, "before").code == 0
    idle = [agent.connect() for _ in range(100)]
    try:
        before = os.times()
        assert plugin("ADD", config, "meanwhile").code == 0, "cold"
        assert os.times().elapsed - before.elapsed > 1, "the agent could not take it"
    finally:
        for each in idle:
            each.close()
    served = len(agent.said("call"))
    assert plugin("ADD", config, "after").code == 0
    agent.await_lines("call", served + 1)
    assert agent.stop() == 0


def test_an_agent_whose_log_nobody_reads_any_more_goes_on(
    short_dir: Callable[[], Path], installed: Installed, config: dict[str, Any]
) -> None:
    path = short_dir() / "agent.sock"
    command = [str(UNIPAM), "agent", "--socket", str(path), *QUIET]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert b"listening" in process.stderr.readline()
        process.stderr.close()
        plugin = installed(path)
        assert plugin("ADD", config).addresses == ["10.1.2.2/24"]
        assert plugin("DEL", config).silent
        assert process.poll() is None
        process.terminate()
        assert process.wait(ANSWERED_WITHIN) == 0
