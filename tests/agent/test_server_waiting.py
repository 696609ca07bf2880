"""Launchers whose calls take their time: told that the agent is at it, and what becomes of them when it ends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agent.talk import question
from tests.conftest import ANSWERED_WITHIN, Agent, environment

from unipam.agent import responder, server
from unipam.agent.responder import Responder
from unipam.agent.server import Server
from unipam.cni.call import AT_IT, Answer, Call, encode_call
from unipam.cni.context import Context


@pytest.fixture
def dumb() -> Iterator[int]:
    """The port of an API server that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_who_asks_of_a_cluster_is_told_that_the_agent_is_at_it(start_agent: Callable[..., Agent], dumb: int) -> None:
    agent = start_agent()
    config = {
        "cniVersion": "1.0.0", "name": "net", "type": "calico", "nodename": "n", "datastore_type": "kubernetes",
        "kubernetes": {"k8s_api_root": f"http://127.0.0.1:{dumb}"}, "ipam": {"type": "calico-ipam"},
    }  # fmt: skip
    with agent.connect() as connection:
        connection.settimeout(ANSWERED_WITHIN)
        connection.sendall(encode_call(Call("calico-ipam", environment("ADD"), json.dumps(config).encode(), "/")))
        for _ in range(3):
            assert connection.recv(len(AT_IT)) == AT_IT


def test_an_agent_that_ends_takes_back_what_nobody_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    """Its last answers find launchers that have left while it waited for those who were at work."""
    undone, asked, go = threading.Event(), threading.Event(), threading.Event()

    def answer(_: Call, context: Context) -> Answer:
        context.require_waiting("somebody else is")
        asked.set()
        assert go.wait(ANSWERED_WITHIN)
        return Answer(0, b"{}", undo=lambda _: undone.set())

    monkeypatch.setattr(responder, "answer", answer)
    monkeypatch.setattr(responder, "together", lambda *_: [])
    monkeypatch.setattr(server, "_GRACE", 0.0)
    mine = Responder()
    finishing = threading.Event()
    finish = mine.finish

    def finish_told() -> None:
        finishing.set()
        finish()

    monkeypatch.setattr(mine, "finish", finish_told)
    serving = Server(str(tmp_path / "agent.sock"), mine, lambda *_: None)
    serving.listen()
    thread = threading.Thread(target=serving.serve)
    thread.start()
    with socket.socket(socket.AF_UNIX) as launcher:
        launcher.connect(serving.path)
        launcher.sendall(question("ADD", config))
        assert asked.wait(ANSWERED_WITHIN)
        serving.stop()
        assert finishing.wait(ANSWERED_WITHIN)
    go.set()
    thread.join(ANSWERED_WITHIN)
    assert undone.is_set()
