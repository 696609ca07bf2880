"""Room on the disk for what frees things: a file beside the ledger, given back piece by piece when all is full.

To release an address is to write that down, and host-local's users know a release that works on a full disk: it deletes
a file. What the pieces are used for is the caller's to say (`where_full`); nothing else may have them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from unipam.model.errors import StoreFull

T = TypeVar("T")

SUFFIX = "-reserve"
_PIECES = 64
_SHARE = 4
"""One of so many free bytes is kept: on a small file system most is for the ledger."""


class Reserve:
    """The reserve of the ledger at `path`: `size` bytes, or less where there is not as much."""

    def __init__(self, path: str, size: int) -> None:
        self._path = path + SUFFIX
        self._size = size
        self._piece = size // _PIECES

    def keep(self) -> None:
        """Make it as large as it should be, as far as there is room for it. Raises nothing."""
        with contextlib.suppress(OSError):
            have = self._have()
            if have < self._size:
                self._grow(have, self._wanted(have))

    def pieces(self) -> Iterator[int]:
        """Give back a piece at each step, twice as much as before, until there is none; yield how many bytes it was."""
        piece = self._piece
        while (have := self._have()) > 0:
            piece = min(piece, have)
            try:
                os.truncate(self._path, have - piece)
            except OSError:
                return
            yield piece
            piece *= 2

    def _have(self) -> int:
        try:
            return os.stat(self._path).st_size
        except FileNotFoundError:
            return 0

    def _wanted(self, have: int) -> int:
        """Return its share of what is free, in whole pieces."""
        there = os.statvfs(os.path.dirname(self._path) or ".")
        share = (there.f_bavail * there.f_frsize + have) // _SHARE
        return min(self._size, share // self._piece * self._piece)

    def _grow(self, have: int, wanted: int) -> None:
        if wanted <= have:
            return
        try:
            allocate(self._path, 0, wanted)
        except OSError:
            os.truncate(self._path, have)
            raise


def allocate(path: str, first: int, size: int) -> None:
    """Let a file, made if need be, have this part of itself on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, first, size)
    finally:
        os.close(descriptor)


def where_full(work: Callable[[], T], make_room: Callable[[], Iterable[object]]) -> T:
    """Do work; on a full disk again, after each step of making room for it. Raises StoreFull when none is left."""
    try:
        return work()
    except StoreFull:
        for _ in make_room():
            with contextlib.suppress(StoreFull):
                return work()
        raise
