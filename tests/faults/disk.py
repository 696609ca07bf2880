"""What a disk may hold when the power fails, given what was written and what was synced until then.

It promises what POSIX does and nothing else: a sync puts on the disk what was complete when it began, a file's own the
content and the size, a directory's own the names in it. Of all that came since, each sector of 512 bytes, each size
and each name is on the disk as it was at some time after the last sync, whatever became of the others: writes are lost,
torn and put in another order. A sector is never half of one thing and half of another.
"""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path, PurePath
from typing import Generic, TypeVar

T = TypeVar("T")

SECTOR = 512
_ZEROS = bytes(SECTOR)
_LAG = 2e7
"""Nanoseconds by which a disk that keeps to the order is behind, on average."""


class Luck:
    """How a power failure picks, from all that something was since it was synced, what it is on the disk."""

    def __init__(self, dice: random.Random, now: int) -> None:
        self._dice = dice
        self._kept = dice.choice((0.0, 0.02, 0.5, 0.98, 1.0))
        """How probable it is that something is there as it was last."""
        self.in_order = dice.random() < 0.25
        self._last = now - dice.expovariate(1 / _LAG)
        """If it keeps to the order: how far it has come."""

    def pick(self, history: list[tuple[int, T]]) -> T:
        """One of these, oldest first, each with the time when it was complete."""
        if self.in_order:
            return next((value for done, value in reversed(history) if done <= self._last), history[0][1])
        return history[-1][1] if self._dice.random() < self._kept else self._dice.choice(history)[1]


class Everything(Luck):
    """No power failure: everything is as it was last, as processes see it."""

    def __init__(self) -> None:
        pass

    def pick(self, history: list[tuple[int, T]]) -> T:
        """The last."""
        return history[-1][1]


class _History(Generic[T]):
    """What something was: on the disk for sure, and then, one after the other, since."""

    def __init__(self, synced: T) -> None:
        self.versions = [(0, synced)]

    @property
    def now(self) -> T:
        return self.versions[-1][1]

    def change(self, done: int, value: T) -> None:
        self.versions.append((done, value))

    def sync(self, begun: int) -> None:
        """What was complete by then is on the disk: something older is not there any more."""
        complete = [index for index, (done, _) in enumerate(self.versions) if done <= begun]
        del self.versions[: complete[-1]]


class File:
    """A file's content: its sectors, and how many bytes of them are its own."""

    def __init__(self) -> None:
        self._size = _History(0)
        self._sectors: dict[int, _History[bytes]] = defaultdict(lambda: _History(_ZEROS))

    def write(self, done: int, offset: int, data: bytes) -> None:
        """Data at an offset."""
        for number in range(offset // SECTOR, (offset + len(data) - 1) // SECTOR + 1):
            start = number * SECTOR - offset
            part = data[max(start, 0) : start + SECTOR]
            self._splice(done, number, max(-start, 0), part)
        if offset + len(data) > self._size.now:
            self._size.change(done, offset + len(data))

    def _splice(self, done: int, number: int, at: int, part: bytes) -> None:
        old = self._sectors[number].now
        self._sectors[number].change(done, old[:at] + part + old[at + len(part) :])

    def truncate(self, done: int, size: int) -> None:
        """A new size; what lies behind it reads as zeros should the file grow again."""
        for number in [number for number in self._sectors if (number + 1) * SECTOR > size]:
            at = max(size - number * SECTOR, 0)
            self._splice(done, number, at, bytes(SECTOR - at))
        self._size.change(done, size)

    def allocate(self, done: int, end: int) -> None:
        """Room up to there, which reads as zeros where the file did not reach."""
        if end > self._size.now:
            self._size.change(done, end)

    def sync(self, begun: int) -> None:
        """A sync that began then has ended."""
        self._size.sync(begun)
        for sector in self._sectors.values():
            sector.sync(begun)

    def put(self, luck: Luck, path: Path) -> None:
        """Make a file like it."""
        size = luck.pick(self._size.versions)
        sectors = range(-(-size // SECTOR))
        found = (luck.pick(self._sectors[n].versions) if n in self._sectors else _ZEROS for n in sectors)
        path.write_bytes(b"".join(found)[:size])


class Directory:
    """The names in a directory, and what they mean."""

    def __init__(self) -> None:
        self._entries: dict[str, _History[File | Directory | None]] = defaultdict(lambda: _History(None))

    def get(self, name: str) -> File | Directory | None:
        """What has this name now."""
        return self._entries[name].now if name in self._entries else None

    def set(self, done: int, name: str, node: File | Directory | None) -> None:
        """From now on the name means this, or nothing."""
        self._entries[name].change(done, node)

    def sync(self, begun: int) -> None:
        """A sync that began then has ended."""
        for entry in self._entries.values():
            entry.sync(begun)

    def put(self, luck: Luck, path: Path) -> None:
        """Make a directory like it."""
        path.mkdir()
        for name, entry in self._entries.items():
            node = luck.pick(entry.versions)
            if node is not None:
                node.put(luck, path / name)


class Disk:
    """A directory `root`, which is there and empty, and what becomes of it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._directory = Directory()

    def make(self, done: int, path: PurePath, node: File | Directory) -> None:
        """Give a new file or directory its name, unless something has it."""
        if self.find(path) is None:
            self._parent(path).set(done, path.name, node)

    def remove(self, done: int, path: PurePath) -> None:
        """Take a name away."""
        self._parent(path).set(done, path.name, None)

    def file(self, path: PurePath) -> File:
        """The file of this name."""
        found = self.find(path)
        assert isinstance(found, File), path
        return found

    def find(self, path: PurePath) -> File | Directory | None:
        """What is at a path."""
        found: File | Directory | None = self._directory
        for name in path.relative_to(self._root).parts:
            assert isinstance(found, Directory), path
            found = found.get(name)
        return found

    def _parent(self, path: PurePath) -> Directory:
        found = self.find(path.parent)
        assert isinstance(found, Directory), path
        return found

    def put(self, luck: Luck, path: Path) -> None:
        """Make a directory that is what the root may be after the power failed now."""
        self._directory.put(luck, path)
