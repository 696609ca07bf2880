"""When learned pools are learned anew: one asks for the whole node, at most once an interval, less often on failure."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unipam.addr.prefix import parse_address, parse_prefix
from unipam.ledger import learned, refresh
from unipam.ledger.change import nothing
from unipam.ledger.learned import LearnedPool, ranges
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import Ledgers
from unipam.ledger.refresh import Attempt, Outcome, Source
from unipam.model.errors import SourceFailed, StoreBroken

SPACE = "space"
NETWORK = parse_prefix("10.0.0.0/24")
POOL = LearnedPool(NETWORK, NETWORK.first + 1, "eth0", 0, ranges([parse_address("10.0.0.5")]))


class Asked:
    """A source that counts, and fails as long as it is told to."""

    def __init__(self) -> None:
        self.times = 0
        self.failing = False

    def __call__(self) -> Sequence[LearnedPool]:
        self.times += 1
        if self.failing:
            raise SourceFailed("out of order")
        return (POOL,)


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock that counts from boot."""

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(refresh, "uptime", lambda: seconds)

    set_to(100.0)
    return set_to


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledgers().at(str(tmp_path))


def ask(ledger: Ledger, directory: Path, asked: Callable[[], Sequence[LearnedPool]], **how: bool) -> Outcome:
    source = Source("test", asked, 10.0, {"environment": "test"}, how.pop("once", False))
    return refresh.refresh(ledger, str(directory), SPACE, source, inherit=nothing, **how)


def test_at_most_once_an_interval(ledger: Ledger, tmp_path: Path, asked: Asked, clock: Callable[[float], None]) -> None:
    outcome = ask(ledger, tmp_path, asked)
    assert (outcome.asked, outcome.learned and outcome.learned.pools) == (True, (POOL,))
    for seconds, times in ((109.9, 1), (110.0, 2), (111.0, 2), (95.0, 2)):
        clock(seconds)
        assert (ask(ledger, tmp_path, asked).asked, asked.times) == (times > 1 and seconds == 110.0, times)


def test_what_one_source_was_asked_says_nothing_of_another(
    ledger: Ledger, tmp_path: Path, clock: Callable[[float], None]
) -> None:
    counted = {name: Asked() for name in ("one", "other")}
    counted["one"].failing = True
    for seconds, names in ((100.0, ["one", "other"]), (105.0, []), (112.0, ["other"]), (121.0, ["one"])):
        clock(seconds)
        asked = []
        for name, fetch in counted.items():
            source = Source(name, fetch, 10.0, {"environment": name})
            asked += [name] * refresh.refresh(ledger, str(tmp_path), SPACE, source, inherit=nothing).asked
        assert asked == names, seconds
    assert refresh.latest(ledger, SPACE).settings == {"environment": "one"}, "the latest of all"
    assert refresh.latest(ledger, SPACE, "other") == Attempt(ledger.boot, 112.0, 0, "", {"environment": "other"})


def test_after_a_reboot_the_clock_means_nothing(
    ledger: Ledger, tmp_path: Path, asked: Asked, clock: Callable[[float], None]
) -> None:
    ask(ledger, tmp_path, asked)
    clock(5.0)
    ledger.boot += 1
    assert ask(ledger, tmp_path, asked).asked


def test_failures_are_followed_by_longer_pauses_and_keep_what_is_known(
    ledger: Ledger, tmp_path: Path, asked: Asked, clock: Callable[[float], None]
) -> None:
    ask(ledger, tmp_path, asked)
    asked.failing = True
    moments = []
    for second in range(110, 330):
        clock(float(second))
        if ask(ledger, tmp_path, asked).asked:
            moments.append(second)
    assert moments == [110, 130, 170, 230, 290]
    assert learned.snapshot(ledger, SPACE)[0].pools == (POOL,)
    attempt = refresh.latest(ledger, SPACE)
    assert (attempt.failures, attempt.error, attempt.settings) == (5, "out of order", {"environment": "test"})
    asked.failing = False
    clock(350.0)
    assert ask(ledger, tmp_path, asked).attempt.failures == 0


def test_who_needs_it_asks_every_interval_whatever_failed(
    ledger: Ledger, tmp_path: Path, asked: Asked, clock: Callable[[float], None]
) -> None:
    asked.failing = True
    for seconds in (100.0, 110.0, 120.0, 130.0):
        clock(seconds)
        assert ask(ledger, tmp_path, asked, needed=True).asked
        assert not ask(ledger, tmp_path, asked, needed=True).asked


def test_a_once_source_is_asked_until_it_answers(
    ledger: Ledger, tmp_path: Path, asked: Asked, clock: Callable[[float], None]
) -> None:
    asked.failing = True
    ask(ledger, tmp_path, asked, once=True)
    asked.failing = False
    for seconds in (120.0, 200.0, 1e6):
        clock(seconds)
        ask(ledger, tmp_path, asked, once=True)
    assert asked.times == 2


def test_many_at_once_ask_once(tmp_path: Path, asked: Asked) -> None:
    """Twenty threads, each with its own connection, none of which knows anything yet."""
    begin = threading.Barrier(20)

    def one(_: int) -> tuple[LearnedPool, ...]:
        ledgers = Ledgers()
        ledger = ledgers.at(str(tmp_path))
        begin.wait()
        ask(ledger, tmp_path, asked, needed=True)
        known = learned.snapshot(ledger, SPACE)[0].pools
        ledgers.close_all()
        return known

    with ThreadPoolExecutor(20) as threads:
        assert set(threads.map(one, range(20))) == {(POOL,)}
    assert asked.times == 1


def test_who_does_not_need_it_goes_on_while_somebody_else_asks(ledger: Ledger, tmp_path: Path, asked: Asked) -> None:
    with (tmp_path / f"{SPACE}.refresh").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not ask(ledger, tmp_path, asked).asked
    assert asked.times == 0


def test_who_needs_it_waits_for_somebody_else_but_not_for_ever(
    ledger: Ledger, tmp_path: Path, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refresh, "WAIT", 0.05)
    with (tmp_path / f"{SPACE}.refresh").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not ask(ledger, tmp_path, asked, needed=True).asked
    assert ask(ledger, tmp_path, asked, needed=True).asked


def test_who_died_while_asking_keeps_nobody_from_it(ledger: Ledger, tmp_path: Path, asked: Asked) -> None:
    script = f"import fcntl, os; f = open({str(tmp_path / (SPACE + '.refresh'))!r}, 'w'); fcntl.flock(f, 2); os.abort()"
    subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert ask(ledger, tmp_path, asked).asked


def test_a_directory_that_takes_no_lock_is_named(ledger: Ledger, asked: Asked) -> None:
    with pytest.raises(StoreBroken, match="cannot open /proc/none/"):
        ask(ledger, Path("/proc/none"), asked)


def test_no_attempt_is_always_due() -> None:
    assert Attempt().due(1, 0.0, 10.0)
    assert not Attempt(1, 0.0).due(1, 9.0, 10.0)
