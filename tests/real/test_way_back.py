"""The way back to the real host-local: whatever happens on it, no address is held by two pods."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.real.node import PLUGINS, UNIPAM, Node, missing

from unipam.cni.install import install

_MISSING = missing({"containernetworking-plugins": str(PLUGINS / "host-local")})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

BUSY = 11


@pytest.fixture(params=["agent", "cold"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    """A node on which host-local has served two pods before unipam came."""
    made = original(tmp_path)
    with made.agent() if request.param == "agent" else nullcontext():
        yield made


def original(root: Path) -> Node:
    """A node with the real host-local, two pods of its, and the launcher put in its place."""
    made = Node(root)
    made.bin_dir.mkdir()
    shutil.copy2(PLUGINS / "host-local", made.bin_dir)
    for container in ("first", "second"):
        assert made.call("ADD", conf(made), container).code == 0
    install(made.bin_dir, made.socket, ["host-local"])
    return made


def conf(node: Node, name: str = "net") -> dict[str, Any]:
    return {"cniVersion": "1.0.0", "name": name, "ipam": node.ipam("10.1.0.0/24")}


def unipam(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([UNIPAM, *map(str, words)], capture_output=True, text=True, check=False)


def leases(node: Node, network: str = "net") -> dict[str, str]:
    """What host-local's directory says: the holder of each address."""
    files = (node.data_dir / network).glob("10.*")
    return {file.name: file.read_bytes().decode().partition("\r\n")[0] for file in files}


def test_a_pod_that_starts_on_the_way_back_does_not_get_what_another_will(node: Node) -> None:
    third = node.call("ADD", conf(node), "third").addresses
    assert unipam("adopt", "host-local", "--rollback", "--data-dir", node.data_dir).returncode == 0
    early = node.call("ADD", conf(node), "early")
    assert unipam("cni", "uninstall", "--bin-dir", node.bin_dir).returncode == 0
    late = node.call("ADD", conf(node), "late").addresses
    assert early.code == 1
    assert (early.document["code"], early.document["msg"].count("--network net")) == (BUSY, 1)
    assert node.call("ADD", conf(node), "early").addresses not in ([*third], late)
    assert sorted(leases(node).values()) == ["early", "first", "late", "second", "third"]
