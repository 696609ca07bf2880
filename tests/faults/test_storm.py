"""64 callers at once, 20,000 calls, agents that die and are replaced meanwhile: every promise is kept.

Most callers ask an agent that is killed again and again, some a second agent on the same ledger, some none.

UNIPAM_STORM_CALLS sets another number of calls.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections import defaultdict
from pathlib import Path

from tests.faults.aftermath import Held, held
from tests.faults.callers import Crowd, Network, started
from tests.real.node import PATIENCE, Node, wait_until

from unipam.model.records import Entry

CALLERS = 64
CALLS = int(os.environ.get("UNIPAM_STORM_CALLS", "20000"))
NETWORKS = [
    Network("wide", ("10.2.0.0/16",)),
    Network("resting", ("10.3.0.0/22",), cooldown=1),
    Network("scarce", ("10.4.0.0/28",), scarce=True),
    Network("dual", ("10.5.0.0/20", "fd05::/64")),
]
DEATHS = (0.15, 0.3, 0.7, 0.85)
"""After which parts of all calls the agent is killed."""

UPGRADES = (0.45, 0.6)
"""After which parts another agent takes over, and the former is asked to end."""

SWEEP = ("--sweep", "1")


class Storm:
    """The agent's fate while the callers call."""

    def __init__(self, node: Node, crowd: Crowd) -> None:
        self._node = node
        self._crowd = crowd
        self.agent = node.start_agent(*SWEEP)

    def rage(self) -> None:
        """Bring about every death and upgrade in its turn."""
        for part in sorted(DEATHS + UPGRADES):
            wait_until(lambda part=part: self._crowd.made >= part * CALLS, seconds=600)
            (self._upgrade if part in UPGRADES else self._kill)()

    def _kill(self) -> None:
        self.agent.kill()
        self.agent.wait()
        self.agent = self._node.start_agent(*SWEEP)

    def _upgrade(self) -> None:
        former, self.agent = self.agent, self._node.start_agent(*SWEEP)
        end(former)

    def end(self) -> None:
        """Let the last agent end."""
        end(self.agent)


def end(agent: subprocess.Popen[bytes]) -> None:
    """Ask an agent to end; it does so in good order."""
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(PATIENCE) == 0


def weather(storm: Storm, crowd: Crowd) -> None:
    """Let the callers call, and the agents die, until all is over."""
    threads = list(started(crowd, CALLERS))
    try:
        storm.rage()
    finally:
        for thread in threads:
            thread.join()


def installed(root: Path, data_dir: Path) -> Node:
    """A plugin directory with a socket of its own, on the ledger of them all."""
    root.mkdir()
    node = Node(root)
    node.data_dir = data_dir
    node.install()
    return node


def expected(crowd: Crowd) -> Held:
    """What the living hold, as they were told."""
    return frozenset(
        (network.name, address, f"{container}/eth0")
        for container, (network, addresses) in crowd.acknowledged.items()
        if container in crowd.living
        for address in addresses
    )


def test_storm(tmp_path: Path) -> None:
    node, other, agentless = (installed(tmp_path / name, tmp_path / "networks") for name in ("node", "other", "cold"))
    (tmp_path / "netns").mkdir()
    crowd = Crowd({node.bin_dir: 0.9, other.bin_dir: 0.09, agentless.bin_dir: 0.01}, tmp_path, NETWORKS, CALLS)
    storm = Storm(node, crowd)
    try:
        with other.agent(*SWEEP):  # a second one by mistake, all the while
            weather(storm, crowd)
        assert crowd.complaints == []
        wait_until(lambda: node.held() == {at: owner.removesuffix("/eth0") for _, at, owner in expected(crowd)})
    finally:
        storm.end()
    logging.getLogger(__name__).info("%s", dict(crowd.outcomes))
    assert held(node.data_dir) == expected(crowd), "the journal is sound, and the living have what they were given"
    assert (tmp_path / "stderr").read_bytes() == b""
    assert "Traceback" not in node.log() + other.log()
    told_true(crowd, node.journal())
    assert {"ADD", "ADD: exhausted", "ADD: nobody heard", "ADD: killed", "DEL", "CHECK"} <= set(crowd.outcomes)


def told_true(crowd: Crowd, journal: list[Entry]) -> None:
    """Every acknowledged lease was its owner's until the owner let go of it."""
    lives: dict[str, list[str]] = defaultdict(list)
    for entry in journal:
        if entry.verb in {"allocate", "undo", "release", "break-glass"}:
            lives[entry.owner.holder].append(entry.verb if entry.verb != "release" else f"{entry.verb}: {entry.reason}")
    for container, (network, addresses) in crowd.acknowledged.items():
        last = [] if container in crowd.living else ["release: DEL"] * len(addresses)
        assert lives[container] == ["allocate"] * len(addresses) + last, (network.name, container)
