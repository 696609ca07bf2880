"""A register's plan at a past moment, in PostgreSQL; see `store.api.Past` for what each call means."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal

from unipam.addr.prefix import Range
from unipam.model.records import Extent
from unipam.store import past
from unipam.store.api import EVERY
from unipam.store.postgres_connection import Connection

_STOOD = past.stood("parent = ANY(%s)", "%s")
_BETWEEN = f"""
    WITH taken AS (
        SELECT greatest(first, %s) AS first, last FROM ({_STOOD}) AS stood WHERE last >= %s AND first <= %s
        UNION ALL VALUES (%s::numeric - 1, %s::numeric - 1), (%s::numeric + 1, %s::numeric + 1)
    )
    SELECT last + 1, next - 1 FROM (SELECT last, lead(first) OVER (ORDER BY first) AS next FROM taken) AS ends
    WHERE next > last + 1 ORDER BY last LIMIT %s"""
"""The gaps, of which the database finds the ends: there may be ten thousand stretches without one. What is asked for
lies between two stretches that are put there."""
_PART = 1024
"""Gaps that are fetched at once."""


class PostgresPast:
    """The plan after the last line of a moment; it lives as long as its transaction."""

    def __init__(self, connection: Connection, moment: float) -> None:
        self._run = connection.execute
        # A large parent, or a table that nobody has counted yet, would make the database read all of a table.
        self._run("SET LOCAL enable_seqscan = off")
        row = self._run(past.line_at("%s"), (moment,)).fetchone()
        self._line = row[0] if row else 0

    def spaces(self) -> list[int]:
        return [number for (number,) in self._run(past.roots("%s"), (self._line,) * 3)]

    def stood(
        self, parents: Collection[int], first: int = 0, limit: int = EVERY, kinds: Collection[str] = ()
    ) -> list[int]:
        where = "first >= %s" + (" AND kind = ANY(%s)" if kinds else "")
        values = [*self._among(parents), Decimal(first), *([[*kinds]] if kinds else []), limit]
        found = f"SELECT number FROM ({_STOOD}) AS stood"
        rows = self._run(f"{found} WHERE {where} ORDER BY parent, first LIMIT %s", values)
        return [number for (number,) in rows]

    def extents(self, parents: Collection[int]) -> dict[tuple[int, str], Extent]:
        sums = "parent, kind, count(*), sum(last - first + 1)"
        rows = self._run(f"SELECT {sums} FROM ({_STOOD}) AS stood GROUP BY parent, kind", self._among(parents))
        return {(parent, kind): Extent(number, int(addresses)) for parent, kind, number, addresses in rows}

    def gaps(self, parent: int, first: int, last: int) -> Iterator[Range]:
        while first <= last:
            begin, end = Decimal(first), Decimal(last)
            values = (begin, *self._among((parent,)), begin, end, begin, begin, end, end, _PART)
            found = self._run(_BETWEEN, values).fetchall()
            yield from (Range(*each) for each in found)
            if len(found) < _PART:
                return
            first = found[-1][1] + 1

    def _among(self, parents: Collection[int]) -> tuple[object, ...]:
        return past.values([*parents], self._line)
