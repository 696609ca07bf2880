"""What the agent tells of its calls, when it cannot be read, or cannot be written."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest
from tests.agent.talk import ask, encoded, metric
from tests.conftest import ANSWERED_WITHIN, UNIPAM, Plugin, environment
from tests.real.node import wait_until

Installed = Callable[[Path], Plugin]


class Told(NamedTuple):
    """An agent whose log is read by nobody but the test."""

    pid: int
    socket: Path
    port: int
    log: IO[bytes]


Telling = Callable[[], AbstractContextManager[Told]]


@pytest.fixture
def telling(short_dir: Callable[[], Path], port: int) -> Telling:
    """An agent for a block; it must end in good order with it."""

    @contextmanager
    def telling() -> Iterator[Told]:
        path = short_dir() / "agent.sock"
        command = [str(UNIPAM), "agent", "--socket", str(path), "--data-dir", str(path.parent / "data")]
        command += ["--sweep", "0", "--metrics", f"127.0.0.1:{port}"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, bufsize=0) as process:
            try:
                assert process.stderr
                assert b"listening" in process.stderr.readline()
                yield Told(process.pid, path, port, process.stderr)
                process.terminate()
                assert process.wait(ANSWERED_WITHIN) == 0
            finally:
                process.kill()

    return telling


def test_a_log_that_is_not_read_delays_no_call_and_no_end(telling: Telling, config: dict[str, Any]) -> None:
    with telling() as agent:
        for number in range(60):
            assert ask(agent.socket, "ADD", config, f"c{number}").code == 0
        for _ in range(40):  # refused, with lines of 100 KB
            assert ask(agent.socket, "ADD", config, "/" * 50_000).code == 1
        for number in range(60):
            assert ask(agent.socket, "DEL", config, f"c{number}").silent
        wait_until(lambda: metric(agent.port, "unipam_call_seconds_count") == 160)  # counted once it was answered
        assert metric(agent.port, "unipam_log_lines_dropped_total") > 0


@pytest.mark.parametrize("name", [b"host-local\xff", b"\xff\xfe/\xff", b"\xed\xa0\x80"])
def test_a_call_in_bytes_that_are_no_text_is_answered_and_told(
    telling: Telling, installed: Installed, config: dict[str, Any], name: bytes
) -> None:
    env = {key.encode(): value.encode() for key, value in environment("ADD").items()}
    env |= {b"CNI_IFNAME": name.replace(b"/", b""), b"CNI_ARGS": b"K8S_POD_NAME=\xff;IgnoreUnknown=1"}
    with telling() as agent:
        launcher = installed(agent.socket).path
        for verb in (b"ADD", b"DEL", b"\xff"):
            subprocess.run(
                [name], executable=launcher, env=os.environb | env | {b"CNI_COMMAND": verb}, input=encoded(config),
                stdout=subprocess.DEVNULL, timeout=ANSWERED_WITHIN, check=False,
            )  # fmt: skip
            assert json.loads(agent.log.readline())["event"] == "call"
        wait_until(lambda: metric(agent.port, "unipam_call_seconds_count") == 3)


def test_who_asks_for_metrics_and_says_nothing_holds_one_file_of_the_agent(telling: Telling) -> None:
    with telling() as agent:
        files = Path(f"/proc/{agent.pid}/fd")
        before = len(list(files.iterdir()))
        silent = [socket.create_connection(("127.0.0.1", agent.port)) for _ in range(5)]
        time.sleep(0.3)  # it has seen them by now
        assert len(list(files.iterdir())) <= before + 1
        for each in silent:
            each.close()
        assert metric(agent.port, "unipam_log_lines_dropped_total") == 0
