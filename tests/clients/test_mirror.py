"""A mirror has what its source has, also after everything that can happen to a watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from unipam.clients import mirror
from unipam.clients.kubernetes.api import Refusal
from unipam.clients.mirror import Mirror
from unipam.model.errors import Expired, SourceFailed

HANGS = 30.0


class Table:
    """A Source in memory whose lists and watches fail as they are told."""

    name = "table"

    def __init__(self) -> None:
        self.rows: dict[str, int] = {"a": 1}
        self.history: list[tuple[str, int | None]] = []
        self.fail_list: list[Exception] = []
        self.fail_begin: list[Exception] = []
        self.fail_watch: list[Exception] = []
        self.lists = 0
        self.changed = threading.Condition()

    def put(self, key: str, value: int | None) -> None:
        with self.changed:
            if value is None:
                del self.rows[key]
            else:
                self.rows[key] = value
            self.history.append((key, value))
            self.changed.notify_all()

    def break_off(self, error: Exception) -> None:
        """Let whoever watches, or watches next, fail."""
        with self.changed:
            self.fail_watch.append(error)
            self.changed.notify_all()

    def list(self, deadline: float) -> tuple[str, dict[str, int]]:
        self.lists += 1
        if self.fail_list:
            raise self.fail_list.pop(0)
        with self.changed:
            return str(len(self.history)), dict(self.rows)

    def watch(self, revision: str, deadline: float) -> Watcher:
        if self.fail_begin:
            raise self.fail_begin.pop(0)
        return Watcher(self, int(revision))


class Watcher:
    def __init__(self, table: Table, told: int) -> None:
        self.table, self.told, self.closed = table, told, False

    @property
    def revision(self) -> str:
        return str(self.told)

    def next(self, deadline: float) -> Sequence[tuple[str, int | None]]:
        table = self.table
        with table.changed:
            table.changed.wait_for(
                lambda: self.closed or table.fail_watch or len(table.history) > self.told, deadline - time.monotonic()
            )
            if table.fail_watch:
                raise table.fail_watch.pop(0)
            fresh = table.history[self.told :]
            self.told = len(table.history)
            return fresh

    def close(self) -> None:
        with self.table.changed:
            self.closed = True
            self.table.changed.notify_all()


class Hurried(Mirror[str, int]):
    """A mirror that notes its pauses and makes none."""

    def __init__(self, table: Table) -> None:
        self.pauses: list[float] = []
        super().__init__(table, lambda: None)

    def _rest(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_FIRST_PAUSE", 0.01)


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def copy(table: Table) -> Iterator[Mirror[str, int]]:
    made = Mirror(table, lambda: None)
    yield made
    made.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HANGS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def same(copy: Mirror[str, int], table: Table) -> bool:
    return not copy.problem and copy.snapshot() == table.rows


def test_it_follows(table: Table, copy: Mirror[str, int]) -> None:
    until(lambda: same(copy, table))
    table.put("b", 2)
    table.put("a", 3)
    table.put("b", None)
    until(lambda: same(copy, table))
    assert table.lists == 1


@pytest.mark.parametrize("error", [SourceFailed("cut"), Refusal(400, "", "odd", ""), TypeError("a defect")])
def test_a_watch_that_breaks_off_goes_on_from_where_it_was(
    table: Table, copy: Mirror[str, int], error: Exception
) -> None:
    until(lambda: same(copy, table))
    table.break_off(error)
    table.put("b", 2)
    until(lambda: same(copy, table))
    assert table.lists == 1


def test_a_history_that_is_gone_is_read_anew(table: Table, copy: Mirror[str, int]) -> None:
    until(lambda: same(copy, table))
    table.break_off(Expired("compacted"))
    table.put("b", 2)
    until(lambda: same(copy, table))
    assert table.lists == 2


def test_what_cannot_be_read_says_why_and_comes_when_it_can(table: Table) -> None:
    table.fail_list += [SourceFailed("away")] * 3
    copy = Mirror(table, lambda: None)
    try:
        until(lambda: same(copy, table))
    finally:
        copy.close()
    assert table.lists == 4


def test_a_copy_that_is_not_up_to_date_is_not_shown(table: Table) -> None:
    table.fail_list += [SourceFailed("away")] * 1000
    copy = Mirror(table, lambda: None)
    try:
        until(lambda: copy.problem == "away")
        with pytest.raises(SourceFailed, match="table: away"):
            copy.snapshot()
    finally:
        copy.close()


def test_failures_in_a_row_make_longer_pauses_and_one_after_a_calm_time_the_first(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.fail_list += [SourceFailed("away")] * 3
    copy = Hurried(table)
    try:
        until(lambda: same(copy, table))
        table.break_off(SourceFailed("cut"))
        until(lambda: len(copy.pauses) == 4 and same(copy, table))
        monkeypatch.setattr(mirror, "_CALM", 0.0)
        for pauses in (5, 6):
            table.break_off(SourceFailed("cut"))
            until(lambda: len(copy.pauses) == pauses and same(copy, table))  # noqa: B023 (it ends within the round)
    finally:
        copy.close()
    assert copy.pauses == [0.01, 0.02, 0.04, 0.08, 0.01, 0.01]


def test_a_server_that_is_back_without_the_history_is_read_at_once(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Hurried(table)
    try:
        until(lambda: same(copy, table))
        monkeypatch.setattr(mirror, "_CALM", 0.0)
        with table.changed:
            table.fail_begin += [*[SourceFailed("away")] * 5, Expired("compacted")]
        table.break_off(SourceFailed("cut"))
        until(lambda: not table.fail_begin and same(copy, table))
    finally:
        copy.close()
    assert copy.pauses[-2:] == [0.32, 0.01]
    assert table.lists == 2


def test_a_server_that_never_has_the_history_of_what_it_has_just_listed_is_spared(table: Table) -> None:
    table.fail_begin += [Expired("compacted")] * 4
    copy = Hurried(table)
    try:
        until(lambda: same(copy, table))
    finally:
        copy.close()
    assert copy.pauses == [0.01, 0.02, 0.04, 0.08]
