"""Which store a plan is kept in, by the name of its database."""

from __future__ import annotations

import os

from unipam.model.errors import BadValue, StoreBroken
from unipam.store.api import Store

FILE = "register.db"
PATIENCE = 15.0
"""Seconds that a writer waits for another one."""


def is_postgres(database: str) -> bool:
    """Whether this names a PostgreSQL database."""
    return database.startswith(("postgresql://", "postgres://"))


def open_store(database: str) -> Store:
    """The store of a register: ``postgresql://...``, or the path of an SQLite file, made if need be.

    Raises BadValue for another kind of address, and the store's errors.
    """
    if is_postgres(database):
        from unipam.store.postgres import PostgresStore  # a node has no psycopg

        return PostgresStore(database, patience=PATIENCE)
    if "://" in database:
        raise BadValue(
            f"database: {database.split('://', maxsplit=1)[0]}:// is not known; use a file's path or postgresql://user@host/name",
            field="database",
            value=database,
        )
    from unipam.store.sqlite import SqliteStore

    _make_directory(os.path.dirname(database))
    return SqliteStore(database, patience=PATIENCE, flush=True)


def _make_directory(directory: str) -> None:
    try:
        os.makedirs(directory or ".", mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreBroken(f"mkdir {directory}: {error.strerror}", path=directory) from error
