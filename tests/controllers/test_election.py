"""One of several leads; another one follows at once when it is told, and after the lease's time when not."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.clients.fake_api_server import fake_api_server
from tests.controllers.cluster import Leases

from unipam.clients.kubernetes.api import KubernetesApi
from unipam.clients.kubernetes.lease import Held, Lease
from unipam.controllers.election import Election, Timing

QUICK = Timing(duration=2.0, renewal=1.0, retry=0.05)
PATIENT = Timing(duration=60.0, renewal=40.0, retry=0.05)
HANGS = 30.0
BEHIND_ONE = {"lease": "lease kube-system/unipam-controller", "holder": "one"}


class Contest:
    """A cluster with one lease, and who contends for it."""

    def __init__(self, leases: Leases, api: KubernetesApi) -> None:
        self.leases, self._api = leases, api
        self.told: list[tuple[str, dict[str, object]]] = []

    def enter(self, identity: str, timing: Timing = PATIENT) -> tuple[Election, threading.Event]:
        stop = threading.Event()
        lease = Lease(self._api, "kube-system", "unipam-controller")
        return Election(lease, identity, stop, lambda event, **facts: self.told.append((event, facts)), timing), stop


@pytest.fixture
def contest(tmp_path: Path) -> Iterator[Contest]:
    leases = Leases()
    with fake_api_server(tmp_path, leases) as server, contextlib.closing(KubernetesApi(str(server.kubeconfig))) as api:
        yield Contest(leases, api)


def until(true: Callable[[], bool]) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextlib.contextmanager
def background(work: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join(HANGS)
    assert not thread.is_alive()


def test_the_first_one_leads_and_says_so_in_the_lease(contest: Contest) -> None:
    election, _ = contest.enter("one")
    term = election.win()
    assert term is not None
    assert term.lasts
    (lease,) = contest.leases.stored.values()
    assert lease["spec"]["holderIdentity"] == "one"
    assert lease["spec"]["leaseDurationSeconds"] == 60
    assert lease["spec"]["leaseTransitions"] == 0
    assert lease["spec"]["acquireTime"] == lease["spec"]["renewTime"]


def test_a_second_one_waits_and_leads_as_soon_as_the_lease_is_given_back(contest: Contest) -> None:
    (first, stop_first), (second, _) = contest.enter("one"), contest.enter("two")
    term = first.win()
    assert term is not None
    won = []
    with background(lambda: won.append(second.win())):
        with background(lambda: first.hold(term)):
            time.sleep(0.2)
            assert not won
            stop_first.set()
        first.release()
    assert won[0].lasts
    assert contest.leases.holder() == "two"
    (lease,) = contest.leases.stored.values()
    assert lease["spec"]["leaseTransitions"] == 1


def test_one_that_was_too_late_watches_at_once_whoever_was_faster(contest: Contest) -> None:
    """It does not sleep first: the other may give the lease back in that time."""
    patient = PATIENT._replace(retry=10 * HANGS)
    (first, _), (late, stop) = contest.enter("one", patient), contest.enter("two", patient)
    write = late._lease.write

    def overtaken(before: Held | None, spec: dict[str, object], deadline: float) -> Held | None:
        assert first.win() is not None
        return write(before, spec, deadline)

    late._lease.write = overtaken  # type: ignore[method-assign]
    with background(late.win):
        try:
            until(lambda: any("watch=1" in asked.target for asked in contest.leases.asked))
        finally:
            stop.set()
    assert contest.leases.holder() == "one"


def test_behind_whom_one_stands_is_told_once_each_time(contest: Contest) -> None:
    (first, _), (second, _) = contest.enter("one"), contest.enter("two")
    for times in (1, 2):
        assert first.win() is not None
        with background(second.win):
            until(lambda times=times: contest.told.count(("standing by", BEHIND_ONE)) == times)  # type: ignore[misc]
            first.release()
        second.release()


def test_one_that_says_nothing_is_followed_when_its_lease_is_over(contest: Contest) -> None:
    silent, _ = contest.enter("one", QUICK)
    term = silent.win()
    assert term is not None
    follower, _ = contest.enter("two", QUICK)
    assert follower.win() is not None
    assert not term.lasts, "the leader's own clock ends the term before anybody may follow"
    assert contest.leases.holder() == "two"


def test_who_has_lost_the_lease_stops_holding_it(contest: Contest) -> None:
    election, _ = contest.enter("one")
    term = election.win()
    assert term is not None
    (lease,) = contest.leases.stored.values()
    with background(lambda: election.hold(term)):
        lease["spec"]["holderIdentity"] = "two"
        lease["metadata"]["resourceVersion"] = "999"


def test_a_lease_that_somebody_touched_is_still_its_holders(contest: Contest) -> None:
    election, stop = contest.enter("one")
    term = election.win()
    assert term is not None
    (lease,) = contest.leases.stored.values()
    with background(lambda: election.hold(term)):
        lease["metadata"]["resourceVersion"] = "999"
        until(lambda: next(iter(contest.leases.stored.values()))["metadata"]["resourceVersion"] != "999")
        stop.set()
    assert term.lasts


def test_a_term_ends_when_the_server_is_away_for_long(contest: Contest) -> None:
    election, _ = contest.enter("one", QUICK)
    term = election.win()
    assert term is not None
    contest.leases.away = True
    election.hold(term)
    assert not term.lasts
    assert [event for event, _ in contest.told][:1] == ["lease not reached"]
    contest.leases.away = False
    assert election.win() is not None, "it contends again, and takes its own lease at once"


def test_a_server_that_is_away_is_told_once_and_waited_for(contest: Contest) -> None:
    contest.leases.away = True
    election, _ = contest.enter("one", PATIENT._replace(retry=1.0))  # for so long a request may take, too
    won = []
    with background(lambda: won.append(election.win())):
        until(lambda: bool(contest.told))
        asked = len(contest.leases.asked)
        until(lambda: len(contest.leases.asked) >= 3 * asked)
        contest.leases.away = False
    assert won[0].lasts
    assert len(contest.told) == 1


def test_who_waits_can_be_stopped(contest: Contest) -> None:
    first, _ = contest.enter("one")
    assert first.win() is not None
    second, stop = contest.enter("two")
    won = []
    with background(lambda: won.append(second.win())):
        stop.set()
    assert won == [None]
