"""A crowd of container runtimes in one process: each spawns plugins, remembers what it was told, and judges it."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.aftermath import environment, nobody
from tests.real.node import Said

BUSY = 11
"""The CNI code of "try again later"."""


@dataclass
class Network:
    """A network that the crowd uses; `scarce` if it has fewer addresses than callers, `cooldown` in seconds."""

    name: str
    ranges: tuple[str, ...]
    scarce: bool = False
    cooldown: int = 0

    def conf(self, data_dir: Path, **more: Any) -> bytes:
        sets = [[{"subnet": each}] for each in self.ranges]
        ipam = {"type": "host-local", "dataDir": str(data_dir), "ranges": sets, "cooldown": self.cooldown}
        return json.dumps({"cniVersion": "1.0.0", "name": self.name, "ipam": ipam, **more}).encode()


@dataclass
class Crowd:
    """What the callers share: how many calls are left, and who was given what.

    `plugins` are the directories in which plugins are found, with how often each is used.
    """

    plugins: dict[Path, float]
    root: Path
    networks: list[Network]
    calls: int
    made: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    acknowledged: dict[str, tuple[Network, list[str]]] = field(default_factory=dict)
    """Every ADD that ever succeeded, by container: what it was given."""

    living: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _owners: dict[tuple[str, str], str] = field(default_factory=dict)
    _released: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        return self.root / "networks"

    @property
    def namespaces(self) -> Path:
        return self.root / "netns"

    def next_call(self) -> bool:
        with self._lock:
            self.made += 1
            return self.made <= self.calls

    def note(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1

    def complain(self, *what: object) -> None:
        with self._lock:
            self.complaints.append(" ".join(map(str, what)))

    def take(self, network: Network, container: str, addresses: list[str]) -> None:
        """A container was given addresses: nobody else may have them, and they must have rested."""
        now = time.time()
        with self._lock:
            for address in addresses:
                place = (network.name, address)
                if place in self._owners:
                    self.complaints.append(f"{place} was given to {container}, and {self._owners[place]} has it")
                if now < self._released.get(place, 0.0) + network.cooldown:
                    self.complaints.append(f"{place} was given to {container} within its cooldown")
                self._owners[place] = container
            self.acknowledged[container] = (network, addresses)
            self.living.add(container)

    def give_up(self, container: str) -> None:
        """A container's end begins: from now on others may be given its addresses."""
        network, addresses = self.acknowledged[container]
        now = time.time()
        with self._lock:
            self.living.discard(container)
            for address in addresses:
                del self._owners[network.name, address]
                self._released[network.name, address] = now


