"""The index for parts of words, for which PostgreSQL needs an extension: pg_trgm, of its own contributed ones.

Whoever owns the database may create it, where its server has it (PostgreSQL 13 and later trust it); others may not.
Without it everything works, and a search reads each object of a kind. So it is tried for whenever the schema is
brought up to date, and a register says when it is missing (`Tx.lacking`).
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import errors as pg

NAME = "claim_words"
LACKING = (
    "there is no index for searching, so a search reads every object: let the owner of the database run"
    " `CREATE EXTENSION pg_trgm`, then run `unipam register migrate`"
)
_INDEX = f"""CREATE INDEX {NAME} ON claim
    USING gin (lower(holder) gin_trgm_ops, lower(details) gin_trgm_ops) WHERE parent > 0"""
_NOT_TO_BE_HAD = (
    pg.InsufficientPrivilege,  # not the owner's
    pg.UndefinedFile,  # not on the server
    pg.FeatureNotSupported,
    pg.UndefinedObject,  # in a schema that is not looked into
)


def has_index(connection: psycopg.Connection[Any]) -> bool:
    """Return whether the index is there."""
    row = connection.execute("SELECT to_regclass(%s)", (NAME,)).fetchone()
    return row is not None and row[0] is not None


def make_index(connection: psycopg.Connection[Any]) -> bool:
    """Make the index, and the extension that it needs; return whether it was made: not if it is there, or cannot be."""
    if has_index(connection):
        return False
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            connection.execute(_INDEX)
    except _NOT_TO_BE_HAD:
        return False
    return True


def pattern(text: str) -> str:
    """Return the pattern of LIKE for whatever has this text in it."""
    for sign in "\\%_":
        text = text.replace(sign, f"\\{sign}")
    return f"%{text}%"
