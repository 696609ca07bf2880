"""What only the PostgreSQL store does: its schema's history, its last line of defence, its connections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.real.postgres import Cluster, cluster, needs_postgres, shared

from unipam.addr.prefix import V4_FIRST
from unipam.model.errors import BadValue, StoreBroken, StoreBusy
from unipam.model.records import LEASE, Claim, Owner
from unipam.store.postgres import PostgresStore

pytestmark = [pytest.mark.real, needs_postgres]


@pytest.fixture
def url() -> str:
    return shared().schema()


@pytest.fixture
def own() -> Iterator[Cluster]:
    with cluster(fsync="on") as made:
        yield made


def lease(parent: int, first: int, last: int) -> Claim:
    return Claim(parent, V4_FIRST + first, V4_FIRST + last, LEASE, Owner("me"))


def test_an_empty_database_gets_the_schema_and_a_full_one_keeps_it(url: str) -> None:
    store = PostgresStore(url)
    with store.transaction() as tx:
        space = tx.create_space("here", 1.0)
    assert store.migrate() == []
    again = PostgresStore(url)
    with again.reading() as tx:
        assert tx.space("here") == space
    store.close()
    again.close()


def test_a_schema_from_the_future_is_left_alone(url: str) -> None:
    PostgresStore(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("INSERT INTO migration VALUES (999, 'later', now())")
    with pytest.raises(StoreBroken, match=r"schema version 999.*unipam register migrate"):
        PostgresStore(url)


def test_the_database_itself_refuses_overlap(url: str) -> None:
    store = PostgresStore(url)
    with store.transaction() as tx:
        number = tx.insert(lease(tx.create_space("here", 1.0), 0, 255))
    with psycopg.connect(url, autocommit=True) as connection:
        duplicate = (
            "INSERT INTO claim (id, parent, first, last, kind, holder, interface, state, since, generation, boot,"
            " cooldown, call, details) SELECT id + 1, parent, first + 7, last, kind, holder, interface, state, since,"
            " generation, boot, cooldown, call, details FROM claim WHERE id = %s"
        )
        with pytest.raises(psycopg.errors.ExclusionViolation):
            connection.execute(duplicate, (number,))
    assert store.check() == []
    store.close()


def test_runs_that_do_not_match_the_claims_are_found(url: str) -> None:
    store = PostgresStore(url)
    with store.transaction() as tx:
        space = tx.create_space("here", 1.0)
        tx.insert(lease(space, 0, 255))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE run SET last = last - 1")
    assert store.check() == [f"the runs under {space} do not match its claims"]
    store.close()


def test_another_writer_is_waited_for_no_longer_than_patience(url: str) -> None:
    one, other = PostgresStore(url), PostgresStore(url, patience=0.05)
    with one.transaction(), pytest.raises(StoreBusy), other.transaction():
        pass
    with other.transaction() as tx:
        tx.create_space("after all", 1.0)
    one.close()
    other.close()


def test_text_that_cannot_be_stored_is_bad_input_and_changes_nothing(url: str) -> None:
    store = PostgresStore(url)
    text = "nul \0 in it"
    with pytest.raises(BadValue), store.transaction() as tx:
        tx.set_note(text, str(tx.create_space("before", 1.0)))
    with store.reading() as tx:
        assert tx.spaces() == []
    store.close()


def test_nobody_there_is_said_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(StoreBroken, match="cannot use the database"):
        PostgresStore(f"postgresql:///plan?host={tmp_path}")


def test_what_was_committed_survives_a_power_cut_and_the_connection_comes_back(own: Cluster) -> None:
    store = PostgresStore(own.create())
    with store.transaction() as tx:
        tx.create_space("durable", 1.0)
    own.stop("immediate")
    with pytest.raises(StoreBroken), store.transaction() as tx:
        tx.create_space("lost", 1.0)
    own.start()
    with store.transaction() as tx:
        assert [name for _, name in tx.spaces()] == ["durable"]
        tx.create_space("anew", 1.0)
    store.close()
