"""What only the PostgreSQL store does: its schema's history, its last line of defence, its connections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.real.postgres import Cluster, cluster, needs_postgres, shared

from unipam.addr.prefix import V4_FIRST, parse_prefix
from unipam.model.errors import BadValue, Overlap, StoreBroken, StoreBusy
from unipam.model.records import LEASE, Claim, Owner, Selection
from unipam.plan.blocks import NewBlock, create_block, create_space
from unipam.plan.reserve import ReservationRequest, reserve
from unipam.plan.tree import Author, Plan
from unipam.store import postgres_search
from unipam.store.listing import query
from unipam.store.postgres import PostgresStore, _migrations, migrate_database
from unipam.store.postgres_tx import PostgresTx

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


def _of_a_role_without_rights(server: Cluster) -> str:
    """A database as an administrator makes it who gives no more away than what is needed; its URL."""
    url = server.create()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION btree_gist")
        connection.execute("CREATE ROLE app LOGIN")
        connection.execute("GRANT CREATE ON SCHEMA public TO app")
    return url.replace("postgres@", "app@")


def test_who_may_not_have_the_index_for_searching_does_without_and_is_told(own: Cluster) -> None:
    url = _of_a_role_without_rights(own)
    store = PostgresStore(url)
    with store.transaction() as tx:
        space = tx.create_space("here", 1.0)
        tx.insert(lease(space, 0, 0)._replace(details='{"desc":"Web"}'))
        assert [claim.parent for claim in tx.select(Selection(text="web"))] == [space]
        assert tx.lacking() == [postgres_search.LACKING]
    assert store.migrate() == [], "it cannot be had yet"
    with psycopg.connect(url.replace("app@", "postgres@"), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_trgm")
        connection.execute("CREATE INDEX claim_words ON claim (holder)")  # as the first version made one
    assert migrate_database(url) == [postgres_search.NAME]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('claim_words')").fetchone() == (None,)
    with store.reading() as tx:
        assert tx.lacking() == []
        assert [claim.parent for claim in tx.select(Selection(text="web"))] == [space]
    store.close()


def test_a_search_goes_by_the_index(url: str) -> None:
    store = PostgresStore(url)
    with store.transaction() as tx:
        assert tx.lacking() == []
        space = tx.create_space("here", 1.0)
        tx.insert_all([lease(space, n, n)._replace(id=n + 9, details=f'{{"desc":"no {n}"}}') for n in range(5000)])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE claim")
        for text in ("no 4321", "nothing"):
            sql, values = query(Selection("lease", text=text, limit=60), postgres_search.LISTING)
            steps = [row[0] for row in psycopg.ClientCursor(connection).execute(f"EXPLAIN {sql}", values)]
            assert any(postgres_search.NAME in step for step in steps), steps
            assert not any("Seq Scan" in step for step in steps), steps
    store.close()


def _made_by_the_first_schema(url: str) -> None:
    """A space with a claim of a /24 and two leases behind it, written as the first version wrote."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE migration (number int PRIMARY KEY, name text, at timestamptz)")
        connection.execute(_migrations()[0][1])
        connection.execute("INSERT INTO migration VALUES (1, '0001_claims.sql', now())")
        connection.execute("SELECT occupy_all('{1, 1, 1}', '{0, 256, 512}', '{255, 256, 512}')")
        connection.execute(
            "INSERT INTO claim (id, parent, first, last, kind, holder, interface, state, since, generation, boot,"
            " cooldown, call, details) SELECT id, parent, first, last, kind, 'me', '', 'held', 1, id, 0, 0, '', ''"
            " FROM (VALUES (1, 0, 0, 0, 'space'), (2, 1, 0, 255, 'lease'), (3, 1, 256, 256, 'lease'),"
            " (4, 1, 512, 512, 'lease')) AS old (id, parent, first, last, kind)"
        )


def test_a_database_of_the_first_schema_is_moved_when_asked(url: str) -> None:
    _made_by_the_first_schema(url)
    with pytest.raises(StoreBroken, match=r"schema version 1.*unipam register migrate"):
        PostgresStore(url)
    assert migrate_database(url) == [*(name for name, _ in _migrations()[1:]), postgres_search.NAME]
    store = PostgresStore(url)
    with store.transaction() as tx:
        assert [(c.first, c.last) for c in tx.claims(1)] == [(0, 255), (256, 256), (512, 512)]
        assert list(tx.gaps(1, 0, 600)) == [(257, 511), (513, 600)]
        tx.insert(Claim(1, 257, 257, LEASE, Owner("you")))
        with pytest.raises(Overlap):
            tx.insert(Claim(1, 200, 300, LEASE, Owner("you")))
        tx.remove(next(tx.claims(1)))
        assert list(tx.gaps(1, 0, 600)) == [(0, 255), (258, 511), (513, 600)]
    assert store.check() == []
    store.close()


