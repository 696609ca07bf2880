"""Inputs as they come: files, directories, rotated and compressed logs, standard input, told apart and opened.

Gives byte chunks that end at a line end. What the bytes mean is not looked at, except for the magic of a compression
and the byte-order mark of UTF-16 (what PowerShell's `>` writes on Windows nodes).
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, cast

from unipam.model.errors import UnreadableInput

FIRST_CHUNK = 1 << 20
"""The first piece is read for what it says of the whole as well: the year that syslog leaves out."""

CHUNK = 256 << 10
"""What follows is read in pieces that a processor's cache holds."""

MAX_LINE = 1 << 20
"""A line longer than this is cut into several, so that a file without line ends cannot fill memory."""

NOT_SOURCES = (".meta.json", ".db-wal", ".db-shm", ".db-reserve")
"""Files beside a source that are none: a description of an excerpt, and what SQLite keeps beside a database."""

_LEASE_NAME = re.compile(r"^(?:\d+\.){3}\d+$|^[0-9a-fA-F_]*[:_][0-9a-fA-F:_.]+$")
_ROTATED = re.compile(r"^(?P<stem>.+?\.log)(?:\.(?P<number>\d+))?(?P<packed>\.gz|\.bz2|\.xz)?$")
_DATED = re.compile(r"^(?P<stem>.+?)-(?P<date>\d{4}-?\d\d-?\d\d[^/]*?)\.log(?P<packed>\.gz)?$")


def unreadable(path: str, reason: str) -> UnreadableInput:
    """Return the error of an input that cannot be read, with the system's or our own reason."""
    return UnreadableInput(f"{path}: {reason}", path=path, reason=reason)


class Reader(Protocol):
    """What every opened input can do: a compressed one needs no more than this."""

    def read(self, size: int, /) -> bytes: ...


def is_lease_directory(path: Path) -> bool:
    """Return whether a directory is a host-local network: it holds files named like addresses, or host-local's own."""
    try:
        names = [entry.name for entry in os.scandir(path) if entry.is_file(follow_symlinks=False)]
    except OSError as error:
        raise unreadable(str(path), error.strerror or "cannot be read") from None
    return any(name == "lock" or name.startswith("last_reserved_ip.") or _LEASE_NAME.match(name) for name in names)


def expand(paths: list[str]) -> list[Path]:
    """Return every file, and every host-local directory, under the given paths; rotated logs oldest first.

    Raises `UnreadableInput` for a path that does not exist, cannot be listed, or need never end.
    """
    found: list[Path] = []
    for text in paths:
        path = Path(text)
        if not path.exists():
            raise unreadable(text, "no such file or directory")
        if kind := never_ends(path):
            raise unreadable(text, f"is {kind}, which need never end: name a file, or pipe its text to `-`")
        found.extend(_under(path) if path.is_dir() else [path])
    return sorted(dict.fromkeys(found), key=reading_order) if len(found) > 1 else found


_ENDLESS = {stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


def never_ends(path: Path) -> str:
    """Return what a path is that need never end; "" for a file, a directory, and a pipe that somebody handed us."""
    kind = _ENDLESS.get(stat.S_IFMT(path.stat().st_mode), "")
    # A pipe without a name in the file system is one end of a command: the shell's <(...), as /dev/fd/63.
    return "" if kind == "a FIFO" and not os.path.exists(os.path.realpath(path)) else kind


def _under(path: Path) -> Iterator[Path]:
    if is_lease_directory(path):
        yield path
        return
    for entry in sorted(path.iterdir()):
        if entry.name.endswith(NOT_SOURCES):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _under(entry)
        elif entry.is_file():
            yield entry


@functools.lru_cache(maxsize=256)
def log_group(name: str) -> str:
    """Return the name that a log and its rotated parts share, by the path of one of them."""
    path = Path(name)
    match = _ROTATED.match(path.name)
    if match:
        return str(path.parent / match["stem"])
    dated = _DATED.match(path.name)
    return str(path.parent / f"{dated['stem']}.log") if dated else str(path)


def reading_order(path: Path) -> tuple[str, int, str, int]:
    """Return where a path stands among those to be read: a log's rotated parts together, and in order."""
    # Oldest first within a group: dated backups by date, then .7 … .1, then the live file.
    match, dated = _ROTATED.match(path.name), _DATED.match(path.name)
    if dated:
        return (log_group(str(path)), 0, dated["date"], 0)
    number = int(match["number"]) if match and match["number"] else 0
    return (log_group(str(path)), 1, "", -number)


@contextlib.contextmanager
def opened(path: Path | None) -> Iterator[tuple[Reader, Callable[[], int]]]:
    """Open an input as plain bytes, with a function that tells how far it is read. None is standard input.

    Raises `UnreadableInput` when it cannot be opened.
    """
    if path is None:
        yield unpacked(cast("io.BufferedReader", sys.stdin.buffer)), lambda: 0
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise unreadable(str(path), error.strerror or "cannot be opened") from None
    with file:
        yield unpacked(file), file.tell if file.seekable() else lambda: 0


def unpacked(file: io.BufferedReader) -> Reader:
    """Return what an opened file holds, unpacked if it is packed, as UTF-8 if it is UTF-16."""
    magic = file.peek(6)[:6]
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(file)
    if magic[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return _Recoded(file)
    return file


class _Recoded:
    """UTF-16 read as UTF-8."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._text = io.TextIOWrapper(file, "utf-16", errors="replace", newline="")

    def read(self, size: int, /) -> bytes:
        return self._text.read(size).encode()


class Chunks:
    """The input in pieces that end at a line end. `problem` tells, afterwards, why reading stopped early."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.problem = ""

    def __iter__(self) -> Iterator[bytes]:
        rest, data = b"", self._read(FIRST_CHUNK)
        while data:
            data = rest + data if rest else data
            cut = data.rfind(b"\n") + 1
            if cut == 0 and len(data) < MAX_LINE:
                rest = data
            else:
                cut = cut or len(data)
                rest = data[cut:]
                yield data[:cut]
            data = self._read(CHUNK)
        if rest:
            yield rest

    def _read(self, size: int) -> bytes:
        try:
            return self._reader.read(size)
        except (OSError, EOFError, lzma.LZMAError) as error:
            self.problem = f"reading stopped: {error}"
            return b""
