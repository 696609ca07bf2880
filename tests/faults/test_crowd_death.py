"""The agent dies at every system call that it makes while it answers a crowd together; the crowd carries on without it.

Each fate is another agent's. One call alone goes through the same in test_agent_death.py.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.faults.aftermath import ask, copied, environment, held
from tests.faults.strace import ALL, CHANGING, Step, Strace, steps
from tests.faults.test_agent_death import network
from tests.real.node import PATIENCE, Node, Said, missing, wait_until

_MISSING = missing({"strace": "strace"})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

FULL = os.environ.get("UNIPAM_CRASH_MATRIX") == "full"
STRACE = Strace(ALL if FULL else CHANGING)
CROWD = [("ADD", f"new{n}") for n in range(4)] + [("DEL", f"old{n}") for n in range(3)]
FEW = 40
"""How many deaths there are, evenly spread, unless all are wanted."""


class Play:
    """One agent, and a crowd that asks it while it sleeps."""

    def __init__(self, root: Path, template: Path) -> None:
        root.mkdir()
        self.node = Node(root)
        self.node.install()
        self.log = root / "steps.log"
        self.conf = root / "conf.json"
        self.conf.write_text(json.dumps(network(self.node.data_dir)))
        copied(template, self.node.data_dir)

    def run(self, step: Step | None = None) -> tuple[list[Said], bool]:
        """What the crowd was told, and whether the agent died."""
        agent = self.node.start_agent("--sweep", "0", "--flush")
        try:
            self._finish(self._call("ADD", "warm"))
            with STRACE.attached(agent.pid, self.log, step):
                agent.send_signal(signal.SIGSTOP)
                calls = [self._call(*each) for each in CROWD]
                wait_until(lambda: all(map(_asks, calls)))
                agent.send_signal(signal.SIGCONT)
                said = [self._finish(call) for call in calls]
                self._finish(self._call("VERSION", ""))  # answered when all of the crowd's calls are done
        finally:
            agent.terminate()
            agent.wait(PATIENCE)
        return said, agent.returncode == -signal.SIGKILL

    def _call(self, verb: str, container: str) -> subprocess.Popen[bytes]:
        launcher = str(self.node.bin_dir / "host-local")
        with self.conf.open("rb") as given:
            return subprocess.Popen([launcher], stdin=given, stdout=subprocess.PIPE, env=environment(verb, container))

    def _finish(self, call: subprocess.Popen[bytes]) -> Said:
        assert call.stdout
        with call.stdout:
            told = call.stdout.read()
        return Said(call.wait(PATIENCE), told)

    def judge(self, said: list[Said]) -> None:
        """Whatever each was told is true, and everybody can go on."""
        found = held(self.node.data_dir)
        for (verb, container), told in zip(CROWD, said, strict=True):
            mine = {address for _, address, owner in found if owner == f"{container}/eth0"}
            if told.code == 0:
                assert mine == (set() if verb == "DEL" else set(told.addresses))
            else:
                assert (verb, "ips" in told.document) == ("ADD", True), "it heard its answer, but not that it arrived"
        for _, container in CROWD:
            ask("DEL", network(self.node.data_dir), container)
        assert {owner for _, _, owner in held(self.node.data_dir)} == {"other/eth0", "warm/eth0"}


def _asks(call: subprocess.Popen[bytes]) -> bool:
    """Whether a launcher waits for its answer (nothing else makes it poll), or is through, its agent being dead."""
    return call.poll() is not None or "poll" in Path(f"/proc/{call.pid}/wchan").read_text()


def test_death_of_the_agent_in_the_middle_of_a_crowd(tmp_path: Path) -> None:
    template = tmp_path / "template"
    for container in ("other", *(name for verb, name in CROWD if verb == "DEL")):
        ask("ADD", network(template), container)

    def play(number: int, step: Step | None = None) -> tuple[Play, bool]:
        one = Play(tmp_path / f"{number}", template)
        said, died = one.run(step)
        one.judge(said)
        return one, died

    every = steps(play(-1)[0].log)
    chosen = every if FULL else every[:: max(1, len(every) // FEW)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        deaths = sum(died for _, died in pool.map(play, range(len(chosen)), chosen))
    assert deaths >= 0.8 * len(chosen), "two runs differ by how the crowd fell into groups"
    logging.getLogger(__name__).info("%d agents died at %d of %d calls", deaths, len(chosen), len(every))