_TWIN = (
    "INSERT INTO claim (id, parent, first, last, kind, holder, interface, state, since, generation, boot, cooldown,"
    " call, details) SELECT id + %s + n, parent, first + %s, last + %s, kind, holder, interface, state, since,"
    " generation, boot, cooldown, call, details FROM claim, generate_series(1, %s) AS n WHERE parent > 0"
)


@pytest.mark.parametrize(
    ("of_first", "of_last", "times"),
    [(0, 0, 1), (7, 0, 1), (7, -7, 1), (-7, 7, 1), (-7, -7, 1), (255, 255, 1), (256, 256, 2), (512, 512, 2)],
    ids=["same", "end", "inside", "around", "before", "one address", "twice beside", "twice apart"],
)
def test_the_database_itself_refuses_overlap(url: str, of_first: int, of_last: int, times: int) -> None:
    """Also among the claims of one statement (`times`), which overlap nothing else then."""
    store = PostgresStore(url)
    with store.transaction() as tx:
        tx.insert(lease(tx.create_space("here", 1.0), 0, 255))
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises((psycopg.errors.ExclusionViolation, psycopg.errors.UniqueViolation)):
            connection.execute(_TWIN, (0, of_first, of_last, times))
        connection.execute(_TWIN, (0, 256, 256, 1))  # what overlaps nothing is welcome
    assert store.check() == []
    store.close()


def test_writers_that_forget_the_lock_cannot_overlap_either(url: str) -> None:
    store = PostgresStore(url)
    with store.transaction() as tx:
        tx.insert(lease(tx.create_space("here", 1.0), 0, 255))
    store.close()
    with psycopg.connect(url) as one, psycopg.connect(url, autocommit=True) as other:
        one.execute(_TWIN, (0, 512, 512, 1))
        other.execute("SET lock_timeout = 50")
        with pytest.raises(psycopg.errors.LockNotAvailable):  # it waits for how the first one ends
            other.execute(_TWIN, (10, 600, 600, 1))
        one.commit()
        with pytest.raises(psycopg.errors.ExclusionViolation):
            other.execute(_TWIN, (10, 600, 600, 1))


def test_a_hundred_prefixes_take_as_many_statements_as_one(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan(PostgresStore(url), lambda: 1.0)
    by, block = Author("me", "me"), NewBlock("B", parse_prefix("2001:db8::/48"))
    plan.write(lambda tx, by: create_space(tx, by, "S", "s"), by)
    plan.write(lambda tx, by: create_block(tx, by, "S", block), by)
    sent: list[str] = []
    for name in ("_run", "_copy"):
        how = getattr(PostgresTx, name)
        monkeypatch.setattr(
            PostgresTx, name, lambda tx, sql, rows=(), how=how: (sent.append(sql), how(tx, sql, rows))[1]
        )

    def statements(amount: int) -> int:
        sent.clear()
        plan.write(lambda tx, by: reserve(tx, ReservationRequest(by, "S", ("B",), 64, amount=amount), by.now), by)
        return len(sent)

    assert statements(1) == statements(100) == statements(1) <= 9
    plan.store.close()
    with psycopg.connect(url) as connection:  # the space holds the block, the block the prefixes
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (2,)


def test_a_claim_stays_where_it_is(url: str) -> None:
    store = PostgresStore(url)
    with store.transaction() as tx:
        tx.insert(lease(tx.create_space("here", 1.0), 0, 255))
    with psycopg.connect(url, autocommit=True) as connection, pytest.raises(psycopg.Error, match="stays where it is"):
        connection.execute("UPDATE claim SET first = first + 1 WHERE parent > 0")
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
    one, other = PostgresStore(url), PostgresStore(url, timeout=0.05)
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


def test_a_database_that_was_filled_is_counted(url: str) -> None:
    store = PostgresStore(url)
    with store.transaction() as tx:
        space = tx.create_space("here", 1.0)
        tx.insert_all([lease(space, 2 * n, 2 * n)._replace(id=100 + n) for n in range(50)])
    store.settle()
    with psycopg.connect(url) as connection:
        counted = connection.execute("SELECT reltuples FROM pg_class WHERE oid = 'claim'::regclass").fetchone()
    assert counted == (51.0,)
    store.close()
