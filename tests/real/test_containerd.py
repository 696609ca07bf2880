"""containerd starts and stops pods' sandboxes over CRI, as for a kubelet, with unipam as their IPAM."""

from __future__ import annotations

import subprocess
import time
from typing import Any

import msgspec
import pytest
from tests.real.containerd import Containerd
from tests.real.cri import Runtime
from tests.real.node import PATIENCE, Node

from unipam.clients.cri import Sandbox, sandboxes

pytestmark = pytest.mark.real


def facts(node: Node, sandbox: str) -> dict[str, Any]:
    """What the ledger says about a sandbox."""
    claim = next(c for c in node.claims() if c.owner.holder == sandbox)
    found = msgspec.json.decode(claim.details)
    assert isinstance(found, dict)
    return found


def ping(node: Node, sandbox: str, address: str) -> None:
    command = ["nsenter", f"--net={facts(node, sandbox)['netns']}", "ping", "-n", "-c2", "-i0.2", "-w20", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert " 2 received" in done.stdout, done.stdout


def test_two_sandboxes_ping_each_other_and_leave_nothing(node: Node, containerd: Containerd, cri: Runtime) -> None:
    with node.agent("--sweep", "0"):
        web, db = cri.run("web"), cri.run("db")
        held = node.held()
        assert sorted(held.values()) == sorted([web, db] * 2), "each an IPv4 and an IPv6 address"
        for address, holder in held.items():
            ping(node, db if holder == web else web, address)

        cri.stop(web)
        assert set(node.held().values()) == {db}
        cri.stop(web)
        cri.remove(web)
        cri.stop(db)
        cri.remove(db)
        assert node.held() == {}
    assert len([line for line in node.log().splitlines() if '"verb":"ADD"' in line]) == 2
    assert {(e.verb, e.reason) for e in node.journal()} == {("allocate", ""), ("release", "DEL")}


def test_the_ledger_knows_the_pod(node: Node, cri: Runtime) -> None:
    known = facts(node, cri.run("web"))
    assert (known["pod"], known["uid"]) == ("test/web", "uid-web")


def test_lists_the_sandboxes(containerd: Containerd, cri: Runtime) -> None:
    before = time.time()
    web, db = cri.run("web"), cri.run("db", "shop")
    cri.stop(db)
    found = sandboxes(containerd.socket, PATIENCE)
    assert sorted(each._replace(created=0) for each in found) == sorted(
        [
            Sandbox(web, "web", "test", "uid-web", ready=True),
            Sandbox(db, "db", "shop", "uid-db", ready=False),
        ]
    )
    assert all(before <= each.created <= time.time() for each in found)
    cri.remove(db)
    assert [each.id for each in sandboxes(containerd.socket, PATIENCE)] == [web]


def test_a_full_pool_reaches_the_kubelet_in_words(node: Node, containerd: Containerd, cri: Runtime) -> None:
    containerd.stop()
    containerd.configure(ranges=[[{"subnet": "10.88.0.0/30"}]])
    containerd.start()
    first = cri.run("first")
    with pytest.raises(Exception, match=r"no IP addresses available in range set: 10\.88\.0\.1-10\.88\.0\.2"):
        cri.run("second")
    assert set(node.held().values()) == {first}
