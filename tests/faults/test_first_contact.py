"""Many at once are the first to touch a node's ledger: one of them makes it, one takes over what there was."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.faults.aftermath import environment, held
from tests.real.node import PATIENCE, Node, Said

CALLERS = 24
INHERITED = {f"10.1.0.{number}": f"old-{number}" for number in range(10, 60)}


@pytest.fixture(params=["agent", "cold"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Node, Callable[[], AbstractContextManager[Any]]]:
    """A node, and what serves it beside the cold calls: an agent, or nothing."""
    node = Node(tmp_path)
    node.install()
    return node, (lambda: node.agent("--sweep", "0")) if request.param == "agent" else nullcontext


def all_at_once(node: Node) -> list[Said]:
    conf = {"cniVersion": "1.0.0", "name": "net", "ipam": node.ipam("10.1.0.0/24")}
    calls = [
        subprocess.Popen(
            [str(node.bin_dir / "host-local")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=environment("ADD", f"new-{number}"),
        )
        for number in range(CALLERS)
    ]  # fmt: skip
    given = json.dumps(conf).encode()
    outputs = [call.communicate(given, PATIENCE)[0] for call in calls]
    return [Said(call.returncode, output) for call, output in zip(calls, outputs, strict=True)]


def test_of_an_empty_node(served: tuple[Node, Callable[[], AbstractContextManager[Any]]]) -> None:
    node, serve = served
    with serve():
        said = all_at_once(node)
    given = {(address, f"new-{number}/eth0") for number, each in enumerate(said) for address in each.addresses}
    assert {(address, owner) for _, address, owner in held(node.data_dir)} == given
    assert len(given) == CALLERS


def test_of_a_node_that_host_local_served(served: tuple[Node, Callable[[], AbstractContextManager[Any]]]) -> None:
    node, serve = served
    left = node.data_dir / "net"
    left.mkdir(parents=True)
    for address, container in INHERITED.items():
        (left / address).write_bytes(f"{container}\r\neth0".encode())
    with serve():
        said = all_at_once(node)
    given = {(address, f"new-{number}/eth0") for number, each in enumerate(said) for address in each.addresses}
    inherited = {(address, f"{container}/eth0") for address, container in INHERITED.items()}
    assert {(address, owner) for _, address, owner in held(node.data_dir)} == given | inherited
    assert [entry.verb for entry in node.journal()].count("adopt") == len(INHERITED)
