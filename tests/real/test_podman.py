"""podman with its CNI backend runs a container in a network whose IPAM is unipam."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.real import image
from tests.real.node import PATIENCE, Node, missing, wait_until

_MISSING = missing(
    {"podman": "podman", "conmon": "conmon", "runc": "runc", "busybox-static": str(image.BUSYBOX)}
    | {"containernetworking-plugins": "/usr/lib/cni/bridge"}
)
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

IMAGE = "localhost/bb:1"

_CONTAINERS = """
[containers]
default_ulimits = []
[network]
network_backend = "cni"
cni_plugin_dirs = ["{0}"]
network_config_dir = "{1}/net.d"
default_network = "pods"
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
static_dir = "{1}/static"
tmp_dir = "{1}/tmp"
volume_path = "{1}/volumes"
"""
_STORAGE = """
[storage]
driver = "vfs"
graphroot = "{0}/storage"
runroot = "{0}/run"
"""


class Podman:
    """podman with everything below `root`, in the network namespace `host`."""

    def __init__(self, root: Path, node: Node, host: str) -> None:
        self.root = root
        self._host = host
        (root / "containers.conf").write_text(_CONTAINERS.format(node.bin_dir, root))
        (root / "storage.conf").write_text(_STORAGE.format(root))
        plugin = {"type": "bridge", "bridge": "pod0", "isGateway": True, "ipam": node.ipam("10.66.0.0/24")}
        conf = {"cniVersion": "0.4.0", "name": "pods", "plugins": [plugin]}
        (root / "net.d").mkdir()
        (root / "net.d" / "pods.conflist").write_text(json.dumps(conf))

    def run(self, *words: str, given: bytes = b"") -> str:
        """One podman command; what it prints."""
        env = os.environ | {
            "CONTAINERS_CONF": str(self.root / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.root / "storage.conf"),
        }
        command = ["nsenter", f"--net=/run/netns/{self._host}", "podman", *words]
        done = subprocess.run(command, env=env, input=given, capture_output=True, timeout=4 * PATIENCE, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()


def _no_groups() -> bool:
    """Whether podman's cgroups are gone; conmon, which ends by itself, may be in them for a moment."""
    groups = [*Path("/sys/fs/cgroup").glob("*/libpod_parent/conmon"), *Path("/sys/fs/cgroup").glob("*/libpod_parent")]
    for group in groups:
        with contextlib.suppress(OSError):
            group.rmdir()
    return not groups


@pytest.fixture
def podman(tmp_path: Path, node: Node, namespace: Callable[[], str]) -> Iterator[Podman]:
    root = tmp_path / "p"
    root.mkdir()
    made = Podman(root, node, namespace())
    made.run("import", "-", IMAGE, given=image.layer())
    yield made
    made.run("rm", "--all", "--force", "--time", "0")
    wait_until(_no_groups)
    assert str(root) not in Path("/proc/self/mountinfo").read_text()


def test_two_containers_ping_each_other(node: Node, podman: Podman) -> None:
    with node.agent("--sweep", "0.1"):
        one, two = (podman.run("run", "--detach", IMAGE, *image.SLEEP) for _ in range(2))
        addresses = {holder: address for address, holder in node.held().items()}
        assert set(addresses) == {one, two}
        assert f"inet {addresses[one]}/24 " in podman.run("exec", one, "/bin/ip", "-4", "addr", "show", "eth0")
        assert " 0% packet loss" in podman.run("exec", two, "/bin/ping", "-c2", addresses[one])

        podman.run("stop", "--time", "0", two)
        assert node.held() == {addresses[one]: one}
        podman.run("rm", "--force", "--time", "0", one)
        assert node.held() == {}
    assert [entry.reason for entry in node.journal() if entry.verb == "release"] == ["DEL", "DEL"]


def test_an_address_may_be_asked_for(node: Node, podman: Podman) -> None:
    container = podman.run("run", "--detach", "--ip", "10.66.0.77", IMAGE, *image.SLEEP)
    assert node.held() == {"10.66.0.77": container}, "podman says IP=10.66.0.77 in CNI_ARGS"
