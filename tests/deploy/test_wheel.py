"""The wheel as a node installs it: in a clean environment of each Python here, with an agent, an ADD and a DEL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.real.node import missing, wait_until

ROOT = Path(__file__).parents[2]
CONFIGURATION = {
    "cniVersion": "1.0.0", "name": "net", "type": "bridge",
    "ipam": {"type": "host-local", "subnet": "10.89.0.0/24"},
}  # fmt: skip
WHAT_IS_SAID = "import platform, venv, ensurepip, sqlite3; print(platform.python_version())"


def pythons() -> dict[str, str]:
    """Each minor version from 3.11 on that can make an environment: its exact version, and the interpreter."""
    places = [*os.get_exec_path(), *map(str, Path.home().glob(".pyenv/versions/*/bin"))]
    found = {}
    for minor in range(11, 20):
        for place in places:
            if version := said_by(f"{place}/python3.{minor}"):
                found[version] = f"{place}/python3.{minor}"
                break
    return found


def said_by(python: str) -> str:
    """Its version; "" when it is not there, or has not what an environment needs."""
    if not os.access(python, os.X_OK):
        return ""
    return subprocess.run([python, "-c", WHAT_IS_SAID], capture_output=True, text=True, check=False).stdout.strip()


PYTHONS = pythons()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dist = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", dist]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (wheel,) = dist.iterdir()
    return wheel


@pytest.fixture(params=PYTHONS)
def unipam(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> Path:
    """The command in a new environment, which has it from the wheel, and no compiler on its way."""
    subprocess.run([PYTHONS[request.param], "-m", "venv", tmp_path / "venv"], check=True)
    pip = [tmp_path / "venv/bin/python", "-m", "pip", "install", "-q", "--only-binary", ":all:"]
    env = os.environ | {"CC": "no-such-compiler"}
    locked = ["--require-hashes", "-r", ROOT / "deploy/requirements/agent.lock"]
    subprocess.run([*pip, *locked], check=True, env=env)
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True, env=env)
    return tmp_path / "venv/bin/unipam"


@contextmanager
def agent(unipam: Path, place: Path) -> Iterator[None]:
    command = [unipam, "agent", "--socket", place / "agent.sock", "--data-dir", place / "data"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until((place / "agent.sock").exists)
            yield
        finally:
            process.terminate()


def call(place: Path, verb: str, expected: int = 0) -> dict[str, object]:
    env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "CNI_NETNS": "/run/netns/c1"}
    ipam = CONFIGURATION | {"ipam": {**CONFIGURATION["ipam"], "dataDir": str(place / "data")}}  # type: ignore[dict-item]
    answer = subprocess.run(
        [place / "bin/host-local"],
        env=env | {"CNI_PATH": "/"}, input=json.dumps(ipam).encode(), capture_output=True, check=False,
    )  # fmt: skip
    assert answer.returncode == expected, answer.stdout
    return dict(json.loads(answer.stdout)) if answer.stdout else {}


def test_a_node_needs_no_compiler(unipam: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    install = [unipam, "cni", "install", "--bin-dir", tmp_path / "bin", "--socket", tmp_path / "agent.sock"]
    subprocess.run([*install, "--name", "host-local"], check=True, capture_output=True)
    with agent(unipam, tmp_path):
        assert call(tmp_path, "ADD")["ips"] == [{"address": "10.89.0.2/24", "gateway": "10.89.0.1"}]
        assert leases(unipam, tmp_path) == ["10.89.0.2"]
        call(tmp_path, "DEL")
    assert leases(unipam, tmp_path) == []
    call(tmp_path, "ADD")  # cold
    assert leases(unipam, tmp_path) == ["10.89.0.3"]


def leases(unipam: Path, place: Path) -> list[str]:
    command = [unipam, "lease", "list", "--data-dir", place / "data", "-o", "json"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return [each["address"] for each in listed["items"]]


CALLER = """
#include <stdio.h>
#include <unistd.h>
int main(void) { puts("a program of musl"); fflush(stdout); execl("/host-local", "host-local", (char *)0); return 9; }
"""
MUSL = Path("/lib/ld-musl-x86_64.so.1")
_MISSING = missing({"musl-tools": "musl-gcc"})


@pytest.mark.real
@pytest.mark.skipif(bool(_MISSING), reason=_MISSING)
@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_the_launcher_runs_where_the_c_library_is_musl(wheel: Path, tmp_path: Path) -> None:
    """A root that has musl's loader and nothing else, as far as Alpine goes for a program that needs no library."""
    shutil.unpack_archive(wheel, tmp_path, "zip")
    launcher = shutil.copy(tmp_path / "unipam/cni/launcher", tmp_path / "host-local")
    Path(launcher).chmod(0o755)
    subprocess.run(["musl-gcc", "-x", "c", "-", "-o", tmp_path / "caller"], input=CALLER, text=True, check=True)
    (tmp_path / "lib").mkdir()
    shutil.copy(MUSL, tmp_path / "lib")
    command = ["chroot", tmp_path, "/caller"]
    answer = subprocess.run(
        command, env=os.environ | {"CNI_COMMAND": "VERSION"}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert answer.stdout.startswith("a program of musl\n{")
    assert "this launcher was copied, not installed" in answer.stdout
