"""The claim tree in PostgreSQL, for a register of several server processes.

One writer at a time, by a table lock; readers never wait. The schema and its history are the numbered files of
`migrations`; what a transaction does is in `postgres_tx`.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import time
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
from psycopg import errors as pg

from unipam.model.errors import BadValue, Overlap, StoreBroken, StoreBusy, StoreFull, UnipamError
from unipam.store import postgres_search
from unipam.store.postgres_connection import Connection, connect
from unipam.store.postgres_tx import PostgresTx

TIMEOUT = 5.0
"""Seconds that a writer waits for another one: well below those after which a silent server is given up."""


class PostgresStore:
    """A register's database. `timeout` is how many seconds a transaction waits for another writer.

    No transaction takes longer than `longest` seconds (0: no limit). A lost connection is made anew by the next
    transaction. One handle serves one thread.
    """

    def __init__(self, database: str, *, timeout: float = TIMEOUT, longest: float = 0.0) -> None:
        self.database = database
        self._timeout = timeout
        self._longest = longest
        self._connection: Connection | None = None
        try:
            with self._translated():
                self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        if not _version(self._connected()):
            self.migrate()
        version, newest = _version(self._connected()), len(_migrations())
        if version != newest:
            raise StoreBroken(
                f"the database has schema version {version}, this unipam has {newest}:"
                " run `unipam register migrate`, or the unipam that wrote it",
                version=version,
            )

    def _connected(self) -> Connection:
        if self._connection is None or self._connection.lost:
            self.close()
            self._connection = connect(self.database, self._longest)
        self._connection.until = time.monotonic() + self._longest if self._longest else float("inf")
        return self._connection

    def migrate(self) -> list[str]:
        """Bring the schema up to date and return the names of the steps that were taken."""
        return migrate(self._connected())

    @contextlib.contextmanager
    def transaction(self) -> Iterator[PostgresTx]:
        """See `store.api.Store`."""
        with self._translated():
            connection = self._connected()
            wait = max(1, round(self._timeout * 1000))
            lock = f"BEGIN; SET LOCAL lock_timeout = {wait}; LOCK TABLE writer IN EXCLUSIVE MODE"
            tx = PostgresTx(connection)
            try:
                connection.execute(lock)
                yield tx
                tx.send()
                _commit(connection)
            except BaseException:
                _roll_back(connection)
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[PostgresTx]:
        """See `store.api.Store`."""
        with self._translated():
            connection = self._connected()
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield PostgresTx(connection)
            finally:
                _roll_back(connection)

    def settle(self) -> None:
        """See `store.api.Store`: count anew, as the database does by itself within a minute of large changes.

        Until then it takes a full table for an empty one, and reads it whole for want of a better plan.
        """
        with self._translated():
            connection = self._connected()
            with connection.transaction(), _without_time_limit(connection):
                connection.execute("ANALYZE claim, run, journal, past, note")

    def make_room(self) -> Iterable[None]:
        """See `store.api.Store`: no disk is ours to make room on."""
        return ()

    def check(self) -> list[str]:
        """See `store.api.Store`: whether the runs are exactly what is claimed."""
        with self.reading() as tx, _without_time_limit(tx.connection):
            return [f"the runs under {parent} do not match its claims" for parent in tx.unsound()]

    def close(self) -> None:
        """See `store.api.Store`."""
        if self._connection is not None:
            self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise translate(error) from error


def _commit(connection: Connection) -> None:
    """Make what was done durable. An answer that does not come leaves open whether it is."""
    try:
        connection.execute("COMMIT")
    except psycopg.OperationalError as error:
        if connection.closed:
            raise StoreBroken(f"the database fell silent at the commit, so it may be done: look ({error})") from error
        raise


@contextlib.contextmanager
def _without_time_limit(connection: Connection) -> Iterator[None]:
    """Wait within a transaction for as long as its statements take, for they read or change everything."""
    connection.execute("SET LOCAL statement_timeout = 0")
    connection.silence = connection.until = float("inf")
    try:
        yield
    finally:
        del connection.silence


def _roll_back(connection: psycopg.Connection[Any]) -> None:
    if not connection.closed:
        with contextlib.suppress(psycopg.Error):  # the connection is gone, and the transaction with it
            connection.execute("ROLLBACK")


def _migrations() -> list[tuple[str, str]]:
    files = sorted(importlib.resources.files("unipam.store").joinpath("migrations").iterdir(), key=lambda f: f.name)
    return [(file.name, file.read_text("utf-8")) for file in files if file.name.endswith(".sql")]


def _version(connection: psycopg.Connection[Any]) -> int:
    if connection.execute("SELECT to_regclass('migration')").fetchone() == (None,):
        return 0
    row = connection.execute("SELECT max(number) FROM migration").fetchone()
    return int(row[0]) if row and row[0] else 0


def migrate(connection: Connection) -> list[str]:
    """Apply the steps that are missing, all or none, and return their names. Others who do so are waited for.

    The index for searching is no numbered step: a database does without where its extension cannot be had.
    """
    done = []
    with connection.transaction(), _without_time_limit(connection):
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('unipam migrate'))")
        version = _version(connection)
        if version == 0:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migration (number int PRIMARY KEY, name text, at timestamptz)"
            )
        for number, (name, script) in enumerate(_migrations(), start=1):
            if number > version:
                connection.execute(script)
                connection.execute("INSERT INTO migration VALUES (%s, %s, now())", (number, name))
                done.append(name)
        return [*done, postgres_search.NAME] if postgres_search.make_index(connection) else done


def migrate_database(database: str) -> list[str]:
    """Bring the schema of a database up to date and return the names of the steps. Raises the store's errors."""
    try:
        with connect(database) as connection:
            return migrate(connection)
    except psycopg.Error as error:
        raise translate(error) from error


def translate(error: psycopg.Error) -> UnipamError:
    """Return a PostgreSQL error as one of ours, with the way out."""
    if isinstance(error, pg.ExclusionViolation | pg.UniqueViolation):
        return Overlap("the database refused a second claim on the same addresses or name")
    if isinstance(error, pg.LockNotAvailable | pg.SerializationFailure | pg.DeadlockDetected):
        return StoreBusy("another writer holds the database: try again")
    if isinstance(error, pg.QueryCanceled):
        return StoreBusy("the database took too long, so nothing was changed: ask for less, or later")
    if isinstance(error, pg.DiskFull):
        return StoreFull("no space left for the database: free some on its server")
    if isinstance(error, psycopg.DataError):
        return BadValue(f"a value cannot be stored: {error}")
    text = " ".join(str(error).split())
    return StoreBroken(f"cannot use the database: {text}", code=error.sqlstate or "")
