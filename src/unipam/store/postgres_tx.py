"""Transactions on the claim tree in PostgreSQL; `store.postgres` opens them.

The database itself keeps the runs in step with the claims, and an exclusion constraint among them refuses overlap. A
round trip costs more than the work at its end, so journal lines are numbered here, gathered, and sent together before
anybody could miss them; claims that come together are sent together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import psycopg

from unipam.addr.prefix import LINE_LAST, Range
from unipam.model.errors import Overlap
from unipam.model.records import RETIRED, SPACE, Claim, Entry, Extent, Owner, Selection, Standing
from unipam.store import listing, postgres_search, turnover
from unipam.store.api import Past
from unipam.store.journal import JournalFilter, Place, beginnings, statements
from unipam.store.postgres_connection import Connection
from unipam.store.postgres_past import PostgresPast
from unipam.store.rows import CHANGEABLE, CLAIM, ENTRY, change_row, claim_row, entry_row, read_claim, read_entry
from unipam.store.turnover import Turnover, Verbs

_UPDATE_CLAIM = f"UPDATE claim SET {', '.join(f'{column} = %s' for column in CHANGEABLE)} WHERE id = %s"
_SUM = "sum(last - first + 1)"
_DAYS = turnover.postgres("parent = ANY(%s)", f"count(*), {_SUM}")
_FIRST_PAGE, _LARGEST_PAGE = 64, 4096
_AFTER_ALL = "\U0010ffff"


_CHECK = """
    WITH claimed AS (SELECT parent, range_agg(numrange(first, last + 1)) AS spans FROM claim GROUP BY parent),
         kept AS (SELECT parent, range_agg(numrange(first, last + 1)) AS spans FROM run GROUP BY parent)
    SELECT coalesce(claimed.parent, kept.parent) FROM claimed FULL JOIN kept USING (parent)
    WHERE parent > 0 AND claimed.spans IS DISTINCT FROM kept.spans
