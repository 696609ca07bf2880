"""The launcher dies at every system call that it makes: what it did not acknowledge is taken back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.aftermath import environment, held
from tests.faults.strace import ALL, Step, Strace, steps
from tests.real.node import Node, missing, wait_until

_MISSING = missing({"strace": "strace"})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

ACKNOWLEDGES = Step("sendto", 2)
"""The second thing that a launcher sends; the first is the question."""

Run = Callable[[str, str, Step | None], list[Step]]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path)
    made.install()
    return made


@pytest.fixture
def run(node: Node) -> Run:
    """Runs the launcher for a verb and a container until it comes to a step; the steps that were made."""
    conf = {"cniVersion": "1.0.0", "name": "net", "ipam": node.ipam("10.1.0.0/24", "fd00::/64")}

    def play(verb: str, container: str, step: Step | None = None) -> list[Step]:
        log = node.root / "launcher.log"
        command = [str(node.bin_dir / "host-local")]
        died = Strace(ALL).run(
            command, log, step, stdin=json.dumps(conf).encode(), stdout=subprocess.DEVNULL,
            env=environment(verb, container),
        )  # fmt: skip
        assert died == (step is not None)
        return steps(log)

    return play


def launched(every: list[Step]) -> list[Step]:
    """Without the execve that makes it a launcher, which is not its own doing."""
    return [step for step in every if step.name != "execve"]


def test_during_an_add(node: Node, run: Run) -> None:
    with node.agent("--sweep", "0"):
        every = launched(run("ADD", "whole", None))
        before = held(node.data_dir)
        for number, step in enumerate(every):
            run("ADD", f"c{number}", step)
            assert node.call("VERSION", {}, "").code == 0, "asked later, so answered later"
            if number <= every.index(ACKNOWLEDGES):
                wait_until(lambda: held(node.data_dir) == before)
            else:
                assert len(held(node.data_dir) - before) == 2
            run("DEL", f"c{number}", None)
            assert held(node.data_dir) == before


def test_during_a_del(node: Node, run: Run) -> None:
    with node.agent("--sweep", "0"):
        run("ADD", "whole", None)
        every = launched(run("DEL", "whole", None))
        for number, step in enumerate(every):
            container = f"c{number}"
            run("ADD", container, None)
            run("DEL", container, step)
            assert node.call("VERSION", {}, "").code == 0
            assert len(held(node.data_dir)) in {0, 2}
            run("DEL", container, None)
            assert held(node.data_dir) == frozenset()
