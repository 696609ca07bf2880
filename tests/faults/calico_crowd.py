"""Runtimes that add and remove containers in Calico's datastore, and what they are told, compared with what it has."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import threading
import time
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.real.etcd import soon

from unipam.addr.prefix import format_address
from unipam.dialects.calico.datastore.api import Datastore, Selection
from unipam.dialects.calico.datastore.keys import BlockKey, HandleKey
from unipam.dialects.calico.documents.block import read
from unipam.dialects.calico.rules.blocks import handle_of


class Ask(Protocol):
    """Calls a plugin for a caller of this number."""

    def __call__(self, caller: int, verb: str, container: str) -> subprocess.CompletedProcess[bytes]: ...


@dataclass
class Crowd:
    """Callers that add and remove containers, until they are told to end or have made their number of calls each."""

    ask: Ask
    callers: int = 6
    calls: int | None = None
    living: dict[str, list[str]] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    """Containers whose last call failed: a runtime removes them, until it hears that they are gone."""

    told: int = 0
    failures: int = 0
    complaints: list[str] = field(default_factory=list)
    _holders: dict[str, str] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, caller: int, container: str) -> None:
        """Add a container, and look whether somebody else was told its addresses."""
        done = self.ask(caller, "ADD", container)
        with self._lock:
            if done.returncode:
                self.doubtful.add(container)
                self.failures += 1
                return
            found = [each["address"].partition("/")[0] for each in json.loads(done.stdout)["ips"]]
            self.told += 1
            for address in found:
                if other := self._holders.get(address):
                    self.complaints.append(f"{address} was told to {container} and {other}")
                self._holders[address] = container
            self.living[container] = found

    def remove(self, caller: int, container: str) -> None:
        """Remove a container."""
        with self._lock:
            for address in self.living.pop(container, []):
                self._holders.pop(address, None)
            self.doubtful.add(container)
        done = self.ask(caller, "DEL", container)
        with self._lock:
            if done.returncode:
                self.failures += 1
                return
            self.doubtful.discard(container)
            self.told += 1

    def caller(self, number: int) -> None:
        """Live as one runtime, whose containers are its own."""
        dice, own, turn = random.Random(number), list[str](), 0
        while not self._ended.is_set() and turn != self.calls:
            turn += 1
            if own and dice.random() < 0.45:
                self.remove(number, own.pop(dice.randrange(len(own))))
                continue
            container = f"c{number}-{turn}"
            self.add(number, container)
            if container in self.living:
                own.append(container)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[Sequence[threading.Thread]]:
        """Let the callers live; those that make a number of calls are waited for."""
        threads = [threading.Thread(target=self.caller, args=(number,)) for number in range(self.callers)]
        for thread in threads:
            thread.start()
        try:
            yield threads
        finally:
            if self.calls is None:
                self._ended.set()
            for thread in threads:
                thread.join()

    def await_more(self, many: int = 30) -> None:
        """Wait until so many calls more have succeeded."""
        enough, until = self.told + many, time.monotonic() + 180
        while self.told < enough:
            assert time.monotonic() < until, (self.told, enough)
            time.sleep(0.05)

    def tidy_up(self, tries: int = 1) -> None:
        """Remove what nobody knows of, as a runtime does."""
        for _ in range(tries):
            for container in sorted(self.doubtful):
                self.remove(_number(container), container)
        assert not self.doubtful

    def remove_all(self) -> None:
        """Remove every container, each by its own caller's node."""
        for container in list(self.living):
            self.remove(_number(container), container)


def _number(container: str) -> int:
    return int(container[1:].partition("-")[0])


def holdings(store: Datastore) -> dict[str, list[str]]:
    """The addresses that each handle holds, by the blocks."""
    found: dict[str, list[str]] = {}
    for item in store.list(Selection(BlockKey), soon(60)).items:
        block = read(item.document)
        for ordinal in range(len(block.allocations)):
            if (attribute := block.attribute(ordinal)) is not None:
                found.setdefault(handle_of(attribute), []).append(format_address(block.address(ordinal)))
    return found


def handles(store: Datastore) -> dict[str, dict[str, int]]:
    """What each handle counts, by block."""
    items = store.list(Selection(HandleKey), soon(60)).items
    return {item.key.id: item.document["block"] for item in items if isinstance(item.key, HandleKey)}


def compare(crowd: Crowd, store: Datastore, forgetful: Container[str] = (), kept: Container[str] = ()) -> int:
    """Compare what callers were told with what the datastore has; how many addresses nobody was told of.

    A container may hold more than it was told, where an agent died over an ADD and the launcher asked again; with its
    DEL all of it goes. Not so what those of the `forgetful` hold, whose plugin forgets a write when its answer is lost.
    Those that are `kept` are gone, but their plugin may have answered a DEL that it did not make: all is as it was.
    """
    assert crowd.complaints == []
    held, counted = holdings(store), handles(store)
    known = {handle_name(name) for name in crowd.living}
    assert known - held.keys() == set(), "what was told is nobody's"
    for name, told in crowd.living.items():
        assert set(told) <= set(held[handle_name(name)]), name
    for handle, addresses in held.items():
        container = handle.rpartition(".")[2]
        if container not in forgetful:
            assert handle in known or container in kept, "what nobody was told of is held"
            assert sum(counted.get(handle, {}).values()) >= len(addresses), handle
    return sum(map(len, held.values())) - sum(map(len, crowd.living.values()))


def handle_name(container: str) -> str:
    """Return the handle of a container."""
    return f"k8s-pod-network.{container}"
