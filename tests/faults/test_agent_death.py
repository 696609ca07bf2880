"""The agent dies, or falls asleep, at every system call that it makes while it serves a call; everybody carries on.

Each fate is another agent's. What a cold call goes through is in test_crash_matrix.py.
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
from tests.faults.callers import BUSY
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
        """An agent that has the ledger open, and has undone a call before: by its thread that was made last."""
        agent = self.node.start_agent("--sweep", "0")
        try:
            self.call("ADD", "warm", deaf=True)
            wait_until(lambda: self.owned("warm") == set())
            yield agent
        finally:
            agent.send_signal(signal.SIGTERM)
            agent.send_signal(signal.SIGCONT)
            agent.wait(PATIENCE)

    def owned(self, container: str) -> set[str]:
        return {claim.text for claim in self.node.claims() if claim.owner.holder == container}

    def sleep(self, step: Step) -> Said:
        """What the caller was told whose agent fell asleep at the step, and woke up when the caller was gone."""
        with self.agent() as agent:
            with STRACE.attached(agent.pid, self.log(0), step, "STOP"):
                said = self.call(self.verb, "actor")
                agent.send_signal(signal.SIGCONT)
                self.call("VERSION", "")  # answered when all of the former call is done
            agent.send_signal(signal.SIGCONT)  # it fell asleep only after its answer
            if said.code:
                wait_until(lambda: self.owned("actor") == set())
        return said

    def run(self, thread: int, step: Step | None = None) -> tuple[Said, bool]:
        """What the caller was told, and whether the agent died; `thread` is its first (0) or last (-1)."""
        with self.agent() as agent:
            threads = sorted(int(path.name) for path in Path(f"/proc/{agent.pid}/task").iterdir())
            with STRACE.attached(threads[thread], self.log(thread), step):
                said = self.call(self.verb, "actor", deaf=self.deaf)
                self.call("VERSION", "")
                if self.deaf:
                    wait_until(lambda: agent.poll() is not None or self.owned("actor") == set())
        return said, agent.returncode == -signal.SIGKILL

    def log(self, thread: int) -> Path:
        return self.root / f"thread{thread}.log"

    def judge(self, said: Said, others: Held) -> None:
        """Whatever the caller was told is true, nothing else has changed, and everybody can go on."""
        found = held(self.node.data_dir)
        mine = {address for _, address, owner in found if owner == "actor/eth0"}
        assert {each for each in found if each[2] != "actor/eth0"} == others
        if said.code == 0:
            assert mine == (set() if self.verb == "DEL" else set(said.addresses))
        assert len(mine) in {0, len(RANGES)}, "all of its addresses or none"
        conf = network(self.node.data_dir)
        ask("DEL", conf, "actor")
        assert held(self.node.data_dir) == others
        ask("ADD", conf, "actor")
        assert len(held(self.node.data_dir) - others) == len(RANGES)


def prepared(template: Path, verb: str) -> Held:
    """A ledger with a gap, and with the actor's lease if it is to be released; what the others hold."""
    for container in ("a", "b", "c", "actor") if verb == "DEL" else ("a", "b", "c"):
        ask("ADD", network(template), container)
    ask("DEL", network(template), "b")
    before = held(copied(template, template.with_suffix(".before")))
    return frozenset(each for each in before if each[2] != "actor/eth0")


@pytest.mark.parametrize(("verb", "deaf"), [("ADD", False), ("DEL", False), ("ADD", True)], ids=["ADD", "DEL", "undo"])
def test_death_of_the_agent(tmp_path: Path, verb: str, deaf: bool) -> None:
    template = tmp_path / "template"
    others = prepared(template, verb)

    def play(number: int, thread: int, step: Step | None = None) -> tuple[Play, bool]:
        one = Play(tmp_path / f"{number}", template, verb, deaf)
        said, died = one.run(thread, step)
        one.judge(said, others)
        gone = verb == "ADD" and (deaf or "ips" in said.document)  # before it heard that its answer had arrived
        assert said.code == 0 or gone
        return one, died

    threads = (0, -1) if deaf else (0,)
    every = [(thread, step) for thread in threads for step in steps(play(thread - 1, thread)[0].log(thread))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        deaths = sum(died for _, died in pool.map(play, range(len(every)), *zip(*every, strict=True)))
    assert deaths >= 0.9 * len(every), "two runs differ by a few calls at the most"
    logging.getLogger(__name__).info("%s: %d agents died at %d calls", verb, deaths, len(every))


@pytest.mark.parametrize("verb", ["ADD", "DEL"])
def test_an_agent_that_sleeps(tmp_path: Path, verb: str) -> None:
    """Its caller goes on without it, and what it does when it wakes up, hours later perhaps, does no harm."""
    template = tmp_path / "template"
    others = prepared(template, verb)
    whole = Play(tmp_path / "whole", template, verb, deaf=False)
    whole.run(0)

    def doze(step: Step) -> bool:
        one = Play(tmp_path / f"{step.name}-{step.ordinal}", template, verb, deaf=False)
        said = one.sleep(step)
        one.judge(said, others)
        assert said.code == 0 or said.document["code"] == BUSY, "it sleeps on the ledger's lock"
        return said.code != 0

    with ThreadPoolExecutor(12) as pool:  # they only wait
        refused = sum(pool.map(doze, steps(whole.log(0))))
    logging.getLogger(__name__).info("%s: %d callers were refused", verb, refused)
