"""The agent dies at every system call that it makes while it serves a call; its caller and the next ones carry on.

Each death is another agent's. What a cold call goes through is in test_crash_matrix.py.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.faults.aftermath import Held, ask, copied, environment, held, nobody
from tests.faults.strace import ALL, CHANGING, Step, Strace, steps
from tests.real.node import PATIENCE, Node, Said, missing, wait_until

_MISSING = missing({"strace": "strace"})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

FULL = os.environ.get("UNIPAM_CRASH_MATRIX") == "full"
STRACE = Strace(ALL if FULL else CHANGING)
RANGES = ("10.1.0.0/24", "fd00::/64")


def network(data_dir: Path) -> dict[str, Any]:
    ipam = {"type": "host-local", "dataDir": str(data_dir), "ranges": [[{"subnet": each}] for each in RANGES]}
    return {"cniVersion": "1.0.0", "name": "net", "ipam": ipam}


@dataclass
class Play:
    """One agent serves one call: `verb` by the container `actor`, which is `deaf` if it is gone before the answer."""

    root: Path
    template: Path
    verb: str
    deaf: bool

    def __post_init__(self) -> None:
        self.root.mkdir()
        self.node = Node(self.root)
        self.node.install()
        copied(self.template, self.node.data_dir)

    def call(self, verb: str, container: str, *, deaf: bool = False) -> Said:
        """Through the launcher."""
        stdout = nobody() if deaf else subprocess.PIPE
        given = json.dumps(network(self.node.data_dir)).encode()
        done = subprocess.run(
            [str(self.node.bin_dir / "host-local")], input=given, stdout=stdout, env=environment(verb, container),
            timeout=PATIENCE, check=False,
        )  # fmt: skip
        if deaf:
            os.close(stdout)
        return Said(done.returncode, done.stdout or b"")

    @contextmanager
    def agent(self) -> Iterator[subprocess.Popen[bytes]]:
        """An agent that has the ledger open, and has undone a call before, so that its threads are all there."""
        agent = self.node.start_agent("--sweep", "0")
        try:
            self.call("ADD", "warm", deaf=True)
            wait_until(lambda: self.owned("warm") == set())
            yield agent
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.wait(PATIENCE)

    def owned(self, container: str) -> set[str]:
        return {claim.text for claim in self.node.claims() if claim.owner.holder == container}

    def run(self, thread: int, step: Step | None = None) -> tuple[Said, bool]:
        """What the caller was told, and whether the agent died: in its `thread`-th thread at the step."""
        with self.agent() as agent:
            threads = sorted(int(path.name) for path in Path(f"/proc/{agent.pid}/task").iterdir())
            with STRACE.attached(threads[thread], self.log(thread), step):
                said = self.call(self.verb, "actor", deaf=self.deaf)
                self.call("VERSION", "")  # answered when all of the former call is done
                if self.deaf:
                    wait_until(lambda: agent.poll() is not None or self.owned("actor") == set())
        return said, agent.returncode == -signal.SIGKILL

    def log(self, thread: int) -> Path:
        return self.root / f"thread-{thread}.log"

    def judge(self, said: Said, others: Held) -> None:
        """Whatever the caller was told is true, nothing else has changed, and everybody can go on."""
        found = held(self.node.data_dir)
        mine = {address for _, address, owner in found if owner == "actor/eth0"}
        assert {each for each in found if each[2] != "actor/eth0"} == others
        if self.verb == "DEL":
            assert said == Said(0, b"")
            assert mine == set()
        elif said.code == 0:
            assert mine == set(said.addresses)
        else:
            assert len(mine) in {0, len(RANGES)}, "all of its addresses or none"
        conf = network(self.node.data_dir)
        ask("DEL", conf, "actor")
        assert held(self.node.data_dir) == others
        ask("ADD", conf, "actor")
        assert len(held(self.node.data_dir) - others) == len(RANGES)


@pytest.mark.parametrize(("verb", "deaf"), [("ADD", False), ("DEL", False), ("ADD", True)], ids=["ADD", "DEL", "undo"])
def test_death_of_the_agent(tmp_path: Path, verb: str, deaf: bool) -> None:
    template = tmp_path / "template"
    for container in ("a", "b", "c", "actor") if verb == "DEL" else ("a", "b", "c"):
        ask("ADD", network(template), container)
    ask("DEL", network(template), "b")
    others = frozenset(each for each in held(copied(template, tmp_path / "before")) if each[2] != "actor/eth0")

    def play(number: int, thread: int, step: Step | None = None) -> tuple[Play, bool]:
        one = Play(tmp_path / f"{number}", template, verb, deaf)
        said, died = one.run(thread, step)
        one.judge(said, others)
        return one, died

    threads = range(2 if deaf else 1)
    whole = [play(-1 - thread, thread)[0].log(thread) for thread in threads]
    every = [(thread, step) for thread in threads for step in steps(whole[thread])]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        deaths = sum(died for _, died in pool.map(play, range(len(every)), *zip(*every, strict=True)))
    assert deaths >= 0.9 * len(every), "two runs differ by a few calls at the most"
    logging.getLogger(__name__).info("%s: %d agents died at %d calls", verb, deaths, len(every))
