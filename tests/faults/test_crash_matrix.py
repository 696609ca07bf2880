"""A call dies at every system call that can change the world: nothing is leaked, doubled or corrupt, ever.

Set UNIPAM_CRASH_MATRIX=full to let it die at every system call of its life, from the first of the launcher on.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.faults.aftermath import Held, ask, copied, environment, held, nobody
from tests.faults.strace import ALL, CHANGING, Step, Strace, steps
from tests.real.node import Node, missing

_MISSING = missing({"strace": "strace"})
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(_MISSING), reason=_MISSING)]

FULL = os.environ.get("UNIPAM_CRASH_MATRIX") == "full"
PARALLEL = os.cpu_count() or 1


def conf(data_dir: Path, *ranges: str, **more: Any) -> dict[str, Any]:
    """A network `net` whose ledger is in `data_dir`."""
    ipam = {"type": "host-local", "dataDir": str(data_dir), "ranges": [[{"subnet": each}] for each in ranges]}
    return {"cniVersion": "1.1.0", "name": "net", "ipam": ipam | more.pop("ipam", {}), **more}


class Scene(NamedTuple):
    """A call in a situation. `prepare` makes the data directory; the call is `verb` by the container `actor`."""

    verb: str
    prepare: Callable[[Path], None] = lambda _: None
    ranges: tuple[str, ...] = ("10.1.0.0/24",)
    more: dict[str, Any] = {}  # noqa: RUF012 (nobody changes it)
    deaf: bool = False
    """The caller is gone before it can hear the answer."""

    def conf(self, data_dir: Path) -> dict[str, Any]:
        return conf(data_dir, *self.ranges, **self.more)


def neighbours(data_dir: Path) -> None:
    """Leases with a gap between them."""
    for container in ("a", "b", "c", "actor", "d"):
        ask("ADD", conf(data_dir, "10.1.0.0/24", "fd00::/64"), container)
    ask("DEL", conf(data_dir), "b")


def without_actor(data_dir: Path) -> None:
    neighbours(data_dir)
    ask("DEL", conf(data_dir), "actor")


def all_cooling(data_dir: Path) -> None:
    """A pool of one address, and that is cooling."""
    network = conf(data_dir, "10.1.0.0/30", ipam={"cooldown": 3600})
    ask("ADD", network, "before")
    ask("DEL", network, "before")


def host_local(data_dir: Path) -> None:
    """What host-local and its predecessors leave: leases, one without an interface, one empty; a cursor; a lock."""
    network = data_dir / "net"
    network.mkdir(parents=True)
    for name, text in {
        "10.1.0.2": "actor\r\neth0", "10.1.0.3": "b\r\neth0", "10.1.0.5": "legacy", "10.1.0.9": "",
        "last_reserved_ip.0": "10.1.0.5", "lock": "",
    }.items():  # fmt: skip
        (network / name).write_bytes(text.encode())


VALID = {"cni.dev/valid-attachments": [{"containerID": each, "ifname": "eth0"} for each in ("a", "d")]}
COLD = {
    "the first ADD of all": Scene("ADD", ranges=("10.1.0.0/24", "fd00::/64")),
    "ADD": Scene("ADD", without_actor, ("10.1.0.0/24", "fd00::/64")),
    "ADD that breaks the glass": Scene("ADD", all_cooling, ("10.1.0.0/30",), {"ipam": {"cooldown": 3600}}),
    "ADD that nobody hears of": Scene("ADD", without_actor, deaf=True),
    "ADD that adopts": Scene("ADD", host_local, more={"ipam": {"duplicateAdd": "return"}}),
    "DEL": Scene("DEL", neighbours),
    "DEL with cooldown": Scene("DEL", neighbours, more={"ipam": {"cooldown": 60}}),
    "DEL that adopts": Scene("DEL", host_local),
    "GC": Scene("GC", neighbours, more=VALID),
}


@dataclass
class Stage:
    """Where a scene is played over and over, each time on a data directory of its own."""

    node: Node
    scene: Scene
    root: Path
    seen: set[Held] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.template = self.root / "template"
        self.scene.prepare(self.template)
        self.before = held(copied(self.template, self.root / "before"))
        done = copied(self.template, self.root / "after")
        ask(self.scene.verb, self.scene.conf(done), "actor")
        self.after = held(done)
        self.others = frozenset(each for each in self.after if each[2] != "actor/eth0")

    def data_dir(self, number: int) -> Path:
        return copied(self.template, self.root / f"run-{number}")

    def strace(self, data_dir: Path) -> Strace:
        if FULL:
            return Strace(ALL)
        net = [str(path) for path in (data_dir, data_dir / "net", *sorted(data_dir.glob("net/*")))]
        ledger = [str(data_dir / f"unipam.db{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]
        note = str(data_dir / "net" / "unipam.adopted")
        return Strace(CHANGING, (*net, *ledger, note, str(data_dir) + ".out"))

    def play(self, data_dir: Path, step: Step | None = None) -> bool:
        """Run the call cold, to its end or to a step; whether it died."""
        network = json.dumps(self.scene.conf(data_dir)).encode()
        env = environment(self.scene.verb, "actor")
        log = data_dir.with_suffix(".log")
        launcher = [str(self.node.bin_dir / "host-local")]
        with data_dir.with_suffix(".out").open("wb") as out:
            stdout = nobody() if self.scene.deaf else out.fileno()
            died = self.strace(data_dir).run(launcher, log, step, stdin=network, stdout=stdout, env=env)
        if self.scene.deaf:
            os.close(stdout)
        return died

    def judge(self, data_dir: Path) -> None:
        """What the death left is what was before or what should be, and the survivors can go on from there."""
        found = held(data_dir)
        assert found in {self.before, self.after}
        self.seen.add(found)
        network = self.scene.conf(data_dir)
        if self.scene.verb != "ADD":
            ask(self.scene.verb, network, "actor")
            assert held(data_dir) == self.after
            return
        ask("DEL", network, "actor")
        assert held(data_dir) == self.others
        ask("ADD", network, "actor")
        assert len(held(data_dir) - self.others) == len(self.scene.ranges)
        ask("DEL", network, "actor")
        assert held(data_dir) == self.others

    def tidy(self, data_dir: Path) -> None:
        """Nothing lies about that was not there before and is not the ledger or its reserve."""
        names = {path.name for path in data_dir.iterdir()} - {"unipam.db", "unipam.db-reserve", "net"}
        assert names == set(), "the last to close a ledger leaves nothing beside it but its reserve"
        for path in sorted(self.template.glob("net/*")):
            assert (data_dir / "net" / path.name).read_bytes() == path.read_bytes()
        adopted = {path.name for path in data_dir.glob("net/*")} - {path.name for path in self.template.glob("net/*")}
        assert adopted <= {"unipam.adopted"}
        shutil.rmtree(data_dir)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path)
    made.install()
    return made


@pytest.mark.parametrize("name", COLD)
def test_death_of_a_cold_call(node: Node, name: str) -> None:
    stage = Stage(node, COLD[name], node.root / "stage")
    whole = stage.data_dir(0)
    assert not stage.play(whole)
    every = steps(whole.with_suffix(".log"))
    stage.judge(whole)

    def die(number: int) -> bool:
        data_dir = stage.data_dir(number)
        died = stage.play(data_dir, every[number - 1])
        stage.judge(data_dir)
        stage.tidy(data_dir)
        return died

    with ThreadPoolExecutor(PARALLEL) as pool:
        deaths = sum(pool.map(die, range(1, len(every) + 1)))
    assert deaths >= 0.95 * len(every), "two runs differ by a few calls at the most"
    assert stage.seen == {stage.before, stage.after}, "some died too early, some too late to prevent it"
    logging.getLogger(__name__).info("%s: died %d times, once at each of %d calls", name, deaths, len(every))
