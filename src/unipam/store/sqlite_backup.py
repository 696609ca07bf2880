"""A consistent copy of an SQLite ledger that others go on writing to."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from unipam.model.errors import StoreBroken
from unipam.store.sqlite import translate

_PAGES = 256
"""Pages copied at a time; between two such steps writers get their turn."""


def copy_file(source: str, target: str) -> None:
    """Copy the ledger at `source` into the new file `target` (0600). Raises StoreBroken when that exists already."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreBroken(f"cannot make {target}: {error.strerror}", path=target) from error
    try:
        with (
            closing(sqlite3.connect(source)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there, pages=_PAGES)
    except sqlite3.Error as error:
        os.unlink(target)
        raise translate(error, source) from error