class Caller:
    """One runtime with containers of its own."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self._crowd = crowd
        self._dice = random.Random(number)
        self._names = (f"c{number}-{index}" for index in itertools.count())
        self._mine: list[str] = []
        self._left: list[str] = []
        """Containers whose runtime died in the middle of an ADD, and whose namespaces are still there."""

    def run(self) -> None:
        """Call until the crowd has called enough."""
        while self._crowd.next_call():
            try:
                self._clear_away()
                self._one()
            except Exception as error:  # noqa: BLE001 (a caller must not die silently: the test reads the complaints)
                self._crowd.complain(type(error).__name__, error)
        for container in self._left:
            self._gone(container)

    def _clear_away(self) -> None:
        """Remove a namespace that a dead runtime left, some ten calls after its death.

        Nobody removes it together with the runtime. An agent that is killed as well, before it undoes the ADD, has then
        seen the namespace, without which the lease would rightly stay in doubt (`unipam.ledger.reconcile`).
        """
        if self._left and self._dice.random() < 0.1:
            self._gone(self._left.pop(0))

    def _one(self) -> None:
        dice = self._dice.random()
        if dice < 0.01:
            self._die_deaf()
        elif dice < 0.015:
            self._die_early()
        elif not self._mine or (dice < 0.45 and len(self._mine) < 6):
            self._add()
        elif dice < 0.5:
            self._delete(next(self._names), known=False)
        elif dice < 0.6:
            self._again(self._dice.choice(self._mine))
        elif dice < 0.75:
            self._check(self._dice.choice(self._mine))
        else:
            self._delete(self._mine.pop(self._dice.randrange(len(self._mine))))

    # ---- what a runtime does

    def _add(self) -> None:
        network, container = self._dice.choice(self._crowd.networks), self._born()
        said = self._call("ADD", network, container)
        if said.code == 0:
            self._crowd.note("ADD")
            self._crowd.take(network, container, said.addresses)
            self._mine.append(container)
            return
        self._refused(network, said)
        self._until_done("DEL", network, container)  # as every runtime does
        self._gone(container)

    def _refused(self, network: Network, said: Said) -> None:
        document = said.document
        message = document.get("msg", "")
        if "ips" in document:
            self._crowd.note("ADD: the agent died before it heard that its answer had arrived")
        elif "no IP addresses available" in message and network.scarce:
            self._crowd.note("ADD: exhausted")
        elif document.get("code") == BUSY:
            self._crowd.note("ADD: busy")
        else:
            self._crowd.complain("ADD in", network.name, said)

    def _delete(self, container: str, *, known: bool = True) -> None:
        network = self._crowd.acknowledged[container][0] if known else self._dice.choice(self._crowd.networks)
        if known:
            self._crowd.give_up(container)
        self._until_done("DEL", network, container)
        self._crowd.note("DEL" if known else "DEL of nothing")
        self._gone(container)

    def _again(self, container: str) -> None:
        said = self._call("ADD", self._crowd.acknowledged[container][0], container)
        if said.code == 1 and "duplicate allocation is not allowed" in said.document.get("msg", ""):
            self._crowd.note("ADD again: refused")
        else:
            self._tolerate_busy("ADD again", container, said)

    def _check(self, container: str) -> None:
        network, addresses = self._crowd.acknowledged[container]
        previous = {"ips": [{"address": f"{address}/{128 if ':' in address else 32}"} for address in addresses]}
        said = self._call("CHECK", network, container, prevResult=previous)
        if said == Said(0, b""):
            self._crowd.note("CHECK")
        else:
            self._tolerate_busy("CHECK", container, said)

    def _until_done(self, verb: str, network: Network, container: str) -> None:
        """A kubelet asks again until a sandbox is stopped."""
        while (said := self._call(verb, network, container)) != Said(0, b""):
            if not self._tolerate_busy(verb, container, said):
                return

    def _tolerate_busy(self, verb: str, container: str, said: Said) -> bool:
        if said.code == 1 and said.document.get("code") == BUSY:
            self._crowd.note(f"{verb}: busy")
            return True
        self._crowd.complain(verb, container, said)
        return False

    # ---- what happens to a runtime

    def _die_deaf(self) -> None:
        """It is gone before it reads the answer, and never comes back: nobody knows of the address."""
        container = self._born()
        code = self._finish(self._spawn("ADD", self._dice.choice(self._crowd.networks), container, nobody()))
        self._crowd.note("ADD: nobody heard")
        if code == 0:
            self._crowd.complain(container, "was told to nobody, and that was taken for a success")
        self._gone(container)

    def _die_early(self) -> None:
        """Its end takes the plugin with it, at any moment."""
        container = self._born()
        pid = self._spawn("ADD", self._dice.choice(self._crowd.networks), container, os.open(os.devnull, os.O_WRONLY))
        time.sleep(self._dice.random() * 0.01)  # any moment will do
        os.kill(pid, signal.SIGKILL)
        self._finish(pid)
        self._crowd.note("ADD: killed")
        self._left.append(container)

    def _born(self) -> str:
        container = next(self._names)
        (self._crowd.namespaces / container).touch()
        return container

    def _gone(self, container: str) -> None:
        (self._crowd.namespaces / container).unlink(missing_ok=True)

    # ---- processes

    def _call(self, verb: str, network: Network, container: str, **more: Any) -> Said:
        reading, writing = os.pipe()
        pid = self._spawn(verb, network, container, writing, **more)
        with open(reading, "rb") as answer:
            stdout = answer.read()
        return Said(self._finish(pid), stdout)

    def _spawn(self, verb: str, network: Network, container: str, stdout: int, **more: Any) -> int:
        plugins = self._crowd.plugins
        (directory,) = self._dice.choices(list(plugins), list(plugins.values()))
        env = environment(verb, container) | {"CNI_NETNS": str(self._crowd.namespaces / container)}
        reading, writing = os.pipe()
        os.write(writing, network.conf(self._crowd.data_dir, **more))
        os.close(writing)
        path = str(directory / "host-local")
        actions = [
            (os.POSIX_SPAWN_DUP2, reading, 0),
            (os.POSIX_SPAWN_DUP2, stdout, 1),
            (os.POSIX_SPAWN_OPEN, 2, str(self._crowd.root / "stderr"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
        ]
        try:
            return os.posix_spawn(path, [path], env, file_actions=actions)
        finally:
            os.close(reading)
            os.close(stdout)

    def _finish(self, pid: int) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def started(crowd: Crowd, callers: int) -> Iterator[threading.Thread]:
    """The callers at work, a thread each."""
    for number in range(callers):
        thread = threading.Thread(target=Caller(crowd, number).run, name=f"caller-{number}")
        thread.start()
        yield thread
