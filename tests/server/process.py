"""A register as it is run: `unipam server`, in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.server.live import Client

UNIPAM = Path(sys.executable).with_name("unipam")


def clean_environment() -> dict[str, str]:
    """This process's variables, without those that tell a register or Azure's clients something."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("UNIPAM_", "AZURE_"))}


class Process:
    """One `unipam server`, with further options, and variables besides `clean_environment`.

    It is started by the command `within`, which it becomes.
    """

    def __init__(
        self, database: str, directory: Path, *options: str, within: Sequence[str] = (), **variables: str
    ) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            self.port = int(listening.getsockname()[1])
        self.token_file = directory / "token"
        command = [
            *within, UNIPAM, "server", "--database", database, "--port", str(self.port),
            "--admin-token-file", self.token_file, *options,
        ]  # fmt: skip
        self._log = directory / f"log.{self.port}"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment() | variables
            )
        self._await()

    @property
    def said(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    def _await(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                if Client(self.port, base="").get("/readyz").status == 200:
                    return
            except OSError:
                pass
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline
            time.sleep(0.05)

    @property
    def client(self) -> Client:
        return Client(self.port, self.token_file.read_text().strip())

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)
