"""The agent's socket: real agents, real launchers, and launchers played by hand where their death is the subject."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.agent.conftest import POOL
from tests.agent.talk import encoded, hung_up, question, receive
from tests.conftest import ANSWERED_WITHIN, QUIET, UNIPAM, Agent, Plugin, Reply, environment, host_local

from unipam.cni import launcher
from unipam.cni.call import ACK, KEY
from unipam.model.records import Entry
from unipam.store.sqlite import SqliteStore

NOBODY = 65534
LARGEST_FRAME = 32 * 1024 * 1024

StartAgent = Callable[..., Agent]
Installed = Callable[[Path], Plugin]


def journal(config: dict[str, Any]) -> list[Entry]:
    """What the ledger says happened, oldest first."""
    store = SqliteStore(f"{config['ipam']['dataDir']}/unipam.db")
    try:
        with store.reading() as tx:
            return tx.journal()[::-1]
    finally:
        store.close()


def verbs(config: dict[str, Any]) -> list[str]:
    return [entry.verb for entry in journal(config)]


def await_verb(config: dict[str, Any], verb: str) -> list[Entry]:
    """The journal once it has such an entry: what is undone is undone after its caller has gone."""
    deadline = time.monotonic() + ANSWERED_WITHIN
    ledger = Path(config["ipam"]["dataDir"], "unipam.db")
    while not ledger.exists() or verb not in verbs(config):
        assert time.monotonic() < deadline, f"nobody writes {verb}"
        time.sleep(0.01)
    return journal(config)


# ---- acknowledged or undone


def test_an_acknowledged_add_stands(agent: Agent, warm: Plugin, config: dict[str, Any]) -> None:
    with agent.connect() as connection:
        connection.sendall(question("ADD", config))
        assert receive(connection).addresses == ["10.1.2.2/24"]
        connection.sendall(ACK)
        connection.shutdown(socket.SHUT_WR)
        assert hung_up(connection)
    assert warm("CHECK", config).silent
    assert verbs(config) == ["allocate"]


def close_unread(connection: socket.socket) -> None:
    """Send, and be killed."""


def close_read(connection: socket.socket) -> None:
    """Read all, and be killed before saying so."""
    receive(connection)


def say_other(connection: socket.socket) -> None:
    """Say something that is no acknowledgement."""
    receive(connection)
    connection.sendall(b"x")


@pytest.mark.parametrize("end", [close_unread, close_read, say_other])
def test_an_add_that_nobody_heard_of_is_undone(
    agent: Agent, warm: Plugin, config: dict[str, Any], end: Callable[[socket.socket], None]
) -> None:
    assert warm("ADD", config, "before").addresses == ["10.1.2.2/24"]  # so that the ledger is no news to the agent
    with agent.connect() as connection:
        connection.sendall(question("ADD", config))
        end(connection)
    last = await_verb(config, "undo")[-1]
    assert (last.verb, last.owner.holder, last.reason) == (
        "undo",
        "dummy",
        "the caller went away before it had the answer",
    )
    assert warm("CHECK", config).code == 1
    assert warm("ADD", config).addresses == ["10.1.2.4/24"]


def test_what_an_earlier_call_was_told_is_not_undone_by_a_later_one(
    agent: Agent, warm: Plugin, config: dict[str, Any]
) -> None:
    config["ipam"]["duplicateAdd"] = "return"
    assert warm("ADD", config).addresses == ["10.1.2.2/24"]
    with agent.connect() as connection:
        connection.sendall(question("ADD", config))
        assert receive(connection).addresses == ["10.1.2.2/24"]
        connection.shutdown(socket.SHUT_WR)
        assert hung_up(connection)
    assert warm("CHECK", config).silent


def test_a_del_that_nobody_heard_of_stands(agent: Agent, warm: Plugin, config: dict[str, Any]) -> None:
    assert warm("ADD", config).code == 0
    with agent.connect() as connection:
        connection.sendall(question("DEL", config))
        receive(connection)
        connection.shutdown(socket.SHUT_WR)
        assert hung_up(connection)
    assert verbs(config) == ["allocate", "release"]


# ---- asked again, cold


def ask_cold(plugin: Plugin, config: dict[str, Any], key: str) -> Reply:
    """What a launcher becomes when its agent is gone: the same call, by the same name."""
    command = [*launcher.settings(plugin.path).fallback, "host-local"]
    env = environment("ADD") | {KEY: key}
    done = subprocess.run(command, input=encoded(config), env=env, capture_output=True, timeout=10, check=False)
    return Reply(done.returncode, done.stdout, done.stderr)


def test_a_call_asked_again_after_the_agents_death_gets_its_address(
    start_agent: StartAgent, cold: Plugin, config: dict[str, Any]
) -> None:
    agent, key = start_agent(), "b" * 32
    with agent.connect() as connection:
        connection.sendall(question("ADD", config, key=key))
        assert receive(connection).addresses == ["10.1.2.2/24"]
        agent.process.kill()
        agent.process.wait()
    assert ask_cold(cold, config, key).addresses == ["10.1.2.2/24"]
    assert cold("CHECK", config).silent
    assert verbs(config).count("allocate") == 1
    assert "duplicate" in ask_cold(cold, config, "c" * 32).error["msg"], "another call is another matter"


def test_an_agent_that_wakes_up_late_takes_nothing_back(
    start_agent: StartAgent, installed: Installed, config: dict[str, Any]
) -> None:
    agent = start_agent()
    plugin = installed(agent.socket)
    os.kill(agent.process.pid, signal.SIGSTOP)
    try:
        assert plugin("ADD", config).addresses == ["10.1.2.2/24"], "the launcher gave up on the agent and went cold"
    finally:
        os.kill(agent.process.pid, signal.SIGCONT)
    assert plugin("ADD", config, "next").addresses == ["10.1.2.3/24"], "the agent is through with what it slept over"
    assert agent.stop() == 0
    assert plugin("CHECK", config).silent
    assert "undo" not in verbs(config)


# ---- who is listened to, and to what


def test_only_the_owner_may_open_the_socket(agent: Agent) -> None:
    assert stat.S_IMODE(agent.socket.stat().st_mode) == 0o600


SAY = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect(sys.argv[1])
try:
    s.sendall(sys.stdin.buffer.read())
    sys.stdout.write(repr(s.recv(1)))
except OSError as error:
    sys.stdout.write(type(error).__name__)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to call as somebody else")
@pytest.mark.parametrize(("uid", "answered"), [(NOBODY, False), (0, True)])
def test_others_are_hung_up_on(start_agent: StartAgent, config: dict[str, Any], uid: int, answered: bool) -> None:
    agent = start_agent()
    agent.socket.parent.chmod(0o755)
    agent.socket.chmod(0o666)
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable  # one that nobody may run
    command = [python, "-I", "-c", SAY, str(agent.socket)]
    said = subprocess.run(
        command, input=question("VERSION", config), user=uid, capture_output=True, timeout=20, check=True
    ).stdout
    if answered:
        assert said not in (b"b''", b"ConnectionResetError", b"BrokenPipeError", b"PermissionError")
    else:
        assert said in (b"b''", b"ConnectionResetError", b"BrokenPipeError")
    assert len(agent.await_lines("call", answered)) == answered


GARBAGE = [
    b"\0\0\0\0",
    struct.pack("<I", 5) + b"nonse",
    struct.pack("<I", 12) + b"a\0b\0C=D\0bcde",
    struct.pack("<I", LARGEST_FRAME + 1),
    b"\xff" * 64,
    b"GET / HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_no_frame_is_hung_up_on(agent: Agent, warm: Plugin, garbage: bytes) -> None:
    with agent.connect() as connection:
        connection.sendall(garbage)
        assert hung_up(connection)
    assert warm.run(b"", environment("VERSION")).code == 0


def test_half_a_frame_is_waited_for_and_does_nothing(agent: Agent, warm: Plugin, config: dict[str, Any]) -> None:
    frame = question("ADD", config)
    with agent.connect() as connection:
        connection.sendall(frame[: len(frame) // 2])
        assert warm.run(b"", environment("VERSION")).code == 0, "others are served meanwhile"
    assert not Path(config["ipam"]["dataDir"]).exists()


def test_a_frame_may_come_in_crumbs(agent: Agent, config: dict[str, Any]) -> None:
    with agent.connect() as connection:
        for byte in question("ADD", config):
            connection.sendall(bytes([byte]))
        assert receive(connection).addresses == ["10.1.2.2/24"]
        connection.sendall(ACK)
        connection.shutdown(socket.SHUT_WR)
        assert hung_up(connection)


def test_a_configuration_of_sixteen_mebibytes_is_answered(warm: Plugin, config: dict[str, Any]) -> None:
    config["padding"] = "x" * (16 * 1024 * 1024 - 4096)
    assert warm("ADD", config).addresses == ["10.1.2.2/24"]
    config["padding"] += "x" * 8192
    error = warm("ADD", config, "other").error
    assert error["code"] == 5
    assert "more than 16 MiB" in error["msg"]


def test_every_call_has_its_line_in_the_log(
    start_agent: StartAgent, installed: Installed, config: dict[str, Any]
) -> None:
    agent = start_agent()
    plugin = installed(agent.socket)
    args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-0"
    assert plugin("ADD", config, args=args).code == 0
    assert plugin("ADD", config, args=args).code == 1
    granted, refused = agent.await_lines("call", 2)
    common = {"verb": "ADD", "plugin": "host-local", "container": "dummy", "interface": "eth0", "network": "mynet"}
    assert granted.items() >= {**common, "outcome": "ok", "addresses": ["10.1.2.2/24"], "pod": "ns/web-0"}.items()
    assert refused.items() >= {**common, "outcome": "error", "error": "Duplicate"}.items()
    assert "duplicate allocation" in refused["message"]
    assert granted["ms"] > 0


# ---- agents come and go


def test_a_second_agent_takes_the_path_over(
    start_agent: StartAgent, installed: Installed, config: dict[str, Any]
) -> None:
    first = start_agent()
    plugin = installed(first.socket)
    assert plugin("ADD", config, "a").addresses == ["10.1.2.2/24"]
    second = start_agent(directory=first.socket.parent)
    assert plugin("ADD", config, "b").addresses == ["10.1.2.3/24"]
    assert [len(agent.await_lines("call", 1)) for agent in (first, second)] == [1, 1]
    assert first.stop() == 0
    assert plugin("CHECK", config, "a").silent, "the first left the second's socket alone"
    assert len(second.await_lines("call", 2)) == 2
    assert second.stop() == 0
    assert not second.socket.exists()


def test_a_socket_that_a_dead_agent_left_is_in_nobodys_way(
    start_agent: StartAgent, installed: Installed, config: dict[str, Any]
) -> None:
    dead = start_agent()
    dead.process.kill()
    dead.process.wait()
    plugin = installed(dead.socket)
    assert dead.socket.exists()
    assert plugin("ADD", config).code == 0, "cold"
    again = start_agent(directory=dead.socket.parent)
    assert plugin("CHECK", config).silent
    assert len(again.await_lines("call", 1)) == 1


@pytest.mark.parametrize("path", ["{}/file/agent.sock", "{}/" + "x" * 120])
def test_an_agent_that_cannot_listen_says_so(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("")
    where = path.format(tmp_path)
    command: list[str | Path] = [UNIPAM, "agent", "--socket", where, *QUIET]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.returncode == 1
    last = done.stderr.decode().splitlines()[-1]
    assert last.startswith(f"Error: cannot listen at {where}: ")
    assert b"Traceback" not in done.stderr


def test_an_agent_may_end_while_calls_run(
    start_agent: StartAgent, installed: Installed, config: dict[str, Any]
) -> None:
    """Every call is answered, by the agent or without it; no address goes to two, none is lost."""
    agent = start_agent()
    plugin = installed(agent.socket)
    with ThreadPoolExecutor(4) as pool:
        running: list[Future[Reply]] = [pool.submit(plugin.__call__, "ADD", config, f"c{n}") for n in range(16)]
        running[5].result()
        code = agent.stop()
        replies = [each.result() for each in running]
    assert code == 0
    given = [reply.addresses[0] for reply in replies]
    assert len(set(given)) == len(given)
    for n in range(len(given)):
        assert plugin("CHECK", {**config, "prevResult": replies[n].result}, f"c{n}").silent


# ---- one network's trouble is not another's


@pytest.fixture
def locked(config: dict[str, Any], warm: Plugin) -> Iterator[sqlite3.Connection]:
    """The ledger of `config`, in the hands of another process that is in the middle of a change."""
    assert warm("ADD", config, "before").code == 0
    connection = sqlite3.connect(f"{config['ipam']['dataDir']}/unipam.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_a_locked_ledger_holds_up_nobody_else(
    warm: Plugin, tmp_path: Path, config: dict[str, Any], locked: sqlite3.Connection
) -> None:
    other = host_local(tmp_path / "other", "1.0.0", [POOL])
    with ThreadPoolExecutor(8) as pool:
        waiting: list[Future[Reply]] = [pool.submit(warm.__call__, "ADD", config, f"c{n}") for n in range(8)]
        for n in range(20):
            assert warm("ADD", other, f"c{n}").code == 0
        assert not any(each.done() for each in waiting), "the others had their answers first"
        locked.execute("ROLLBACK")
        replies = [each.result() for each in waiting]
    assert len({reply.addresses[0] for reply in replies}) == 8


def test_a_ledger_that_stays_locked_is_reported_as_temporary(
    cni: Plugin, config: dict[str, Any], locked: sqlite3.Connection
) -> None:
    message = f"the ledger {config['ipam']['dataDir']}/unipam.db is locked by another process: try again"
    with ThreadPoolExecutor(3) as pool:
        for reply in pool.map(lambda verb: cni(verb, config, "before"), ("ADD", "DEL", "CHECK")):
            assert (reply.error["code"], reply.error["msg"]) == (11, message)
    locked.execute("ROLLBACK")
    assert cni("CHECK", config, "before").silent, "a DEL that failed released nothing"


def test_a_hung_agent_and_a_locked_ledger_together_are_not_waited_for_without_end(
    start_agent: StartAgent, installed: Installed, config: dict[str, Any], locked: sqlite3.Connection
) -> None:
    agent = start_agent()
    plugin = installed(agent.socket)
    os.kill(agent.process.pid, signal.SIGSTOP)
    try:
        assert plugin("ADD", config, "late").error["code"] == 11
    finally:
        os.kill(agent.process.pid, signal.SIGCONT)
    locked.execute("ROLLBACK")
    assert plugin("CHECK", config, "before").silent, "the agent is through with what it slept over"
    await_verb(config, "undo")
    assert plugin("CHECK", config, "late").code == 1
