"""The launcher that the wheel for aarch64 carries, run by QEMU's user-mode emulation, with an agent and without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.cni.conftest import Launched, Node
from tests.real.node import missing

from unipam.cni import launcher

if TYPE_CHECKING:
    from tests.cni.conftest import AgentByHand

QEMU = "qemu-aarch64-static"
_MISSING = missing({"qemu-user-static": QEMU, "gcc-aarch64-linux-gnu": "aarch64-linux-gnu-gcc"})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

RESULT = b'{\n    "ips": []\n}\n'


class Emulated(Node):
    """A node of the other processor; what its launcher becomes without an agent is a script of this one."""

    def start(self, env: dict[str, str] | None = None, **how: Any) -> Launched:
        return super().start(env, args=[shutil.which(QEMU), "-0", self.plugin, self.plugin], **how)


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The launcher as the build hook compiles it."""
    root, target = Path(__file__).parents[2], tmp_path_factory.mktemp("aarch64") / "launcher"
    code = "import sys; from pathlib import Path; from hatch_build import *; compile_launcher(*map(Path, sys.argv[1:]))"
    command = [sys.executable, "-c", code, launcher.__file__.replace(".py", ".c"), target]
    subprocess.run(command, cwd=root, env=os.environ | {"CC": "aarch64-linux-gnu-gcc"}, check=True)
    return target


@pytest.fixture
def node(tmp_path: Path, binary: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    monkeypatch.setattr(launcher, "_BUILT", binary)
    return Emulated(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 65_536, 70_000, 16 << 20])
def test_it_forwards_the_call_and_relays_the_answer(node: Node, agent_by_hand: AgentByHand, size: int) -> None:
    process = node.ask(bytes(size), cwd=node.directory)
    call = agent_by_hand.receive()
    assert (call.name, call.cwd, call.stdin) == (str(node.plugin), str(node.directory), bytes(size))
    assert {key: call.env[key] for key in call.env if key != "UNIPAM_CALL"} == node.env
    assert len(call.env["UNIPAM_CALL"]) == 32
    call.answer(7, RESULT, b"a warning\n")
    assert call.rest() == b"k"
    assert process.finish() == (7, RESULT, b"a warning\n")


def test_without_an_agent_it_becomes_the_interpreter(node: Node) -> None:
    stdin = bytes(range(256)) * 400
    node.assert_cold(node.ask(stdin).finish(), stdin)


def test_an_agent_that_hangs_up_is_as_none(node: Node, agent_by_hand: AgentByHand) -> None:
    process = node.ask()
    agent_by_hand.receive().hang_up()
    node.assert_cold(process.finish())


def test_without_either_it_says_so(node: Node) -> None:
    node.interpreter.unlink()
    assert f"unipam: the agent at {node.socket} could not be reached (ENOENT, errno 2)" in node.ask().finish().error()
