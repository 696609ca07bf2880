"""A register's plan at a past moment, in SQLite; see `store.api.Past` for what each call means."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator

from unipam.addr.prefix import Range
from unipam.model.records import Extent
from unipam.store import past
from unipam.store.api import EVERY
from unipam.store.sqlite_tx import STRETCHES, extent_of, to_address, to_array, to_key

_STOOD = past.stood("parent IN (SELECT value FROM json_each(?))", "?")


class SqlitePast:
    """The plan after the last line of a moment; it lives as long as its transaction."""

    def __init__(self, run: Callable[..., sqlite3.Cursor], moment: float) -> None:
        self._run = run
        row = run(past.line_at("?"), (moment,)).fetchone()
        self._line = row[0] if row else 0

    def spaces(self) -> list[int]:
        return [number for (number,) in self._run(past.roots("?"), (self._line,) * 3)]

    def stood(
        self, parents: Collection[int], first: int = 0, limit: int = EVERY, kinds: Collection[str] = ()
    ) -> list[int]:
        where = "first >= ?" + (" AND kind IN (SELECT value FROM json_each(?))" if kinds else "")
        values = [*self._among(parents), to_key(first), *([to_array(kinds)] if kinds else []), limit]
        rows = self._run(f"SELECT number FROM ({_STOOD}) WHERE {where} ORDER BY parent, first LIMIT ?", values)
        return [number for (number,) in rows]

    def extents(self, parents: Collection[int]) -> dict[tuple[int, str], Extent]:
        sql = f"SELECT parent, kind, {STRETCHES} FROM ({_STOOD}) GROUP BY parent, kind"
        return {(row[0], row[1]): extent_of(*row[2:]) for row in self._run(sql, self._among(parents))}

    def gaps(self, parent: int, first: int, last: int) -> Iterator[Range]:
        rows = self._run(f"SELECT first, last FROM ({_STOOD}) ORDER BY first", self._among((parent,)))
        return past.gaps_between(((to_address(begin), to_address(end)) for begin, end in rows), first, last)

    def _among(self, parents: Collection[int]) -> tuple[object, ...]:
        return past.values(to_array(parents), self._line)
