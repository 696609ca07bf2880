"""Death by strace: a process is killed when it enters a chosen system call, before the call does anything.

So what one death shows is the world after all calls before it. strace counts each system call by its own name: a place
in a run is a name and an ordinal.
"""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.real.node import PATIENCE, wait_until

ALL = "all"
CHANGING = (
    "accept4,close,fallocate,fchmod,fchown,fcntl,fdatasync,flock,fsync,ftruncate,link,linkat,mkdir,mknodat,mmap,munmap,"
    "openat,pwrite64,pwritev,rename,renameat,renameat2,sendmsg,sendto,shutdown,unlink,unlinkat,write,writev"
)
"""Calls after which another process may find the world changed. Between two of them a death is like any other."""

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(", re.MULTILINE)


class Step(NamedTuple):
    """A system call by name, and the how many-th of its name it is, from 1."""

    name: str
    ordinal: int


class Strace(NamedTuple):
    """How processes are watched: which system calls, and only those about `paths` if there are any."""

    calls: str = CHANGING
    paths: tuple[str, ...] = ()

    def run(
        self,
        command: Sequence[str],
        log: Path,
        step: Step | None = None,
        *,
        stdin: bytes,
        stdout: int,
        env: dict[str, str],
    ) -> bool:
        """Run a command, to its end or until it comes to the step; whether it came to that."""
        options = ["-e", f"inject={step.name}:signal=KILL:when={step.ordinal}"] if step else []
        argv = [*self._command(log), *options, *command]
        done = subprocess.run(argv, input=stdin, stdout=stdout, env=env, timeout=PATIENCE, check=False)
        return done.returncode == -signal.SIGKILL

    def _command(self, log: Path) -> list[str]:
        only = [word for path in self.paths for word in ("-P", path)]
        return ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(log), *only, "-e", f"trace={self.calls}"]

    @contextmanager
    def attached(self, thread: int, log: Path, step: Step | None = None, fate: str = "KILL") -> Iterator[None]:
        """Watch one thread that runs already; when it comes to the step, if one is given, it gets the signal `fate`."""
        said = log.with_suffix(".said")
        options = ["-e", f"inject={step.name}:signal={fate}:when={step.ordinal}"] if step else []
        command = [word for word in self._command(log) if word not in {"-qq", "-f"}]
        with said.open("wb") as file:
            watcher = subprocess.Popen([*command, *options, "-p", str(thread)], stderr=file)
        try:
            wait_until(lambda: b"attached" in said.read_bytes())
            yield
        finally:
            watcher.send_signal(signal.SIGINT)
            watcher.wait(PATIENCE)


def steps(log: Path) -> list[Step]:
    """The steps that a log tells of, in order."""
    seen: Counter[str] = Counter()
    found = []
    for name in _CALL.findall(log.read_text(errors="replace")):
        seen[name] += 1
        found.append(Step(name, seen[name]))
    return found
