"""Which store a plan is kept in, by the name of its database."""

from __future__ import annotations

import os

from unipam.model.errors import BadInput, BadValue, StoreBroken
from unipam.store.api import Store

FILE = "register.db"
TIMEOUT = 15.0
"""Seconds that a writer of a file waits for another one."""
PAGE = 4096
"""Bytes of a page of a register's file. Its transactions carry many reservations and fill pages, unlike a node's."""


def is_postgres(database: str) -> bool:
    """Return whether this names a PostgreSQL database."""
    return database.startswith(("postgresql://", "postgres://"))


def open_store(database: str, longest: float = 0.0) -> Store:
    """Open the store of a register: `postgresql://...`, or the path of an SQLite file, made if need be.

    No transaction on PostgreSQL takes longer than `longest` seconds (0: no limit). Raises BadValue for another kind of
    address, and the store's errors.
    """
    if is_postgres(database):
        from unipam.store.postgres import PostgresStore  # a node has no psycopg

        return PostgresStore(database, longest=longest)
    if "://" in database:
        raise BadValue(
            f"database: {database.split('://', maxsplit=1)[0]}:// is not known; use a file's path or postgresql://user@host/name",
            field="database",
            value=database,
        )
    from unipam.store import journal, listing, past, turnover
    from unipam.store.sqlite import SqliteStore

    _make_directory(os.path.dirname(database))
    indexes = {**listing.SQLITE_INDEXES, **journal.SQLITE_INDEXES, **turnover.SQLITE_INDEXES}
    more = {**indexes, **past.SQLITE_TABLE}
    try:
        return SqliteStore(database, timeout=TIMEOUT, flush=True, page=PAGE, additions=more)
    except StoreBroken as error:
        if "damage" in error.facts:
            raise _no_register(database, error) from error
        raise


def _no_register(database: str, error: StoreBroken) -> StoreBroken:
    """Return the error of a file that is not what a register wrote. What helps a node's ledger does not help here."""
    way_out = "name another with --database, or restore a copy that `unipam register backup` made"
    return StoreBroken(f"{database} is no register, or damaged ({error.facts['damage']}): {way_out}", **error.facts)


def require(database: str) -> None:
    """Raise BadInput when this names an SQLite file that is not there: a mistyped name must not make a register."""
    if "://" not in database and not os.path.exists(database):
        raise BadInput(
            f"there is no register at {database}: name another with --database,"
            f" or make one with `unipam register init --database {database}`",
            field="database",
            value=database,
        )


def _make_directory(directory: str) -> None:
    try:
        os.makedirs(directory or ".", mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreBroken(f"mkdir {directory}: {error.strerror}", path=directory) from error


FIRST_STEP = "0001_claims.sql"
"""The step that an empty PostgreSQL database is brought up to date with first."""


def migrate(database: str) -> list[str]:
    """Bring a database's schema up to date, if need be; the names of the steps that were taken."""
    if is_postgres(database):
        from unipam.store.postgres import migrate_database

        return migrate_database(database)
    open_store(database).close()  # an SQLite file is made with its schema, or refused
    return []


def backup(database: str, target: str) -> None:
    """Copy a live SQLite register into a new file, and check the copy.

    Raises BadValue for another kind of database, StoreBroken when the file exists or the copy is not sound.
    """
    if "://" in database:
        raise BadValue("a PostgreSQL database is backed up by its own tools: pg_dump", field="database", value=database)
    if not os.path.exists(database):
        raise StoreBroken(f"there is no {database}", path=database)
    from unipam.store.sqlite_backup import copy_file

    copy_file(database, target)
    copied = open_store(target)
    try:
        faults = copied.check()
    finally:
        copied.close()
    if faults:
        raise StoreBroken(f"the copy is not sound: {faults[0]}", path=target)
