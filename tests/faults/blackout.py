"""The judge of power failures: lets the power fail at every moment of a recording, and looks at what is there then."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.faults.disk import Disk, Everything, Luck
from tests.faults.recorder import Event, happen

from unipam.store.api import Tx
from unipam.store.sqlite import SqliteStore

_log = logging.getLogger(__name__)

IMAGES = int(os.environ.get("UNIPAM_POWER_CUTS", "1"))
"""How many images are made of each moment."""

_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where images are opened: syncs cost nothing there."""


class Promise(NamedTuple):
    """Somebody was told that this holder has something from now on, or nothing. Times are nanoseconds."""

    holder: str
    has: bool
    asked: int
    told: int = sys.maxsize


class State(NamedTuple):
    """What a ledger says: all of it, as a digest, and who holds something."""

    digest: bytes
    holders: frozenset[str]


Holders = Callable[[Tx], frozenset[str]]
"""Who holds something in a ledger; fails when its parts do not agree."""


def state(path: Path, holders: Holders) -> State:
    """Open a ledger as unipam does after the boot; it must be sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(str(path))
    try:
        assert store.check() == []
        with store.reading() as tx:
            found = holders(tx)
    finally:
        store.close()
    with closing(sqlite3.connect(path)) as connection:
        return State(hashlib.sha256("\n".join(connection.iterdump()).encode()).digest(), found)


@dataclass
class Trial:
    """What was recorded of the ledger at `path`, below `root`, and what was promised meanwhile."""

    root: Path
    path: Path
    holders: Holders
    recorded: list[Event]
    promises: list[Promise]
    dice: random.Random
    look: Callable[[Path, State], None] = lambda path, found: None
    """What else is to be seen of one image in a hundred, which takes its time."""

    history: dict[bytes, int] = field(default_factory=dict)
    """Every state that there was, with its number."""

    images: int = 0
    lost: int = 0
    """How many images were not of the last state."""

    broken: list[str] = field(default_factory=list)
    """Promises that images did not keep."""

    def run(self) -> None:
        """Let the power fail at every moment."""
        disk = Disk(self.root)
        for event in sorted(self.recorded, key=lambda event: event.since):
            happen(disk, event)
            if event.call != "heard":
                self._fail(disk, event)
        _log.info("%d images of %d states, %d of an earlier one", self.images, len(self.history), self.lost)

    def _fail(self, disk: Disk, event: Event) -> None:
        with self._image(disk, Everything()) as path:
            last = self.history.setdefault(state(path, self.holders).digest, len(self.history))
        for _ in range(IMAGES):
            with self._image(disk, Luck(self.dice, event.since)) as path:
                found = state(path, self.holders)
                assert found.digest in self.history, f"after {event[:4]}: a state that there never was"
                if self.images % 100 == 0:
                    self.look(path, found)
            self.images += 1
            self.lost += self.history[found.digest] < last
            self.broken += [f"{promise} after {event[:4]}" for promise in self._broken(found, event.since)]

    def _broken(self, found: State, now: int) -> list[Promise]:
        leaving = {promise.holder for promise in self.promises if not promise.has and promise.asked <= now}
        told = [promise for promise in self.promises if promise.told <= now]
        return [p for p in told if (p.holder in found.holders) is not p.has and not (p.has and p.holder in leaving)]

    @contextmanager
    def _image(self, disk: Disk, luck: Luck) -> Iterator[Path]:
        """What unipam finds after the boot; what it does not get along with is kept beside the root."""
        with tempfile.TemporaryDirectory(prefix="unipam-", dir=_MEMORY) as place:
            image = Path(place) / "image"
            disk.put(luck, image)
            path = image / self.path.relative_to(self.root)
            memory = path.with_name(f"{path.name}-shm")
            if memory.exists():
                memory.write_bytes(self.dice.randbytes(32768))  # is mapped: nothing tells what of it reached the disk
            try:
                yield path
            except BaseException:
                shutil.copytree(image, self.root.with_name("image"))
                raise
