"""The sweep in a real agent: a namespace that disappears takes its lease with it; metrics and logs say so."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import UNIPAM, Agent, Plugin
from tests.real.node import wait_until

CONFIG = {"cniVersion": "1.0.0", "name": "swept", "type": "bridge"}


def config(data_dir: Path, **extra: object) -> dict[str, object]:
    ipam = {"type": "host-local", "dataDir": str(data_dir), "ranges": [[{"subnet": "10.9.0.0/24"}]], **extra}
    return {**CONFIG, "ipam": ipam}


def test_a_namespace_that_is_gone_frees_its_lease(
    start_agent: Callable[..., Agent], installed: Callable[[Path], Plugin], tmp_path: Path
) -> None:
    agent = start_agent("--sweep", "0.1")
    call = installed(agent.socket)
    namespaces = [tmp_path / name for name in ("dies", "lives")]
    for namespace in namespaces:
        namespace.touch()
    for name, namespace in zip("ab", namespaces, strict=True):
        assert call("ADD", config(tmp_path), name, netns=str(namespace)).code == 0
    namespaces[0].unlink()
    wait_until(lambda: agent.said("reclaimed"))
    (line,) = agent.said("reclaimed")
    assert (line["container"], line["address"], "is gone" in line["reason"]) == ("a", "10.9.0.2", True)
    assert call("CHECK", config(tmp_path), "b", netns=str(namespaces[1])).code == 0
    assert call("CHECK", config(tmp_path), "a", netns=str(namespaces[0])).code == 1


def test_an_address_that_was_reclaimed_still_cools(
    start_agent: Callable[..., Agent], installed: Callable[[Path], Plugin], tmp_path: Path
) -> None:
    agent = start_agent("--sweep", "0.1")
    call = installed(agent.socket)
    namespace = tmp_path / "dies"
    namespace.touch()
    first = call("ADD", config(tmp_path, cooldown=600), "a", netns=str(namespace)).addresses
    namespace.unlink()
    wait_until(lambda: agent.said("reclaimed"))
    given = {call("ADD", config(tmp_path, cooldown=600), f"x{i}").addresses[0] for i in range(252)}
    assert len(given) == 252
    assert first[0] not in given


def scraped(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_metrics_count_calls_and_addresses(
    start_agent: Callable[..., Agent], installed: Callable[[Path], Plugin], tmp_path: Path, port: int
) -> None:
    agent = start_agent("--metrics", f"127.0.0.1:{port}")
    call = installed(agent.socket)
    for name in ("a", "b", "a"):
        call("ADD", config(tmp_path), name)
    counted = {
        'unipam_call_seconds_count{outcome="ok",plugin="host-local",verb="ADD"} 2.0',
        'unipam_call_seconds_count{outcome="error",plugin="host-local",verb="ADD"} 1.0',
    }
    deadline = time.monotonic() + 20
    while not counted <= set((text := scraped(port)).splitlines()):  # a call is counted after it is answered
        assert time.monotonic() < deadline, text
    for state, count in (("used", 2), ("free", 251), ("reserved", 1), ("cooling", 0)):
        assert f'network="swept",pool="0",state="{state}"}} {count}.0' in text


def test_an_agent_that_takes_over_serves_metrics_beside_the_one_that_goes(
    start_agent: Callable[..., Agent], installed: Callable[[Path], Plugin], tmp_path: Path, port: int
) -> None:
    """Of one pod and the next, on one node."""
    old = start_agent("--metrics", f"127.0.0.1:{port}")
    call = installed(old.socket)
    assert call("ADD", config(tmp_path), "a").code == 0
    start_agent("--metrics", f"127.0.0.1:{port}", directory=old.socket.parent)
    old.stop()
    assert call("ADD", config(tmp_path), "b").code == 0
    line = 'unipam_call_seconds_count{outcome="ok",plugin="host-local",verb="ADD"} 1.0'
    wait_until(lambda: line in metrics(port))  # counted once it was answered


def metrics(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_a_call_is_one_line_of_log(
    start_agent: Callable[..., Agent], installed: Callable[[Path], Plugin], tmp_path: Path
) -> None:
    agent = start_agent()
    args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web"
    installed(agent.socket)("ADD", config(tmp_path), "a", args=args)
    wait_until(lambda: agent.said("call"))  # it is written once the caller has its answer
    (line,) = agent.said("call")
    assert line["ms"] > 0
    wanted = {"verb": "ADD", "network": "swept", "container": "a", "pod": "shop/web", "outcome": "ok"}
    assert wanted.items() <= line.items()
    assert json.dumps(line["addresses"]) == '["10.9.0.2/24"]'


def test_metrics_at_a_taken_port_are_refused_in_one_line(tmp_path: Path, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        words = [UNIPAM, "agent", "--socket", tmp_path / "s", "--metrics", f"127.0.0.1:{port}"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"cannot serve metrics at 127.0.0.1:{port}" in line
    assert "choose another" in line


def status(agent: Agent, data_dir: Path) -> str:
    """What `unipam status` says."""
    words = [UNIPAM, "status", "--socket", agent.socket, "--data-dir", data_dir]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False).stdout


def test_status_says_why_the_runtime_is_not_asked(
    start_agent: Callable[..., Agent],
    installed: Callable[[Path], Plugin],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    agent = start_agent("--sweep", "0.1")
    assert installed(agent.socket)("ADD", config(tmp_path), "a").code == 0
    wait_until(lambda: "runtime not asked: the agent was started without --cri" in status(agent, tmp_path))
    agent = start_agent("--sweep", "0.1", "--data-dir", str(tmp_path), "--cri", str(tmp_path / "none"))
    wait_until(
        lambda: f"runtime not asked: the container runtime at {tmp_path}/none could not" in status(agent, tmp_path)
    )
    (tmp_path / "grpc.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    agent = start_agent("--sweep", "0.1", "--data-dir", str(tmp_path), "--cri", str(tmp_path / "none"))
    wait_until(lambda: "grpcio is missing: install unipam[cri]" in status(agent, tmp_path))
