"""One diagnosis from paths to report: every input in turn, a log and its rotated parts as one, then conclusions."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from unipam.diagnose import hostlocal, ledger
from unipam.diagnose.case import Case, evidence
from unipam.diagnose.conclude import conclude
from unipam.diagnose.documents import known
from unipam.diagnose.inputs import Reader, expand, log_group, opened, reading_order, unpacked, unreadable
from unipam.diagnose.reader import FileReader, LogReaders
from unipam.diagnose.report import Report

Progress = Callable[[str, int, int], None]
"""Called with the input's name, the bytes of it that are read, and its size (0 when unknown)."""


def _no_progress(name: str, done: int, size: int) -> None:
    """Report no progress: for callers that show none."""


def diagnose(
    paths: list[str | Path],
    *,
    stdin: bool = False,
    command: list[str] | None = None,
    progress: Progress = _no_progress,
) -> Report:
    """Read every path (files, directories, rotated and compressed logs), standard input and what a command prints.

    Raises UnreadableInput when a path does not exist or cannot be opened.
    """
    case = Case()
    files = expand([str(path) for path in paths])
    group, log_readers = "", LogReaders(case)
    for path in files:
        if log_group(str(path)) != group:
            log_readers.close()
            group, log_readers = log_group(str(path)), LogReaders(case)
        _read_path(case, log_readers, path, progress)
    log_readers.close()
    if stdin:
        log_readers = LogReaders(case)
        _read_file(case, log_readers, None, progress)
        log_readers.close()
    if command is not None:
        _read_command(case, command, progress)
    return conclude(case)


def diagnose_bytes(data: bytes, name: str = "-") -> Report:
    """Diagnose a text that is already in memory."""
    case = Case()
    log_readers = LogReaders(case)
    FileReader(case, log_readers, case.source(name)).read(io.BytesIO(data), lambda: None)
    log_readers.close()
    return conclude(case)


def diagnose_uploads(uploads: Sequence[tuple[str, BinaryIO]], most: int) -> Report:
    """Diagnose files that came over a network, by the names that they had, a log's rotated parts as one.

    Of all of them together no more than `most` bytes are read, unpacked, so that a small archive cannot hold forever.
    """
    case, left = Case(), _Budget(most)
    group, log_readers = "", LogReaders(case)
    for name, file in sorted(uploads, key=lambda each: reading_order(Path(each[0]))):
        if log_group(name) != group:
            log_readers.close()
            group, log_readers = log_group(name), LogReaders(case)
        FileReader(case, log_readers, case.source(name)).read(
            left.of(unpacked(io.BufferedReader(_Raw(file)))), lambda: None
        )
    log_readers.close()
    return conclude(case)


class _Raw(io.RawIOBase):
    """A file that is read only, whatever it is, for what wants to look ahead in it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Budget:
    """So many bytes for all readers together; who wants more is told that reading stopped."""

    def __init__(self, most: int) -> None:
        self._most = self._left = most

    def of(self, reader: Reader) -> Reader:
        """Return the reader, which takes from the budget."""
        return _Limited(reader, self)

    def take(self, data: bytes) -> bytes:
        """Return the data. Raises OSError when it is more than is left."""
        self._left -= len(data)
        if self._left < 0:
            raise OSError(f"more than {self._most >> 20} MB in all, unpacked")
        return data


class _Limited:
    def __init__(self, reader: Reader, budget: _Budget) -> None:
        self._reader = reader
        self._budget = budget

    def read(self, size: int, /) -> bytes:
        return self._budget.take(self._reader.read(size))


def _read_command(case: Case, command: list[str], progress: Progress) -> None:
    """Read what a command prints as one more log. That it fails is said with the source, and is not fatal."""
    log_readers, source = (
        LogReaders(case),
        case.source(" ".join(Path(word).name if word.startswith("/") else word for word in command)),
    )
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        output = cast("io.BufferedReader", process.stdout)
        FileReader(case, log_readers, source).read(output, lambda: progress(source.path, source.bytes, 0))
    log_readers.close()
    if process.returncode:
        source.problem = source.problem or f"{command[0]} ended with {process.returncode}"


def _read_path(case: Case, log_readers: LogReaders, path: Path, progress: Progress) -> None:
    if path.is_dir():
        source = case.source(str(path))
        source.lines = hostlocal.read_directory(case, path)
        source.formats = {"host-local reservation": source.lines}
    elif ledger.is_database(path):
        source = case.source(str(path))
        source.lines = ledger.read(case, path)
        source.formats = {"ledger entry": source.lines}
    else:
        _read_file(case, log_readers, path, progress)


def _read_file(case: Case, log_readers: LogReaders, path: Path | None, progress: Progress) -> None:
    name = "-" if path is None else str(path)
    size = path.stat().st_size if path is not None else 0
    source = case.source(name)
    try:
        with opened(path) as (reader, position):
            FileReader(case, log_readers, source).read(reader, lambda: progress(name, position() or source.bytes, size))
    except OSError as error:
        raise unreadable(name, error.strerror or str(error)) from None
    if path is not None and known.is_state(name) and not (source.formats or source.other or source.unknown):
        case.signal("state-empty", name, evidence(name, 1, f"({source.bytes} bytes, none of them text)"))
