"""A launcher and the agent never differ about whether an answer was heard, whenever the connection is closed."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from unipam.agent.connection import Connection
from unipam.agent.responder import Responder
from unipam.agent.server import Server
from unipam.cni.call import ACK, AT_IT, AT_IT_FOR, Answer


class Pair(NamedTuple):
    """The launcher's end and the agent's."""

    launcher: socket.socket
    agent: Connection


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    descriptor = ours.detach()
    agent = Connection(socket.SocketType(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor), os.getpid())
    yield Pair(theirs, agent)
    theirs.close()
    agent.socket.close()


def test_an_acknowledgement_before_the_end_counts(pair: Pair) -> None:
    pair.launcher.sendall(ACK)
    assert pair.agent.close()


def test_one_after_it_fails(pair: Pair) -> None:
    """So that the launcher knows as well, and ends with an error."""
    assert not pair.agent.close()
    with pytest.raises(BrokenPipeError):
        pair.launcher.sendall(ACK)


def test_whether_somebody_waits(pair: Pair) -> None:
    assert pair.agent.heard()
    pair.launcher.close()
    assert not pair.agent.heard()
    assert not pair.agent.close()
    assert not pair.agent.heard()


def test_who_waits_is_told_now_and_then_for_a_while(pair: Pair) -> None:
    agent, began = pair.agent, pair.agent.since
    pair.launcher.setblocking(False)
    for seconds in range(100):
        agent.keep_waiting(began + seconds)
    with pytest.raises(BlockingIOError):
        pair.launcher.recv(100)
    agent.told = began
    for tenths in range(1000):
        agent.keep_waiting(began + tenths / 10)
    assert pair.launcher.recv(1000) == AT_IT * int(AT_IT_FOR)
    agent.answer, agent.since, agent.told = Answer(0), began + 200, began
    agent.keep_waiting(began + 202)
    with pytest.raises(BlockingIOError):
        pair.launcher.recv(100)
    pair.launcher.close()
    agent.answer = None
    agent.keep_waiting(began + 205)


@pytest.mark.parametrize("acknowledged", [True, False])
def test_an_agent_that_stood_still_finds_the_acknowledgement(pair: Pair, tmp_path: Path, acknowledged: bool) -> None:
    """It takes the launcher for silent, and has not read yet what it said."""
    undone: list[bool] = []
    responder = Responder()
    server = Server(str(tmp_path / "agent.sock"), responder, lambda *_: None)
    server._connections[pair.agent.descriptor] = pair.agent
    pair.agent.answer = Answer(0, b"{}", undo=lambda _: undone.append(True))
    if acknowledged:
        pair.launcher.sendall(ACK)
    server._close_silent(pair.agent.since + 3600)
    responder.finish()
    assert undone == [True] * (not acknowledged)
