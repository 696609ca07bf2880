"""The agent's socket when something runs out: room in a socket, descriptors, somebody who reads the log."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.agent.talk import ask, hung_up, question, receive
from tests.conftest import ANSWERED_WITHIN, QUIET, UNIPAM, Agent, Plugin

from unipam.agent.server import LONGEST_SILENCE, MOST_BYTES
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


def test_an_agent_out_of_files_parts_from_who_says_nothing_and_serves(
    start_agent: StartAgent, config: dict[str, Any]
) -> None:
    agent = start_agent(within=("prlimit", "--nofile=64"))
    idle = [agent.connect() for _ in range(100)]
    try:
        for number in range(3):
            assert ask(agent.socket, "ADD", config, f"c{number}").code == 0
        assert hung_up(idle[0])
    finally:
        for each in idle:
            each.close()
    assert ask(agent.socket, "DEL", config, "c0").silent
    assert agent.stop() == 0


def test_an_agent_without_a_file_for_a_ledger_says_so_and_goes_on(
    start_agent: StartAgent, config: dict[str, Any]
) -> None:
    agent = start_agent()
    taken = numbers(agent)
    free = [number for number in range(len(taken) + 2) if number not in taken]
    prlimit(agent, free[1])  # room for the call's connection, and for nothing else
    error = ask(agent.socket, "ADD", config, "c").error
    assert error["code"] == 11, error
    assert "too many open files" in error["msg"]
    prlimit(agent, 64)
    assert ask(agent.socket, "ADD", config, "c").code == 0


def numbers(agent: Agent) -> set[int]:
    """The numbers of the files that the agent has open."""
    return {int(each.name) for each in Path(f"/proc/{agent.process.pid}/fd").iterdir()}


def prlimit(agent: Agent, files: int) -> None:
    _, most = resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE, (files, most))


def test_who_says_nothing_more_is_hung_up_on_and_undone(agent: Agent, config: dict[str, Any]) -> None:
    config["ipam"]["routes"] = [{"dst": f"10.{n // 256}.{n % 256}.0/24"} for n in range(20_000)]
    asked = question("ADD", config, "untaken", "b" * 32)
    said = {"nothing": b"", "a length": asked[:4], "a part": asked[:-1], "all, and does not read": asked}
    connections = {name: agent.connect() for name in said}
    with contextlib.ExitStack() as stack:
        for name, connection in connections.items():
            stack.enter_context(connection)
            connection.sendall(said[name])
        silent = stack.enter_context(agent.connect())
        silent.sendall(question("ADD", config, "unacknowledged", "c" * 32))
        assert receive(silent).addresses
        assert ask(agent.socket, "CHECK", checked(config, "10.1.2.3"), "unacknowledged").silent
        for connection in (*connections.values(), silent):
            connection.settimeout(2 * LONGEST_SILENCE)
            while not hung_up(connection):
                pass
    for container in ("untaken", "unacknowledged"):
        await_nothing(agent, config, container)


def checked(config: dict[str, Any], address: str) -> dict[str, Any]:
    return {**config, "prevResult": {"cniVersion": "1.0.0", "ips": [{"address": f"{address}/24"}]}}


def await_nothing(agent: Agent, config: dict[str, Any], container: str) -> None:
    """Until the container holds nothing: what is undone is undone in a thread."""
    deadline = time.monotonic() + ANSWERED_WITHIN
    while ask(agent.socket, "CHECK", config, container).code == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_many_send_in_pieces_is_held_up_to_a_limit_for_all_together(
    start_agent: StartAgent, config: dict[str, Any]
) -> None:
    agent = start_agent()
    before = resident(agent)
    piece = b"\0" * (1 << 20)
    senders = [agent.connect() for _ in range(150)]
    try:
        for each in senders:
            with contextlib.suppress(OSError):  # it may be hung up on in the middle
                each.sendall(struct.pack("<I", MOST_BYTES - 4) + piece)
        assert ask(agent.socket, "ADD", config, "c").code == 0
        assert sum(1 for each in senders if has_gone(each)) > 150 - MOST_BYTES // len(piece) - 2
        assert resident(agent) - before < 2 * MOST_BYTES
    finally:
        for each in senders:
            each.close()
    assert ask(agent.socket, "DEL", {**config, "padding": "x" * (1 << 20)}, "c").silent


def has_gone(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def resident(agent: Agent) -> int:
    """Bytes of memory that the agent has."""
    status = Path(f"/proc/{agent.process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


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
