"""`unipam run` beside others: a port that is taken, a register that is another's, a second run on one state."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.real.node import UNIPAM

from unipam.cli.run_register import free_port


class Impostor(BaseHTTPRequestHandler):
    """Another register: it answers everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which somebody answers already."""
    with HTTPServer(("127.0.0.1", 0), Impostor) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def running(state: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`unipam run`, ended with the block."""
    command = [UNIPAM, "run", "--state-dir", state, "--metrics", "", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("sample", [[], ["--sample"]])
def test_the_register_of_somebody_else_is_not_taken_for_its_own(taken: int, sample: list[str], tmp_path: Path) -> None:
    with running(tmp_path, "--register", str(taken), *sample) as process:
        told, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ready" not in told
    assert "Traceback" not in complaint
    assert f"cannot listen at 127.0.0.1:{taken}" in complaint
    assert "see --register" in complaint.splitlines()[-1]


def test_a_second_one_on_the_same_state_is_told_of_the_first(tmp_path: Path) -> None:
    with running(tmp_path, "--register", "0") as first:
        assert first.stdout
        assert first.stdout.readline().startswith("ADD gave")
        with running(tmp_path, "--register", "0") as second:
            told, complaint = second.communicate(timeout=60)
        assert (second.returncode, told) == (1, "")
        assert complaint == f"Error: process {first.pid} runs on {tmp_path}: end it, or choose another --state-dir\n"
        assert (tmp_path / "agent.sock").exists()


def test_a_port_beside_a_taken_one_is_found(taken: int) -> None:
    found = free_port(taken)
    assert found > taken
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", found))


def test_whoever_started_an_agent_is_told_when_it_serves(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.settimeout(60)
        supervisor.bind(str(tmp_path / "notify"))
        command = [UNIPAM, "agent", "--socket", tmp_path / "agent.sock", "--metrics", ""]
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as agent:
            try:
                assert supervisor.recv(100) == b"READY=1"
                with socket.socket(socket.AF_UNIX) as caller:
                    caller.connect(str(tmp_path / "agent.sock"))
            finally:
                agent.terminate()
    assert agent.returncode == 0
