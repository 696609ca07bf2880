"""`unipam run` beside others: a port that is taken, a register that is another's, a second run on one state."""

from __future__ import annotations

import contextlib
import json
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
from tests.server.live import Client
from tests.server.pages.visitor import Visitor

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


def test_the_register_shows_the_leases_of_the_agent_beside_it(taken: int, tmp_path: Path) -> None:
    """A real ADD through the installed plugin, and what the register's API and the address's page say of it."""
    port = free_port(taken)
    config = {
        "cniVersion": "1.0.0", "name": "seen", "type": "bridge",
        "ipam": {"type": "host-local", "dataDir": str(tmp_path / "networks"), "ranges": [[{"subnet": "10.78.0.0/24"}]]},
    }  # fmt: skip
    environment = {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": "box-1", "CNI_NETNS": "/box-1", "CNI_IFNAME": "eth0",
        "CNI_PATH": str(tmp_path / "bin"), "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0",
    }  # fmt: skip
    with running(tmp_path, "--register", str(port)) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("ADD gave")
        subprocess.run([tmp_path / "bin" / "host-local"], env=environment, input=json.dumps(config).encode(),
                       capture_output=True, timeout=60, check=True)  # fmt: skip
        api = Client(port, (tmp_path / "admin-token").read_text().strip(), "/api/v1")
        (lease,) = api.get("/leases?network=seen").json["items"]
        assert (lease["address"], lease["pod"], lease["state"]) == ("10.78.0.2", "shop/web-0", "held")
        told = api.get(f"/leases/{lease['address']}").json
        assert "shop/web-0" in told["sentences"][0]
        person = Visitor(port)
        assert person.sign_in(api.token).status == 200
        assert "shop/web-0" in person.get("/addresses/10.78.0.2").words
        assert person.get("/leases").rows()[1][:2] == ["10.78.0.2", "shop/web-0"]


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
