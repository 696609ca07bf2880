"""A real `unipam controller` as a process of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import UNIPAM
from tests.real.etcd import free_ports

HANGS = 60.0


class Controller:
    """The process, its log and its metrics."""

    def __init__(self, directory: Path, kubeconfig: Path, *options: str) -> None:
        (self.port,) = free_ports(1)
        self._log = directory / f"controller.{time.monotonic_ns()}.log"
        command = [
            UNIPAM, "controller", "--kubeconfig", kubeconfig, "--listen", f"127.0.0.1:{self.port}", *options,
        ]  # fmt: skip
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.await_line("contending")

    def said(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of one event."""
        lines = [json.loads(line) for line in self._log.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        return [line for line in lines if line["event"] == event]

    def await_line(self, event: str, count: int = 1) -> dict[str, Any]:
        """The line of an event, once there are so many."""
        self.until(lambda: len(self.said(event)) >= count)
        return self.said(event)[count - 1]

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for what must come while the process lives."""
        deadline = time.monotonic() + HANGS
        while not true():
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def metrics(self) -> dict[str, float]:
        """What it tells Prometheus, by name and labels as they are written."""
        found = {}
        for line in self.ask("/metrics").splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found

    def ask(self, path: str) -> str:
        """An answer of its health port, whatever its status."""
        import http.client

        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANGS)) as connection:
            connection.request("GET", path)
            return connection.getresponse().read().decode()

    def stop(self) -> int:
        """End it in good order; its exit code."""
        self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait until it has ended."""
        try:
            return self.process.wait(HANGS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
