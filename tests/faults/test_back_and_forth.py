"""Pods start and end all the while a node goes over to unipam and back to the real host-local, again and again.

No address is ever held by two pods, none that lives is lost, and what is left in the end is what lives.
UNIPAM_BACK_AND_FORTH sets how often it goes there and back.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.faults.aftermath import environment, held
from tests.real.node import PATIENCE, PLUGINS, UNIPAM, Node, Said, missing, wait_until

_MISSING = missing({"containernetworking-plugins": str(PLUGINS / "host-local")})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

TURNS = int(os.environ.get("UNIPAM_BACK_AND_FORTH", "6"))
CALLERS = 8
NETWORKS = {"wide": "10.2.0.0/20", "scarce": "10.4.0.0/28"}
"""The second has 13 addresses for up to twice as many pods: what is let go of is taken at once."""


class Pods:
    """The pods of a node: who was told which address, and what is wrong with that."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.living: dict[str, tuple[str, str]] = {}
        self.complaints: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._owners: dict[tuple[str, str], str] = {}

    def caller(self, number: int) -> None:
        """Start and end pods as one runtime does, one call after the other."""
        dice, born, mine = random.Random(number), 0, []
        while not self.over.is_set():
            try:
                if len(mine) < 3 and (not mine or dice.random() < 0.5):
                    born += 1
                    pod = f"p{number}x{born}"
                    if self._start(pod, dice.choice(list(NETWORKS))):
                        mine.append(pod)
                else:
                    self._end(mine.pop(dice.randrange(len(mine))))
            except Exception as error:  # noqa: BLE001 (a caller must not die silently: the test reads the complaints)
                self.complaints.append(f"{type(error).__name__} {error}")

    def _start(self, pod: str, network: str) -> bool:
        said = self._call("ADD", pod, network)
        if said.code:
            self._refused("ADD", said)
            self._until_done(pod, network)  # as every runtime does
            return False
        (address,) = said.addresses
        with self._lock:
            self.outcomes[f"ADD by {self._server(said)}"] += 1
            if (network, address) in self._owners:
                self.complaints.append(f"{address} was given to {pod}, and {self._owners[network, address]} has it")
            self._owners[network, address] = pod
            self.living[pod] = (network, address)
        return True

    def _server(self, said: Said) -> str:
        return "host-local" if "dns" in said.document else "unipam"  # which leaves an empty one out

    def _end(self, pod: str) -> None:
        network, address = self.living.pop(pod)
        with self._lock:
            del self._owners[network, address]
        self._until_done(pod, network)
        self.outcomes["DEL"] += 1

    def _until_done(self, pod: str, network: str) -> None:
        while (said := self._call("DEL", pod, network)) != Said(0, b""):
            self._refused("DEL", said)
            time.sleep(0.05)  # a kubelet is slower still

    def _refused(self, verb: str, said: Said) -> None:
        message, code = said.document.get("msg", ""), said.document.get("code")
        if code == 11:
            self.outcomes[f"{verb}: {'given back' if 'given back' in message else 'busy'}"] += 1
        elif verb == "ADD" and "no IP addresses available" in message:
            self.outcomes["ADD: exhausted"] += 1
        else:
            self.complaints.append(f"{verb} {said}")

    def _call(self, verb: str, pod: str, network: str) -> Said:
        ranges = {"ranges": [[{"subnet": NETWORKS[network]}]]}
        ipam = {"type": "host-local", "dataDir": str(self.node.data_dir), **ranges}
        conf = json.dumps({"cniVersion": "1.0.0", "name": network, "ipam": ipam}).encode()
        plugin = [str(self.node.bin_dir / "host-local")]
        done = subprocess.run(
            plugin, input=conf, stdout=subprocess.PIPE, env=environment(verb, pod), timeout=PATIENCE, check=False
        )
        return Said(done.returncode, done.stdout)


def unipam(*words: str | Path) -> None:
    """A command of the operator, given again while the node is too busy for it."""
    deadline = time.monotonic() + 10 * PATIENCE
    while (done := subprocess.run([UNIPAM, *map(str, words)], capture_output=True, text=True, check=False)).returncode:
        assert "try again" in done.stderr, done.stderr
        assert time.monotonic() < deadline


def go_over(node: Node) -> None:
    """To unipam: the launcher first, then every network by name."""
    unipam("cni", "install", "--bin-dir", node.bin_dir, "--socket", node.socket, "--name", "host-local")
    for network in NETWORKS:
        unipam("adopt", "host-local", "--data-dir", node.data_dir, "--network", network)


def go_back(node: Node) -> None:
    """To host-local, in one step."""
    unipam("cni", "uninstall", "--give-back", "--bin-dir", node.bin_dir, "--data-dir", node.data_dir)


def left_in_files(node: Node) -> dict[str, tuple[str, str]]:
    """The pods of host-local's files, with network and address."""
    files = [(network, file) for network in NETWORKS for file in (node.data_dir / network).glob("10.*")]
    return {file.read_bytes().decode().partition("\r\n")[0]: (network, file.name) for network, file in files}


def test_back_and_forth(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.bin_dir.mkdir()
    shutil.copy2(PLUGINS / "host-local", node.bin_dir)
    pods = Pods(node)
    threads = [threading.Thread(target=pods.caller, args=(number,)) for number in range(CALLERS)]
    with node.agent("--sweep", "0"):
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: all((node.data_dir / network).is_dir() for network in NETWORKS))
            for _ in range(TURNS):
                for turn in (go_over, go_back):
                    calls = sum(pods.outcomes.values())
                    turn(node)
                    wait_until(lambda calls=calls: sum(pods.outcomes.values()) > calls + 10 * CALLERS, seconds=300)
        finally:
            pods.over.set()
            for thread in threads:
                thread.join()
    assert pods.complaints == []
    assert left_in_files(node) == pods.living
    assert held(node.data_dir) == frozenset(), "the journal is sound, and ends with nothing held"
    assert {"ADD by host-local", "ADD by unipam", "DEL", "ADD: given back"} <= set(pods.outcomes)
    assert "Traceback" not in node.log()
    logging.getLogger(__name__).info("%d turns: %s", TURNS, dict(pods.outcomes))