"""


_n = Decimal
"""An address as a parameter: always numeric, so that a statement is planned once and not for every magnitude."""


def _claim(row: Any) -> Claim:
    return read_claim(row, int)


def _entry(row: Any) -> Entry:
    return read_entry(row, int)


class PostgresTx:
    """A transaction on one connection; see `store.api.Tx` for what each call means."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._entries: list[tuple[int, Entry]] = []
        self._last_entry: int | None = None

    def _run(self, sql: str, values: Sequence[object] = ()) -> psycopg.Cursor[Any]:
        return self.connection.execute(sql, values)

    def _copy(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Write rows in bulk. (An array a column would be escaped text by text, which takes longer than the rest.)"""
        with self.connection.cursor() as cursor, cursor.copy(sql) as copy:
            for row in rows:
                copy.write_row(row)

    def _claims(self, condition: str, *values: object) -> list[Claim]:
        return [_claim(row) for row in self._run(f"SELECT {CLAIM} FROM claim WHERE {condition}", values)]

    def _value(self, sql: str, *values: object) -> Any:
        row = self._run(sql, values).fetchone()
        return row and row[0]

    def space(self, name: str) -> int | None:
        number: int | None = self._value(f"SELECT id FROM claim WHERE holder = %s AND kind = '{SPACE}'", name)
        return number

    def standing(self, space: str, owner: Owner) -> Standing | None:
        sql = f"""SELECT id,
            EXISTS (SELECT FROM claim WHERE parent = s.id AND until IS NOT NULL),
            EXISTS (SELECT FROM claim WHERE parent = s.id AND holder = %s),
            coalesce((SELECT at FROM fence WHERE parent = s.id AND holder = %s AND interface = %s), 0)
            FROM claim AS s WHERE holder = %s AND kind = '{SPACE}'"""
        row = self._run(sql, (owner.holder, *owner, space)).fetchone()
        return row and Standing(*row)

    def spaces(self) -> list[tuple[int, str]]:
        return self._run(f"SELECT id, holder FROM claim WHERE kind = '{SPACE}' ORDER BY holder").fetchall()

    def create_space(self, name: str, now: float) -> int:
        if self.space(name) is not None:
            raise Overlap(f"there is a space named {name} already", space=name)
        return self.insert(Claim(0, 0, LINE_LAST, SPACE, Owner(name), since=now))

    def drop_space(self, number: int) -> None:
        for table in ("claim", "cursor", "fence"):
            self._run(f"DELETE FROM {table} WHERE parent = %s", (number,))
        self.hide_space(number)  # the row stays, so that its number is never another's: the journal speaks of it

    def hide_space(self, number: int) -> None:
        self._run("UPDATE claim SET kind = %s WHERE id = %s", (RETIRED, number))

    def show_space(self, number: int) -> None:
        self._run("UPDATE claim SET kind = %s WHERE id = %s", (SPACE, number))

    def claims_of(self, parent: int, holder: str) -> list[Claim]:
        return self._claims("holder = %s AND parent = %s ORDER BY first", holder, parent)

    def claims_by_holder(self, holder: str) -> list[Claim]:
        condition = "holder >= %s AND holder < %s AND parent > 0 ORDER BY parent, first"
        return self._claims(condition, holder, holder + _AFTER_ALL)

    def claims_named(self, holders: Collection[str]) -> list[Claim]:
        return sorted(self._claims("holder = ANY(%s) AND parent > 0", [*holders]))

    def claim_at(self, parent: int, first: int) -> Claim | None:
        return next(iter(self._claims("parent = %s AND first = %s AND parent > 0", parent, _n(first))), None)

    def claim_before(self, parent: int, address: int) -> Claim | None:
        condition = "parent = %s AND parent > 0 AND first <= %s ORDER BY first DESC LIMIT 1"
        return next(iter(self._claims(condition, parent, _n(address))), None)

    def claims(self, parent: int, first: int = 0, last: int = LINE_LAST) -> Iterator[Claim]:
        condition = "parent = %s AND parent > 0 AND first BETWEEN %s AND %s ORDER BY first"
        return iter(self._claims(condition, parent, _n(first), _n(last)))

    def select(self, wanted: Selection) -> list[Claim]:
        return [_claim(row) for row in self._run(*listing.query(wanted, postgres_search.LISTING))]

    def tally(self, wanted: Selection) -> int:
        sql, values = listing.count(wanted, postgres_search.LISTING)
        return int(self._value(sql, *values))

    def extents(self, parents: Collection[int], kind: str) -> dict[int, Extent]:
        sql = f"SELECT parent, count(*), {_SUM} FROM claim WHERE kind = %s AND parent = ANY(%s) AND parent > 0"
        rows = self._run(f"{sql} GROUP BY parent", (kind, [*parents]))
        return {parent: Extent(number, int(addresses)) for parent, number, addresses in rows}

    def claimed(self, parents: Collection[int]) -> dict[int, int]:
        rows = self._run(f"SELECT parent, {_SUM} FROM run WHERE parent = ANY(%s) GROUP BY parent", ([*parents],))
        return {parent: int(addresses) for parent, addresses in rows}

    def last_entry(self) -> int:
        self.send()
        return int(self._value("SELECT coalesce(max(id), 0) FROM journal"))

    def count(self, parent: int, first: int, last: int, state: str) -> int:
        sql = "SELECT count(*) FROM claim WHERE parent = %s AND parent > 0 AND first BETWEEN %s AND %s AND state = %s"
        return int(self._value(sql, parent, _n(first), _n(last), state))

    def gap(self, parent: int, first: int, last: int) -> int | None:
        before = self._claimed_before(parent, first)
        if before is not None:
            first = max(first, before + 1)  # runs are coalesced: what follows one is free
        return first if first <= last else None

    def _claimed_before(self, parent: int, address: int) -> int | None:
        """Return the end of the run that the address is in; else, of the last one below it."""
        sql = "SELECT last FROM run WHERE parent = %s AND first <= %s ORDER BY first DESC LIMIT 1"
        last: int | None = self._value(sql, parent, _n(address))
        return last

    def gaps(self, parent: int, first: int, last: int) -> Iterator[Range]:
        for run_first, run_last in self._runs(parent, first, last):
            if first < run_first:
                yield Range(first, run_first - 1)
            first = max(first, run_last + 1)
        if first <= last:
            yield Range(first, last)

    def _runs(self, parent: int, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield the runs from the one at or before `first` to `last`, in pages that grow: most searches end early."""
        size = _FIRST_PAGE
        before = "SELECT max(first) FROM run WHERE parent = %s AND first <= %s"
        sql = (
            f"SELECT first, last FROM run WHERE parent = %s AND first >= coalesce(({before}), 0) AND first <= %s"
            " ORDER BY first LIMIT %s"
        )
        while first <= last:
            page = self._run(sql, (parent, parent, _n(first), _n(last), size)).fetchall()
            yield from page
            if len(page) < size:
                return
            first, size = page[-1][1] + 1, min(size * 4, _LARGEST_PAGE)

    def claim(self, number: int) -> Claim | None:
        return next(iter(self._claims("id = %s", number)), None)

    def insert(self, claim: Claim) -> int:
        before = self._claimed_before(claim.parent, claim.last)
        if before is not None and before >= claim.first:
            raise Overlap(f"{claim.text} overlaps what is claimed", prefix=claim.text)
        number: int = claim.id or self._value("SELECT coalesce(max(id), 0) + 1 FROM claim")
        self.insert_all([claim._replace(id=number)])
        return number

    def insert_all(self, claims: Sequence[Claim]) -> None:
        rows = (claim_row(claim, claim.first, claim.last) for claim in claims)
        self._copy(f"COPY claim ({CLAIM}) FROM STDIN", rows)

    def update(self, claim: Claim) -> None:
        self._run(_UPDATE_CLAIM, change_row(claim))

    def remove(self, claim: Claim) -> None:
        self._run("DELETE FROM claim WHERE id = %s", (claim.id,))

    def expired(self, parent: int, now: float, slack: float, limit: int) -> Sequence[Claim]:
        condition = "parent = %s AND until IS NOT NULL AND (until <= %s OR since > %s) ORDER BY since LIMIT %s"
        return self._claims(condition, parent, now, now + slack, limit)

    def cooling(self, parent: int, first: int, last: int) -> Claim | None:
        condition = "parent = %s AND until IS NOT NULL AND first BETWEEN %s AND %s ORDER BY since LIMIT 1"
        return next(iter(self._claims(condition, parent, _n(first), _n(last))), None)

    def cursor(self, parent: int, number: int) -> int | None:
        address: int | None = self._value(
            "SELECT address FROM cursor WHERE parent = %s AND number = %s", parent, number
        )
        return address

    def cursors(self, parent: int) -> dict[int, int]:
        return dict(self._run("SELECT number, address FROM cursor WHERE parent = %s ORDER BY number", (parent,)))

    def set_cursor(self, parent: int, number: int, address: int) -> None:
        self._run(
            "INSERT INTO cursor VALUES (%s, %s, %s)"
            " ON CONFLICT (parent, number) DO UPDATE SET address = EXCLUDED.address",
            (parent, number, _n(address)),
        )

    def fence(self, parent: int, owner: Owner) -> float:
        sql = "SELECT at FROM fence WHERE parent = %s AND holder = %s AND interface = %s"
        return float(self._value(sql, parent, *owner) or 0.0)

    def set_fence(self, parent: int, owner: Owner, at: float) -> None:
        self._run(
            "INSERT INTO fence VALUES (%s, %s, %s, %s)"
            " ON CONFLICT (parent, holder, interface) DO UPDATE SET at = EXCLUDED.at",
            (parent, *owner, at),
        )

    def drop_fences(self, before: float) -> None:
        self._run("DELETE FROM fence WHERE at < %s", (before,))

    def record(self, entry: Entry) -> int:
        return self.record_all([entry])[0]

    def record_all(self, entries: Sequence[Entry]) -> list[int]:
        if self._last_entry is None:
            self._last_entry = int(self._value("SELECT coalesce(max(id), 0) FROM journal"))
        numbers = list(range(self._last_entry + 1, self._last_entry + 1 + len(entries)))
        self._last_entry += len(entries)
        self._entries += zip(numbers, entries, strict=True)
        return numbers

    def unsound(self) -> list[int]:
        """Return the parents whose runs are not exactly what is claimed."""
        return [parent for (parent,) in self._run(_CHECK)]

    def send(self) -> None:
        """Write down the journal lines that were gathered."""
        if self._entries:
            rows = (entry_row(entry, number, entry.first, entry.last) for number, entry in self._entries)
            self._copy(f"COPY journal ({ENTRY}) FROM STDIN", rows)
            self._entries = []

    def entries(self, until: float, after: int = 0) -> Iterator[Entry]:
        self.send()
        rows = self._run(f"SELECT {ENTRY} FROM journal WHERE id > %s AND at <= %s ORDER BY id", (after, until))
        return map(_entry, rows)

    def journal(
        self,
        *,
        parent: int = 0,
        address: int | None = None,
        holder: str = "",
        holders: Collection[str] | None = None,
        limit: int = 1000,
    ) -> list[Entry]:
        self.send()
        at = _n(address or 0)
        wanted: list[tuple[str, tuple[object, ...], bool]] = [
            ("parent = %s", (parent,), parent > 0),
            ("first <= %s AND last >= %s", (at, at), address is not None),
            ("holder >= %s AND holder < %s", (holder, holder + _AFTER_ALL), bool(holder)),
            ("holder = ANY(%s)", ([*(holders or ())],), holders is not None),
        ]
        where = " AND ".join(sql for sql, _, given in wanted if given) or "true"
        values = [value for _, some, given in wanted if given for value in some]
        rows = self._run(f"SELECT {ENTRY} FROM journal WHERE {where} ORDER BY id DESC LIMIT %s", (*values, limit))
        return [_entry(row) for row in rows]

    def search_journal(self, wanted: JournalFilter, after: Place | None, limit: int) -> list[Entry]:
        self.send()
        rows: list[Any] = []
        for sql, values in statements(wanted, after, limit, "%s", _n):
            rows = self._run(sql, values).fetchall()
            if len(rows) == limit:
                break
        return [_entry(row) for row in rows]

    def entries_numbered(self, numbers: Collection[int]) -> list[Entry]:
        self.send()
        return [_entry(row) for row in self._run(f"SELECT {ENTRY} FROM journal WHERE id = ANY(%s)", ([*numbers],))]

    def details(self, *, holders: Collection[str] | None = None, text: str = "") -> Iterator[tuple[str, str]]:
        self.send()
        where = "details <> '' AND strpos(details, %s) > 0" + ("" if holders is None else " AND holder = ANY(%s)")
        values = (text,) if holders is None else (text, [*holders])
        yield from self._run(f"SELECT holder, details FROM claim WHERE {where} AND parent > 0", values)
        yield from self._run(f"SELECT holder, details FROM journal WHERE {where} ORDER BY id DESC", values)

    def beginnings(self, numbers: Collection[int]) -> dict[int, int]:
        self.send()
        return dict(self._run(beginnings("id = ANY(%s)"), ([*numbers],)).fetchall())

    def past(self, moment: float) -> Past:
        self.send()
        return PostgresPast(self.connection, moment)

    def turnover(self, parents: Collection[int], day: int, verbs: Verbs) -> list[Turnover]:
        self.send()
        values = ([*parents], day, verbs.moved)
        sums = ((*row[:4], int(row[4])) for row in self._run(turnover.made_and_freed(_DAYS), values))
        return turnover.turnovers(sums, self._run(turnover.moved(_DAYS), values), verbs.made, int)

    def forget(self, before: float) -> int:
        self.send()
        # The last entry stays: numbers rise from it, and a generation must never be given twice.
        kept = "SELECT min(id) AS id FROM journal WHERE at >= %s UNION ALL SELECT max(id) FROM journal"
        sql = f"DELETE FROM journal WHERE id < (SELECT min(id) FROM ({kept}) AS kept)"
        return self._run(sql, (before,)).rowcount

    def lacking(self) -> list[str]:
        return [] if postgres_search.has_index(self.connection) else [postgres_search.LACKING]

    def note(self, key: str) -> str:
        return self._value("SELECT value FROM note WHERE key = %s", key) or ""

    def set_note(self, key: str, value: str) -> None:
        sql = "INSERT INTO note VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value"
        self._run(sql, (key, value))

    def notes(self, prefix: str) -> list[tuple[str, str]]:
        sql = "SELECT key, value FROM note WHERE key >= %s AND key < %s ORDER BY key"
        return self._run(sql, (prefix, prefix + _AFTER_ALL)).fetchall()

    def drop_note(self, key: str) -> None:
        self._run("DELETE FROM note WHERE key = %s", (key,))
