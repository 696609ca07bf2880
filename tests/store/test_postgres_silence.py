"""The PostgreSQL store when the database falls silent, is slow, or ends connections: through a proxy that does it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from tests.faults.proxy import Proxy, proxy
from tests.real.postgres import needs_postgres, shared

from unipam.model.errors import StoreBroken, StoreBusy
from unipam.store import postgres_connection
from unipam.store.postgres import PostgresStore

pytestmark = [pytest.mark.real, needs_postgres]

HANGS = 60
"""Seconds after which something is said to hang."""


@pytest.fixture
def between() -> Iterator[Proxy]:
    """A proxy before the server that the tests share."""
    with proxy(shared().port) as made:
        yield made


@pytest.fixture
def url(between: Proxy) -> str:
    return shared().schema().replace(f":{shared().port}/", f":{between.port}/")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_connection.Connection, "silence", 1.0)
    monkeypatch.setitem(postgres_connection._NETWORK, "connect_timeout", 2)


def make(store: PostgresStore, name: str) -> None:
    with store.transaction() as tx:
        tx.create_space(name, 1.0)


def spaces(store: PostgresStore) -> list[str]:
    with store.reading() as tx:
        return [name for _, name in tx.spaces()]


def test_a_silent_database_is_given_up_and_works_again_when_it_speaks(between: Proxy, url: str) -> None:
    store = PostgresStore(url)
    make(store, "before")
    between.swallow()
    begun = time.monotonic()
    for _ in range(2):  # on the connection that there was, and on a new one
        with pytest.raises(StoreBroken):
            make(store, "lost")
    with pytest.raises(StoreBroken):
        spaces(store)
    assert time.monotonic() - begun < HANGS
    between.speak()
    make(store, "after")
    assert spaces(store) == ["after", "before"]
    store.close()


def test_silence_at_the_commit_says_that_it_may_be_done(between: Proxy, url: str) -> None:
    store = PostgresStore(url)

    def swallowed() -> None:
        with store.transaction() as tx:
            tx.create_space("perhaps", 1.0)
            between.swallow()
            time.sleep(0.2)

    with pytest.raises(StoreBroken, match="may be done"):
        swallowed()
    between.speak()
    assert spaces(store) in ([], ["perhaps"])
    store.close()


def test_a_slow_database_is_no_silent_one(between: Proxy, url: str) -> None:
    store = PostgresStore(url)
    between.delay = 0.3
    make(store, "slow")
    assert spaces(store) == ["slow"]
    store.close()


def test_no_transaction_takes_longer_than_it_may(between: Proxy, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PostgresStore(url).close()
    store = PostgresStore(url, longest=2.0)
    monkeypatch.setattr(postgres_connection.Connection, "silence", HANGS)
    with pytest.raises(StoreBusy, match="took too long"), store.reading() as tx:
        tx.connection.execute("SELECT pg_sleep(600)")
    between.delay = 0.4

    def unit() -> None:
        with store.transaction() as tx:
            for number in range(HANGS):
                tx.create_space(f"s{number}", 1.0)

    with pytest.raises(StoreBroken, match="took too long"):
        unit()
    between.delay = 0.0
    assert spaces(store) == []
    store.close()


@pytest.mark.parametrize("reset", [False, True], ids=["cut", "reset"])
def test_a_connection_that_was_ended_is_thrown_away_before_it_is_used(between: Proxy, url: str, reset: bool) -> None:
    store = PostgresStore(url)
    make(store, "a")
    between.cut(reset=reset)
    deadline = time.monotonic() + HANGS
    while between.links and time.monotonic() < deadline:
        time.sleep(0.01)
    make(store, "b")
    between.cut(reset=reset)
    assert spaces(store) == ["a", "b"]
    store.close()


def test_a_writer_that_was_lost_does_not_keep_the_lock(
    between: Proxy, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody tells the server that its client is gone: it ends the transaction by itself."""
    monkeypatch.setattr(postgres_connection, "SILENCE", 1.0)
    store, direct = PostgresStore(url), PostgresStore(url.replace(f":{between.port}/", f":{shared().port}/"))
    lost = store.transaction()
    lost.__enter__()
    between.swallow()
    with monkeypatch.context() as patient:  # who waits for the lock hears nothing for as long as the other is let be
        patient.setattr(postgres_connection.Connection, "silence", HANGS)
        make(direct, "after all")
    with pytest.raises(StoreBroken):
        lost.__exit__(None, None, None)
    assert spaces(direct) == ["after all"]
    between.speak()
    store.close()
    direct.close()


def test_who_moves_the_schema_is_waited_for(url: str) -> None:
    """A migration may take long, and says nothing meanwhile."""
    store = PostgresStore(url)
    with psycopg.connect(url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext('unipam migrate'))")
        timer = threading.Timer(2.5, other.commit)
        timer.start()
        assert store.migrate() == []
        timer.join()
    store.close()
