"""The stores under test. A new one joins every suite by one more line in BACKENDS."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol

import psycopg
from tests.real.postgres import shared

from unipam.store.api import Store
from unipam.store.memory import MemoryStore
from unipam.store.past import SQLITE_TABLE
from unipam.store.postgres import PostgresStore
from unipam.store.sqlite import SqliteStore


class Backend(Protocol):
    """One set of facts. `durable` says whether it outlives every handle on it."""

    durable: bool

    def open(self, timeout: float = 0.0) -> Store:
        """One more handle on the facts, as another process would have."""

    def close(self) -> None:
        """Close every handle."""


class Memory:
    """One store, which every handle is."""

    durable = False

    def __init__(self, _: Path) -> None:
        self._store = MemoryStore()

    def open(self, timeout: float = 0.0) -> Store:
        return self._store

    def close(self) -> None:
        self._store.close()


class Sqlite:
    """One file, and as many connections as are asked for."""

    durable = True

    def __init__(self, directory: Path) -> None:
        self._path = str(directory / "unipam.db")
        self._handles: list[SqliteStore] = []

    def open(self, timeout: float = 0.0) -> Store:
        self._handles.append(SqliteStore(self._path, timeout=timeout, additions=SQLITE_TABLE))
        return self._handles[-1]

    def close(self) -> None:
        for handle in self._handles:
            handle.close()


class Postgres:
    """One schema on the server that tests share, emptied after use, and as many connections as are asked for."""

    durable = True
    _spare: ClassVar[list[str]] = []

    def __init__(self, _: Path) -> None:
        self._url = self._spare.pop() if self._spare else shared().schema()
        self._handles: list[PostgresStore] = []

    def open(self, timeout: float = 0.0) -> Store:
        self._handles.append(PostgresStore(self._url, timeout=timeout))
        return self._handles[-1]

    def close(self) -> None:
        for handle in self._handles:
            handle.close()
        with psycopg.connect(self._url, autocommit=True) as connection:
            for table in ("claim", "run", "cursor", "fence", "journal", "past", "note"):
                connection.execute(f"DELETE FROM {table}" if self._handles else "SELECT 1")
        self._spare.append(self._url)


BACKENDS: dict[str, Callable[[Path], Backend]] = {"memory": Memory, "sqlite": Sqlite, "postgres": Postgres}
