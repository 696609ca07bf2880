"""How PostgreSQL lists and searches, and its index for parts of words.

The index needs an extension: pg_trgm, of PostgreSQL's own contributed ones.

Whoever owns the database may create it, where its server has it (PostgreSQL 13 and later trust it); others may not.
Without it everything works, and a search reads each object of a kind. So it is tried for whenever the schema is
brought up to date, and a register says when it is missing (`Tx.lacking`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
from psycopg import errors as pg

from unipam.store import listing

NAME = "claim_texts"
LACKING = (
    "there is no index for searching, so a search reads every object: let the owner of the database run"
    " `CREATE EXTENSION pg_trgm`, then run `unipam register migrate`"
)
_NOT_TO_BE_HAD = (
    pg.InsufficientPrivilege,  # not the owner's
    pg.UndefinedFile,  # not on the server
    pg.FeatureNotSupported,
    pg.UndefinedObject,  # in a schema that is not looked into
)


def pattern(text: str) -> str:
    """Return the pattern of LIKE for whatever has this text in it."""
    for sign in "\\%_":
        text = text.replace(sign, f"\\{sign}")
    return f"%{text}%"


def _in_small_letters(expression: str) -> str:
    return f'lower(({expression}) COLLATE "default")'  # that of members, bytes, knows ASCII's letters only


LISTING = listing.Dialect(
    mark="%s",
    address=Decimal,  # always numeric, so that a statement is planned once and not for every magnitude
    member=lambda name: f"(nullif(details, '')::jsonb ->> '{name}') COLLATE \"C\"",
    number=lambda name: f"(nullif(details, '')::jsonb ->> '{name}')::double precision",
    contains=lambda expression: f"{_in_small_letters(expression)} LIKE lower(%s)",
    pattern=pattern,
    index_texts=True,
    among=lambda column: f"{column} = ANY(%s)",
    array=list,
)
_BEFORE = "claim_words"
"""The index of the first version: of all that is in the details, which took longer to write than the claims."""
_INDEX = f"""CREATE INDEX {NAME} ON claim
    USING gin ({_in_small_letters(listing.texts(LISTING))} gin_trgm_ops) WHERE parent > 0"""


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
            connection.execute(f"DROP INDEX IF EXISTS {_BEFORE}")
    except _NOT_TO_BE_HAD:
        return False
    return True
