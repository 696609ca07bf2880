"""Since when the runtime's process runs: the kernel's word on who listens at a socket, for real processes."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from unipam.agent import runtime
from unipam.agent.runtime import listening_since
from unipam.ledger.open import began, uptime
from unipam.model.errors import SourceFailed

LISTEN = """
import os, socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1] + ".new")
listening.listen()
os.rename(sys.argv[1] + ".new", sys.argv[1])
{}
print(flush=True)
sys.stdin.read()
"""
HAND_OVER = "if os.fork(): sys.exit()"
"""Who listened ends, and leaves the socket to another, as a supervisor might."""


@contextmanager
def listening(path: Path, afterwards: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens there, to the end of the block."""
    command = [sys.executable, "-c", LISTEN.format(afterwards), str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        assert process.stdin
        process.stdin.close()  # that ends it


def test_a_process_began_when_it_was_started() -> None:
    before = uptime()
    time.sleep(0.02)  # the kernel counts in hundredths
    with subprocess.Popen(["sleep", "9"]) as process:
        assert before <= began(process.pid) <= uptime()
        process.kill()


def test_whoever_listens_is_found_and_its_successor_after_it(tmp_path: Path) -> None:
    with listening(tmp_path / "s") as first:
        since = listening_since(str(tmp_path / "s"))
        assert since == began(first.pid)
    time.sleep(0.02)
    with listening(tmp_path / "s") as second:
        assert listening_since(str(tmp_path / "s")) == began(second.pid) > since


def test_a_socket_that_was_handed_over_says_nothing(tmp_path: Path) -> None:
    with listening(tmp_path / "s", HAND_OVER) as process:
        process.wait()
        assert listening_since(str(tmp_path / "s")) == 0.0


def test_a_number_that_another_process_has_by_now_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime ends between the two questions to the kernel: who it is, and since when it runs."""
    with listening(tmp_path / "s") as process:

        def too_late(pid: int) -> float:
            assert pid == process.pid
            process.kill()
            process.wait()
            return uptime()

        monkeypatch.setattr(runtime, "began", too_late)
        assert listening_since(str(tmp_path / "s")) == 0.0


@pytest.mark.parametrize("make", [lambda path: None, Path.touch, Path.mkdir], ids=["nothing", "a file", "a directory"])
def test_where_nobody_listens_nothing_is_known(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "s")
    assert listening_since(str(tmp_path / "s")) == 0.0


def test_one_who_does_not_answer_is_no_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_TIMEOUT", 0.2)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "s"))
        mute.listen()
        with pytest.raises(SourceFailed):
            runtime.ask(str(tmp_path / "s"))
