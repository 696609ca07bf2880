"""The command that gives a node back dies at every system call that can change the world.

After each death the next pod is told to try again or gets an address that nobody has, whichever plugin is in place;
and the command, given again, completes what it had begun.

Set UNIPAM_CRASH_MATRIX=full to let it die at every call about its files, those that only look or lock included.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.faults.aftermath import environment, held
from tests.faults.strace import CHANGING, Step, Strace, steps
from tests.faults.test_crash_matrix import FULL, conf
from tests.real.node import PLUGINS, UNIPAM, Said, missing

from unipam.cni.install import install

_MISSING = missing({"strace": "strace", "containernetworking-plugins": str(PLUGINS / "host-local")})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

CALLS = CHANGING if FULL else ",".join(c for c in CHANGING.split(",") if c not in {"close", "fcntl", "mmap", "munmap"})
PODS = ("old", "new-1", "new-2")
"""Who lives on the node when it is given back: one that host-local served, two that unipam did."""


class Node:
    """A node of its own below `root`, without an agent."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin_dir = root / "bin"
        self.data_dir = root / "networks"
        self.living: dict[str, str] = {}

    def prepare(self) -> None:
        """Let host-local serve pods, then unipam; one of each has ended."""
        self.bin_dir.mkdir(parents=True)
        shutil.copy2(PLUGINS / "host-local", self.bin_dir)
        self.live("gone")
        self.live("old")
        install(self.bin_dir, self.root / "none.sock", ["host-local"])
        for pod in ("new-1", "gone-too", "new-2"):
            self.live(pod)
        for pod in ("gone", "gone-too"):
            self.end(pod)
        assert sorted(self.living) == sorted(PODS)

    def like(self, template: Node) -> Node:
        """Make this node a copy of another."""
        shutil.copytree(template.root, self.root)
        self.living = dict(template.living)
        return self

    def call(self, verb: str, pod: str) -> Said:
        network = json.dumps(conf(self.data_dir, "10.1.0.0/28") | {"cniVersion": "1.0.0"}).encode()
        plugin = [str(self.bin_dir / "host-local")]
        done = subprocess.run(plugin, input=network, stdout=subprocess.PIPE, env=environment(verb, pod), check=False)
        return Said(done.returncode, done.stdout)

    def live(self, pod: str) -> bool:
        """Start a pod; whether it got its address at once. It must be nobody else's."""
        said = self.call("ADD", pod)
        if said.code:
            assert said.document["code"] == 11, said
            assert "given back" in said.document["msg"]
            return False
        (address,) = said.addresses
        assert address not in self.living.values()
        self.living[pod] = address
        return True

    def end(self, pod: str) -> None:
        """End a pod."""
        assert self.call("DEL", pod) == Said(0, b"")
        del self.living[pod]

    def command(self) -> list[str]:
        where = ["--bin-dir", str(self.bin_dir), "--data-dir", str(self.data_dir)]
        return [UNIPAM, "cni", "uninstall", "--give-back", *where]

    def directory(self) -> dict[str, str]:
        """Who has which address, as host-local reads it."""
        found = [file for file in (self.data_dir / "net").iterdir() if file.name[0].isdigit()]
        return {file.read_bytes().decode().partition("\r\n")[0]: file.name for file in found}

    def given_back(self) -> None:
        """The original is in place and knows of all that live; and nothing else lies about."""
        assert os.listdir(self.bin_dir) == ["host-local"]
        assert (self.bin_dir / "host-local").read_bytes() == (PLUGINS / "host-local").read_bytes()
        assert self.directory() == self.living
        names = {file.name for file in (self.data_dir / "net").iterdir()} - set(self.living.values())
        assert names == {"lock", "last_reserved_ip.0", "unipam.given-back"}
        assert held(self.data_dir) == frozenset(), "the journal is sound, and ends with nothing held"

    def watched(self) -> Strace:
        """Everything that the command changes: the ledger, the directory and its drafts, the binaries."""
        net, names = self.data_dir / "net", [*self.living.values(), "10.1.0.2", "10.1.0.5", "last_reserved_ip.0"]
        names += ["unipam.given-back", "unipam.adopted", "lock"]
        files = [net, *(net / name for name in names), *(net / f".{name}.new" for name in names)]
        ledger = [self.data_dir / f"unipam.db{end}" for end in ("", "-wal", "-shm")]
        plugin = [self.bin_dir / name for name in ("host-local", "host-local.before-unipam")]
        links = [self.bin_dir / f".{path.name}.unipam-held" for path in plugin]
        return Strace(CALLS, tuple(map(str, [self.data_dir, self.bin_dir, *files, *ledger, *plugin, *links])))

    def give_back(self, step: Step | None = None) -> bool:
        """Run the command, to its end or to the step; whether it died."""
        with (self.root / "out").open("wb") as out:
            return self.watched().run(
                self.command(), self.root / "log", step, stdin=b"", stdout=out.fileno(), env=dict(os.environ)
            )


def test_death_of_giving_back(tmp_path: Path) -> None:
    template = Node(tmp_path / "template")
    template.prepare()
    whole = Node(tmp_path / "whole").like(template)
    assert not whole.give_back()
    whole.given_back()
    every = steps(whole.root / "log")
    seen: Counter[str] = Counter()

    def die(number: int) -> bool:
        node = Node(tmp_path / f"run-{number}").like(template)
        died = node.give_back(every[number])
        original = (node.bin_dir / "host-local").stat().st_size > 1 << 20
        served = node.live("early")
        seen[f"{'host-local' if original else 'unipam'} {'serves' if served else 'says: try again'}"] += 1
        if served:
            node.end("new-1")  # whoever serves knows who lives
        subprocess.run(node.command(), check=True, stdout=subprocess.DEVNULL)
        node.given_back()
        node.live("late")
        for pod in list(node.living):
            node.end(pod)
        assert node.directory() == {}
        shutil.rmtree(node.root)
        return died

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        deaths = sum(pool.map(die, range(len(every))))
    assert deaths >= 0.95 * len(every), "two runs differ by a few calls at the most"
    assert set(seen) == {"unipam serves", "unipam says: try again", "host-local serves"}
    logging.getLogger(__name__).info("died %d times, once at each of %d calls: %s", deaths, len(every), dict(seen))
