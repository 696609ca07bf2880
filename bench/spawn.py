"""Measure processes from spawn to exit, in C (``spawn.c``), and the floor: a static program that does nothing.

What is run and compared is decided by the callers; nothing here knows of CNI.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    """Run `argv` `n` times from `parallel` callers at once; each run's wall time from spawn to exit, in ns.

    `env` is the whole environment; ``%d`` in its values becomes `offset` plus the run's index. Every run must exit 0.

    Raises:
        SpawnError: the harness could not be built, or a run failed.
    """
    return [each.duration for each in runs(argv, env, stdin, n, parallel, offset)]


def runs(
    argv: Sequence[str], env: Mapping[str, str], stdin: bytes, n: int, parallel: int = 1, offset: int = 0
) -> list[Run]:
    """As `run`, with the time at which each began; in the order of completion."""
    harness = _harness()
    with tempfile.TemporaryDirectory() as directory:
        environment, given = Path(directory, "env"), Path(directory, "stdin")
        environment.write_bytes(b"".join(f"{name}={value}\0".encode() for name, value in env.items()))
        given.write_bytes(stdin)
        numbers = [str(n), str(parallel), str(offset)]
        out = _output([str(harness), *numbers, str(environment), str(given), *argv])
    return [Run(*map(int, line.split())) for line in out.splitlines()]


def rate(measured: Sequence[Run]) -> float:
    """Completed runs per second, from the first spawn to the last exit."""
    last = max(each.began + each.duration for each in measured)
    return len(measured) * 1e9 / (last - min(each.began for each in measured))


def floor() -> Path:
    """A static musl program that does nothing: what spawning costs before anything is done.

    Raises:
        SpawnError: musl-gcc is missing (Debian: musl-tools).
    """
    if not NOTHING.exists():
        source = "int main(void) { return 0; }\n"
        _compile("musl-gcc", ["-Os", "-static", "-s", "-x", "c", "-"], NOTHING, source)
    return NOTHING


def _harness() -> Path:
    program = BUILD / "spawn"
    if not program.exists() or program.stat().st_mtime < SOURCE.stat().st_mtime:
        _compile("cc", ["-O2", "-Wall", "-Wextra", "-Werror", "-pthread", str(SOURCE)], program)
    return program


def _compile(compiler: str, arguments: list[str], program: Path, source: str = "") -> None:
    if not shutil.which(compiler):
        message = f"missing: {compiler} (Debian: {'musl-tools' if compiler == 'musl-gcc' else 'gcc'})"
        raise SpawnError(message)
    program.parent.mkdir(parents=True, exist_ok=True)
    _output([compiler, *arguments, "-o", str(program)], source)


def _output(argv: list[str], given: str = "") -> str:
    done = subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SpawnError(done.stderr.strip() or f"{argv[0]} ended with {done.returncode}")
    return done.stdout
