"""Loops, hand-over, health: a process with controllers that count."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from prometheus_client.core import GaugeMetricFamily, Metric
from tests.clients.fake_api_server import fake_api_server
from tests.controllers.cluster import Leases
from tests.controllers.test_election import HANGS, PATIENT, background, until

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.clients.kubernetes.lease import Lease
from unipam.controllers import loop as loops
from unipam.controllers.election import Election
from unipam.controllers.health import Health
from unipam.controllers.loop import Loop
from unipam.controllers.run import Process
from unipam.controllers.term import Term
from unipam.model.errors import BadInput, Behind, SourceFailed


class Counting:
    """Counts its rounds. `during` is called in the middle of each."""

    name = "counting"

    def __init__(self, during: Callable[[], None] = lambda: None) -> None:
        self.steps: list[str] = []
        self.rounds = 0
        self._during = during

    def observe(self, term: Term) -> int:
        self.steps.append("observe")
        term.wait(0.01)
        return self.rounds

    def desired(self, observed: int, now: float) -> list[int]:
        self.steps.append("desired")
        return [observed + 1]

    def carry_out(self, changes: list[int], term: Term) -> int:
        self.steps.append("carry out")
        self._during()
        return changes[0]

    def report(self, observed: int, done: int) -> None:
        self.steps.append("report")
        self.rounds = done

    def metrics(self) -> Iterable[Metric]:
        return [GaugeMetricFamily("rounds", "Rounds.", value=self.rounds)]

    def close(self) -> None:
        self.steps.append("close")


class Running:
    """A process that contends in a thread of its own."""

    def __init__(self, api: KubernetesApi, controller: Counting, identity: str) -> None:
        self.controller = controller
        self.told: list[str] = []
        self.stop = threading.Event()
        self.process = Process([Loop(controller, self._tell)], self._tell)
        contested = Lease(api, "kube-system", "unipam-controller")
        election = Election(contested, identity, self.stop, self._tell, PATIENT)
        self.thread = threading.Thread(target=self.process.contend, args=(election, self.stop))
        self.thread.start()

    def _tell(self, event: str, **_: object) -> None:
        self.told.append(event)

    def end(self) -> float:
        """Stop it; how many seconds that took."""
        began = time.monotonic()
        self.stop.set()
        self.thread.join(HANGS)
        assert not self.thread.is_alive()
        return time.monotonic() - began


@pytest.fixture
def leases() -> Leases:
    return Leases()


@pytest.fixture
def start(tmp_path: Path, leases: Leases) -> Iterator[Callable[..., Running]]:
    with fake_api_server(tmp_path, leases) as server, contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api:
        started: list[Running] = []

        def start(controller: Counting, identity: str = "one") -> Running:
            started.append(Running(api, controller, identity))
            return started[-1]

        yield start
        for each in started:
            each.end()


def test_the_steps_of_a_round_are_done_in_order_again_and_again(start: Callable[..., Running]) -> None:
    running = start(Counting())
    until(lambda: running.controller.rounds >= 3)
    assert running.controller.steps[:8] == ["observe", "desired", "carry out", "report"] * 2


def test_one_process_works_and_the_other_one_follows_when_it_ends(
    start: Callable[..., Running], leases: Leases
) -> None:
    first = start(Counting(), "one")
    until(lambda: first.controller.rounds > 0)
    second = start(Counting(), "two")
    until(lambda: any("watch=1" in asked.target for asked in leases.asked))
    assert second.controller.rounds == 0
    first.end()
    until(lambda: second.controller.rounds > 0)
    assert first.told[-1] == "leading no more"
    assert leases.holder() == "two"


def test_a_write_under_way_is_finished_before_another_process_leads(
    start: Callable[..., Running], leases: Leases
) -> None:
    writing, written = threading.Event(), threading.Event()

    def write() -> None:
        writing.set()
        written.wait(HANGS)

    first = start(Counting(write))
    assert writing.wait(HANGS)
    with background(first.end):
        time.sleep(0.1)
        assert leases.holder() == "one"
        written.set()
    assert leases.holder() == ""


def test_a_lease_stays_where_a_write_does_not_end_in_time(
    start: Callable[..., Running], leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unipam.controllers.run._LAST_WORD", 0.1)
    writing, written = threading.Event(), threading.Event()
    first = start(Counting(lambda: (writing.set(), written.wait(HANGS))))  # type: ignore[arg-type,return-value]
    assert writing.wait(HANGS)
    first.end()
    assert leases.holder() == "one", "others wait until it is over"
    written.set()


def test_a_round_that_fails_is_told_and_tried_again(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "_FIRST_PAUSE", 0.01)
    failures: list[Exception] = [SourceFailed("away"), ZeroDivisionError("a defect")]

    def fail() -> None:
        if failures:
            raise failures.pop(0)

    running = start(Counting(fail))
    until(lambda: running.controller.rounds > 0)
    assert running.told.count("round failed") == 2


def test_what_fails_again_and_again_is_not_ready_and_lives(
    start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loops, "_LONGEST_PAUSE", 0.001)
    failing = [True]

    def fail() -> None:
        if failing:
            raise SourceFailed("away")

    running = start(Counting(fail))
    with contextlib.closing(Health("127.0.0.1:0", running.process.state, running.process.metrics)) as health:
        until(lambda: ask(health, "/readyz")[0] == 503)
        assert ask(health, "/readyz") == (503, "counting: away\n")
        assert ask(health, "/healthz")[0] == 200
        failing.clear()
        until(lambda: ask(health, "/readyz") == (200, "leading\n"))


def test_metrics_are_the_leaders(start: Callable[..., Running]) -> None:
    running = start(Counting())
    with contextlib.closing(Health("127.0.0.1:0", running.process.state, running.process.metrics)) as health:
        until(lambda: "\nrounds " in ask(health, "/metrics")[1])
        assert "unipam_controller_leading 1.0" in ask(health, "/metrics")[1]
        running.end()
        told = ask(health, "/metrics")[1]
        assert "\nrounds " not in told
        assert "unipam_controller_leading 0.0" in told
        assert ask(health, "/healthz") == (200, "standing by\n")
        assert ask(health, "/other")[0] == 404


def test_an_address_that_is_none_is_refused_by_name() -> None:
    for address in ("127.0.0.1", "127.0.0.1:http:", "no.such.host.invalid:80"):
        with pytest.raises(BadInput, match="choose another --listen"):
            Health(address, None, None)  # type: ignore[arg-type]


def ask(health: Health, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", health.port, timeout=HANGS)
    with contextlib.closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


class Following(Counting):
    """Needs a copy that is not up to date at first."""

    def __init__(self) -> None:
        super().__init__()
        self.up_to_date = False

    def observe(self, term: Term) -> int:
        if not self.up_to_date:
            raise Behind("the list: away", lambda: self.up_to_date, source="the list")
        return super().observe(term)


def test_a_round_that_failed_for_want_of_a_list_is_repeated_when_the_list_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And not before, whatever else there is to look at; however long the next pause would have been."""
    monkeypatch.setattr(loops, "_FIRST_PAUSE", 3600.0)
    controller, term, told = Following(), Term(HANGS), list[str]()
    loop = Loop(controller, lambda event, **_: told.append(event))
    with background(lambda: loop.run(term)):
        until(lambda: loop.failures == 1)
        term.wake()
        controller.up_to_date = True
        term.wake()
        until(lambda: controller.rounds > 0)
        term.end()
    assert told == ["round failed"]


