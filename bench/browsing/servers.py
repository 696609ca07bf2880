"""Server processes of a register, each with a port of its own, and what the kernel says of them.

`python -m bench.browsing.servers DATABASE PORT TOKEN_FILE THOUSANDS` is one of them.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.browsing.plan import Size, cloud
from unipam.model.cloud import Snapshot
from unipam.plan.cloud.cache import CachedCloud
from unipam.server.entra import Directory
from unipam.server.run import Settings, run

_PATIENCE = 120.0
"""Seconds after which a server that does not answer hangs."""


class ServerProcess:
    """One server process on a database, with an administrator's token in a file."""

    def __init__(self, database: str, token_file: Path, thousands: int) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            self.port = int(listening.getsockname()[1])
        self._log = token_file.with_name(f"log.{self.port}")
        command = [
            sys.executable,
            "-m",
            "bench.browsing.servers",
            database,
            str(self.port),
            str(token_file),
            str(thousands),
        ]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._await()

    def _await(self) -> None:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"no server came up: {self._log.read_text()[-500:]}") from None
                time.sleep(0.05)
            else:
                return

    @property
    def processor(self) -> float:
        """Return how many seconds of processor it has taken: the clock of that process (clock_getcpuclockid(3))."""
        return time.clock_gettime((~self.process.pid << 3) | 2)

    @property
    def memory(self) -> int:
        """Return the bytes that it holds in memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

    def kill(self) -> None:
        """Let it be gone, as by a power cut."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def servers(database: str, directory: Path, thousands: int, number: int) -> Iterator[tuple[list[ServerProcess], str]]:
    """Run so many processes on one database; yield them and an administrator's token.

    A database has a directory of its own: its first server leaves the token there.
    """
    token_file = directory / "admin-token"
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(_running(database, token_file, thousands)) for _ in range(number)]
        yield running, token_file.read_text().strip()


@contextlib.contextmanager
def _running(database: str, token_file: Path, thousands: int) -> Iterator[ServerProcess]:
    server = ServerProcess(database, token_file, thousands)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


DIRECTORY = Directory("bench", "bench", "http://127.0.0.1:9")
"""A directory that nobody asks: the sessions of its people are put into the database."""


def _serve(database: str, port: str, token_file: str, thousands: str) -> None:
    seen = cloud(Size.of(int(thousands)))

    def look_as(_: str, __: Snapshot) -> Snapshot:
        """Return what each person may see: everything, in records of its own, as it comes from Azure."""
        whole = seen.snapshot()
        return whole._replace(networks={k: n._replace() for k, n in whole.networks.items()})

    def cached() -> CachedCloud:
        return CachedCloud(lambda _: seen.snapshot(), look_as, clock=time.time).start()

    run(Settings(database, port=int(port), admin_token_file=token_file, cloud=cached, directory=DIRECTORY))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
