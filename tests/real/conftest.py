"""What the meetings with real peers need: network namespaces of their own, and a node's plugin directory."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.real.containerd import Containerd
from tests.real.cri import Runtime
from tests.real.image import BUSYBOX
from tests.real.node import PATIENCE, Node, missing

from unipam.clients.cri import sandboxes

_NUMBERS = itertools.count()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A node with the launcher and the real bridge plugin installed."""
    made = Node(tmp_path)
    made.install(["bridge", "loopback"])
    return made


@pytest.fixture
def namespace() -> Iterator[Callable[[], str]]:
    """Makes network namespaces with their loopback up, and removes them."""
    if os.getuid() or (why := missing({"iproute2": "ip", "util-linux": "nsenter"})):
        pytest.skip("network namespaces need root" if os.getuid() else why)
    made: list[str] = []

    def make() -> str:
        name = f"unipam-{os.getpid()}-{next(_NUMBERS)}"
        ip("netns", "add", name)
        made.append(name)
        ip("-n", name, "link", "set", "lo", "up")
        return name

    yield make
    for name in made:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)  # a test may have been faster


def ip(*words: str) -> None:
    """Run ip(8)."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def containerd(tmp_path: Path, node: Node, namespace: Callable[[], str]) -> Iterator[Containerd]:
    """A running containerd whose sandboxes get their addresses from unipam."""
    packages = {"containerd": "containerd", "runc": "runc", "busybox-static": str(BUSYBOX), "iputils-ping": "ping"}
    if why := missing(packages | {"containernetworking-plugins": "/usr/lib/cni/bridge"}):
        pytest.skip(why)
    root = tmp_path / "c"
    root.mkdir()
    runtime = Containerd(root, node, namespace())
    try:
        runtime.start()
        runtime.import_image()
        yield runtime
    finally:
        runtime.clean_up()
    assert runtime.mounts() == []


@pytest.fixture
def cri(containerd: Containerd) -> Iterator[Runtime]:
    """Its CRI socket; the sandboxes that a test leaves are removed."""
    with Runtime(containerd.socket) as runtime:
        yield runtime
        if containerd.process.poll() is None:
            for sandbox in sandboxes(containerd.socket, PATIENCE):
                runtime.stop(sandbox.id)
                runtime.remove(sandbox.id)
