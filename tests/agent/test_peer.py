"""Who is at a socket's other end: its user, its process, its network namespace."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from unipam.agent.peer import OwnNamespace, peer

CALL = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(1)"


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        made.listen()
        made.settimeout(20)
        yield made


@contextmanager
def caller(listening: socket.socket, *before: str) -> Iterator[tuple[socket.socket, subprocess.Popen[bytes]]]:
    """A process that has connected; `before` is what comes before its command."""
    with subprocess.Popen([*before, sys.executable, "-c", CALL, listening.getsockname()]) as process:
        try:
            accepted, _ = listening.accept()
        except TimeoutError:
            if not before:
                raise
            pytest.skip(f"{before[0]} needs rights that are not given here")  # it ended without running the command
        with accepted:
            yield accepted, process


def test_the_process_and_its_user_are_told(listening: socket.socket) -> None:
    with caller(listening) as (accepted, process):
        assert peer(accepted) == (process.pid, os.getuid())


def test_who_calls_from_our_namespace_is_at_home(listening: socket.socket) -> None:
    with caller(listening) as (accepted, process):
        assert OwnNamespace(listening).of(accepted) == os.stat(f"/proc/{process.pid}/ns/net").st_ino


@pytest.mark.real
def test_who_calls_from_another_namespace_is_not(listening: socket.socket) -> None:
    with caller(listening, "unshare", "--net") as (accepted, _):
        assert OwnNamespace(listening).of(accepted) == 0


def test_where_the_kernel_does_not_say_nobody_is(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unipam.agent.peer._NETNS_COOKIE", 9999)  # as an older kernel answers
    with caller(listening) as (accepted, _):
        assert OwnNamespace(listening).of(accepted) == 0