def test_each_term_begins_with_the_shortest_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is elected has reached the API server, and its failures in a row are counted on."""
    pauses: list[float] = []
    controller, told = Counting(broken), list[str]()
    loop = Loop(controller, lambda event, **_: told.append(event))
    for _ in range(2):
        term = Term(HANGS)
        monkeypatch.setattr(term, "rest", resting(pauses, term))
        loop.run(term)
    assert pauses == [0.5, 1.0, 2.0] * 2
    assert loop.failures == 6


def broken() -> None:
    raise SourceFailed("away", source="here")


def resting(pauses: list[float], term: Term) -> Callable[..., bool]:
    """Note a term's pauses and make none; the term ends with each third."""

    def rest(seconds: float, over: Callable[[], bool]) -> bool:
        pauses.append(seconds)
        if len(pauses) % 3 == 0:
            term.end()
        return term.lasts

    return rest


CONTENDING = """
import os, signal, sys, threading, types
from unipam.controllers import run

class Event(threading.Event):
    def wait(self, timeout=None):
        with self._cond:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().wait(timeout)

run.threading = types.SimpleNamespace(Event=Event, Thread=threading.Thread)
run.run(run.Settings((), kubeconfig=sys.argv[1]))
"""


def test_a_signal_that_comes_in_the_midst_of_waiting_is_heard(tmp_path: Path, leases: Leases) -> None:
    """Whoever waits for the end has the lock of what tells it, for a moment: a handler would wait for that for ever."""
    leases.away = True
    with fake_api_server(tmp_path, leases) as server:
        command = [sys.executable, "-c", CONTENDING, str(server.kubeconfig)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=HANGS, check=True)
    assert '"stopped"' in ended.stderr
