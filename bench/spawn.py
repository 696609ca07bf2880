"""Measure processes from spawn to exit, in C (`spawn.c`), and the floor: a static program that does nothing.

What is run and compared is decided by the callers; nothing here knows of CNI.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SOURCE = Path(__file__).with_suffix(".c")
BUILD = Path(__file__).parent.parent / "build" / "bench"
NOTHING = BUILD / "nothing"


class SpawnError(Exception):
    """A compiler is missing, or a measured run failed; the message is the tool's own."""


@dataclass(frozen=True, slots=True)
class Run:
    """One process, by the monotonic clock: nanoseconds."""

    began: int
    duration: int


def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    stdin: bytes,
    n: int,
    parallel: int = 1,
    offset: int = 0,
) -> list[int]:
    """Run `argv` `n` times from `parallel` callers at once; return each wall time from spawn to exit, in ns.

    `env` is the whole environment; `%d` in its values becomes `offset` plus the run's index. Every run must exit 0.
    Raises SpawnError when the harness could not be built, or a run failed.
    """
    return [each.duration for each in runs(argv, env, stdin, n, parallel, offset)]


def runs(
    argv: Sequence[str], env: Mapping[str, str], stdin: bytes, n: int, parallel: int = 1, offset: int = 0
) -> list[Run]:
    """Run as `run` does, with the time at which each began; in the order of completion."""
    with _harness(Work(argv, env, stdin, offset), n, parallel) as process:
        return _measured(process)


class Work(NamedTuple):
    """What is run: a command, its whole environment, its stdin, and the number of the first run."""

    argv: Sequence[str]
    env: Mapping[str, str]
    stdin: bytes
    offset: int = 0


def alternately(works: Sequence[Work], n: int, rest: float) -> list[list[int]]:
    """Run each work `n` times, taking turns, a run every `rest` seconds; each work's wall times in ns.

    Raises SpawnError, as `run` does.
    """
    pause = int(rest * 1e9)
    begin = time.monotonic_ns() + 10 * pause  # all harnesses are up by then
    with contextlib.ExitStack() as stack:
        processes = [
            stack.enter_context(_harness(work, n, 1, begin + turn * pause, len(works) * pause))
            for turn, work in enumerate(works)
        ]
        return [[each.duration for each in _measured(process)] for process in processes]


def rate(measured: Sequence[Run]) -> float:
    """Return the completed runs per second, from the first spawn to the last exit."""
    last = max(each.began + each.duration for each in measured)
    return len(measured) * 1e9 / (last - min(each.began for each in measured))


def floor() -> Path:
    """Build a static musl program that does nothing: what spawning costs before anything is done.

    Raises SpawnError when musl-gcc is missing (Debian: musl-tools).
    """
    if not NOTHING.exists():
        source = "int main(void) { return 0; }\n"
        _compile("musl-gcc", ["-Os", "-static", "-s", "-x", "c", "-"], NOTHING, source)
    return NOTHING


@contextlib.contextmanager
def _harness(work: Work, n: int, parallel: int, start: int = 0, period: int = 0) -> Iterator[subprocess.Popen[str]]:
    program = _program()
    with tempfile.TemporaryDirectory() as directory:
        environment, given = Path(directory, "env"), Path(directory, "stdin")
        environment.write_bytes(b"".join(f"{name}={value}\0".encode() for name, value in work.env.items()))
        given.write_bytes(work.stdin)
        numbers = [str(number) for number in (n, parallel, work.offset, start, period)]
        argv = [str(program), *numbers, str(environment), str(given), *work.argv]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            yield process


def _measured(process: subprocess.Popen[str]) -> list[Run]:
    out, err = process.communicate()
    if process.returncode:
        raise SpawnError(err.strip() or f"the harness ended with {process.returncode}")
    return [Run(*map(int, line.split())) for line in out.splitlines()]


def _program() -> Path:
    program = BUILD / "spawn"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        _compile("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-pthread", str(SOURCE)], program)
    return program


def _compile(compiler: str, arguments: list[str], program: Path, source: str = "") -> None:
    if not shutil.which(compiler):
        message = f"missing: {compiler} (Debian: {'musl-tools' if compiler == 'musl-gcc' else 'gcc'})"
        raise SpawnError(message)
    program.parent.mkdir(parents=True, exist_ok=True)
    argv = [compiler, *arguments, "-o", str(program)]
    done = subprocess.run(argv, input=source, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpawnError(done.stderr.strip() or f"{compiler} ended with {done.returncode}")
