"""Reading an SQLite ledger without a trace, whoever has it open, and on a file system that nobody may write to.

Whoever opens a ledger as `SqliteStore` does makes files beside it. A diagnosis must not: it reads files of a node in
trouble, copies of them, and file systems that are mounted read-only.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from unipam.model.errors import StoreBroken
from unipam.store.api import Tx
from unipam.store.sqlite import Transaction, foreign, recognise, refuse_emptied, translate

TIMEOUT = 4.0
"""Seconds for which a ledger that another process has locked is waited for."""


@contextlib.contextmanager
def reading(path: str) -> Iterator[Tx]:
    """Read one consistent state of the ledger at `path`; nothing in its directory changes.

    Raises StoreBusy when it stays locked, and StoreBroken when it cannot be read: it is damaged (fact `damage`),
    another program's (fact `application`), of another version (fact `version`), or cannot be opened.
    """
    refuse_emptied(path)
    with contextlib.closing(_connect(path)) as connection:
        if recognise(connection, path) == 0:
            raise foreign(path)
        with Transaction(connection, path, "BEGIN") as tx:
            yield tx


def _connect(path: str) -> sqlite3.Connection:
    """Open the file read-only, with or without its write-ahead log, as what lies beside it demands.

    No log: nobody has it open, and all is in the file. Who opens it meanwhile writes to a new log first, so the file
    may be taken as immutable; any other way SQLite would make the log and its index.
    A log with its index: somebody has it open, or died with it open. SQLite takes part through the index as it is,
    and where nobody keeps that up makes one in its own memory.
    A log without an index: a copy, which nobody has open. So no locks are needed, and who takes none and wants the file
    for itself keeps the index in memory.
    """
    log, index = (os.path.lexists(f"{path}-{suffix}") for suffix in ("wal", "shm"))
    way = "readonly_shm=1" if log and index else "vfs=unix-none" if log else "immutable=1"
    uri = f"{Path(path).absolute().as_uri()}?mode=ro&{way}"
    try:
        os.stat(path)  # SQLite does not say why it could not open a file
        connection = sqlite3.connect(uri, uri=True, timeout=TIMEOUT, isolation_level=None)
    except OSError as error:
        raise StoreBroken(f"cannot read the ledger {path}: {error.strerror}", path=path, errno=error.errno) from error
    except sqlite3.Error as error:
        raise translate(error, path) from error
    if log and not index:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection
