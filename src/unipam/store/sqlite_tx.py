"""The claim tree and its journal as SQLite rows: one statement, or a few, for each promise of `store.api.Tx`.

Addresses are 16 bytes, big end first, so that their order is SQLite's own. The free space is kept as data: `run` holds
the claimed addresses of each parent as disjoint, coalesced ranges, so the next free address is one index look-up for
the warm agent and the cold process alike, and neither needs a cache that the other could make stale.

Every B-tree that a commit touches costs it a page, so there are few: a node's journal has no index, because questions
about its past are rare and may take the tenth of a second that reading it whole costs. A register's has some
(`store.journal`), which people page through.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from unipam.addr.prefix import LINE_LAST, Range
from unipam.model.errors import Overlap
from unipam.model.records import RETIRED, SPACE, Claim, Entry, Extent, Owner, Selection, Standing
from unipam.store import listing, turnover
from unipam.store.journal import JournalFilter, Place, beginnings, statements
from unipam.store.rows import CHANGEABLE, CLAIM, ENTRY, change_row, claim_row, entry_row, read_claim, read_entry
from unipam.store.runs import runs_of
from unipam.store.turnover import Turnover, Verbs

if TYPE_CHECKING:
    from unipam.store.api import Past

VERSION = 1
"""PRAGMA user_version of the schema below."""

APPLICATION = 0x756E6970  # "unip"

SCHEMA = (
    f"PRAGMA application_id = {APPLICATION}",
    """CREATE TABLE claim (
        id INTEGER PRIMARY KEY, parent INTEGER NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL, kind TEXT NOT NULL,
        holder TEXT NOT NULL, interface TEXT NOT NULL, state TEXT NOT NULL, since REAL NOT NULL, until REAL,
        generation INTEGER NOT NULL, boot INTEGER NOT NULL, cooldown INTEGER NOT NULL, call TEXT NOT NULL,
        details TEXT NOT NULL)""",
    f"CREATE UNIQUE INDEX claim_space ON claim (holder) WHERE kind = '{SPACE}'",
    "CREATE UNIQUE INDEX claim_first ON claim (parent, first) WHERE parent > 0",
    "CREATE INDEX claim_holder ON claim (holder)",
    "CREATE INDEX claim_until ON claim (parent, since) WHERE until IS NOT NULL",
    "CREATE TABLE run (parent INTEGER, first BLOB, last BLOB NOT NULL, PRIMARY KEY (parent, first)) WITHOUT ROWID",
    """CREATE TABLE cursor (parent INTEGER, number INTEGER, address BLOB NOT NULL,
        PRIMARY KEY (parent, number)) WITHOUT ROWID""",
    """CREATE TABLE fence (parent INTEGER, holder TEXT, interface TEXT, at REAL NOT NULL,
        PRIMARY KEY (parent, holder, interface)) WITHOUT ROWID""",
    """CREATE TABLE journal (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, verb TEXT NOT NULL, parent INTEGER NOT NULL,
        first BLOB NOT NULL, last BLOB NOT NULL, holder TEXT NOT NULL, interface TEXT NOT NULL,
        generation INTEGER NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL, details TEXT NOT NULL)""",
    "CREATE TABLE note (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"PRAGMA user_version = {VERSION}",
)

_INSERT_CLAIM = f"INSERT INTO claim ({CLAIM}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE_CLAIM = f"UPDATE claim SET {', '.join(f'{column} = ?' for column in CHANGEABLE)} WHERE id = ?"
_INSERT_ENTRY = f"INSERT INTO journal ({ENTRY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_STANDING = f"""SELECT id,
    EXISTS (SELECT 1 FROM claim WHERE parent = s.id AND until IS NOT NULL),
    EXISTS (SELECT 1 FROM claim WHERE parent = s.id AND holder = ?),
    (SELECT at FROM fence WHERE parent = s.id AND holder = ? AND interface = ?)
    FROM claim AS s WHERE holder = ? AND kind = '{SPACE}'"""
_INSERT_RUN = "INSERT INTO run (parent, first, last) VALUES (?, ?, ?)"
_DELETE_RUN = "DELETE FROM run WHERE parent = ? AND first = ?"
_BEFORE = """SELECT first, last, (SELECT min(first) FROM run WHERE parent = ? AND first > ?)
    FROM run WHERE parent = ? AND first <= ? ORDER BY first DESC LIMIT 1"""
_BEGIN = "UPDATE run SET first = ? WHERE parent = ? AND first = ?"
_AMONG = "holder IN (SELECT value FROM json_each(?))"
_WITHIN = "parent IN (SELECT value FROM json_each(?))"
_END = "UPDATE run SET last = ? WHERE parent = ? AND first = ?"


def to_key(address: int) -> bytes:
    return address.to_bytes(16, "big")


def _keys(first: int, last: int) -> tuple[bytes, bytes]:
    key = first.to_bytes(16, "big")
    return key, key if first == last else last.to_bytes(16, "big")


def to_address(key: bytes) -> int:
    return int.from_bytes(key, "big")


STRETCHES = "count(*), CAST(group_concat(first, '') AS BLOB), CAST(group_concat(last, '') AS BLOB)"
"""How many stretches there are, and all their ends in two pieces: SQLite cannot calculate with 16 bytes, and a row for
each would take Python three times as long."""


def extent_of(stretches: int, firsts: bytes | None, lasts: bytes | None) -> Extent:
    """Return how many addresses the stretches have together that `STRETCHES` tells of."""
    return Extent(stretches, _sum(lasts or b"") - _sum(firsts or b"") + stretches)


_DAYS = turnover.sqlite(_WITHIN, STRETCHES)


def _sum(keys: bytes) -> int:
    halves: tuple[int, ...] = struct.unpack(f">{len(keys) // 8}Q", keys)
    return (sum(halves[::2]) << 64) + sum(halves[1::2])


def to_array(values: Collection[str] | Collection[int]) -> str:
    return msgspec.json.encode([*values]).decode()


def _claim(row: Any) -> Claim:
    return read_claim(row, to_address)


def _entry(row: Any) -> Entry:
    return read_entry(row, to_address)


_LISTING = listing.Dialect(
    mark="?",
    address=to_key,
    member=lambda name: f"json_extract(nullif(details, ''), '$.{name}')",
    number=lambda name: f"json_extract(nullif(details, ''), '$.{name}')",
    contains=lambda expression: f"instr(lower({expression}), lower(?))",
    pattern=str,
    index_texts=False,
    among=lambda column: f"{column} IN (SELECT value FROM json_each(?))",
    array=lambda values: to_array([*values]),
)


class SqliteTx:
    """A transaction on one connection; see `store.api.Tx` for what each call means."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._run = connection.execute
        self._do = connection.cursor().execute
        """The same, quicker, where at most one row is wanted, and taken before the next statement."""
        self._many = connection.executemany
        self._ends: dict[tuple[int, int], tuple[bytes, int]] = {}
        """Runs that were seen in this transaction, by their parent and the address behind them: where each begins, and
        the next one. So what fills a gap that was just found need not look around it again."""

    def begin(self) -> None:
        """Forget what was seen: another transaction has begun, and it may be so no more."""
        self._ends.clear()

    def space(self, name: str) -> int | None:
        row = self._do(f"SELECT id FROM claim WHERE holder = ? AND kind = '{SPACE}'", (name,)).fetchone()
        return int(row[0]) if row else None

    def standing(self, space: str, owner: Owner) -> Standing | None:
        row = self._do(_STANDING, (owner.holder, *owner, space)).fetchone()
        return row and Standing(row[0], bool(row[1]), bool(row[2]), row[3] or 0.0)

    def spaces(self) -> list[tuple[int, str]]:
        return self._run(f"SELECT id, holder FROM claim WHERE kind = '{SPACE}' ORDER BY holder").fetchall()

    def create_space(self, name: str, now: float) -> int:
        if self.space(name) is not None:
            raise Overlap(f"there is a space named {name} already", space=name)
        return self._write(Claim(0, 0, LINE_LAST, SPACE, Owner(name), since=now))

    def drop_space(self, number: int) -> None:
        self._ends.clear()
        for table in ("claim", "run", "cursor", "fence"):
            self._do(f"DELETE FROM {table} WHERE parent = ?", (number,))  # names from the line above
        self.hide_space(number)  # the row stays, so that its number is never another's: the journal speaks of it

    def hide_space(self, number: int) -> None:
        self._do("UPDATE claim SET kind = ? WHERE id = ?", (RETIRED, number))

    def show_space(self, number: int) -> None:
        self._do("UPDATE claim SET kind = ? WHERE id = ?", (SPACE, number))

    def claims_of(self, parent: int, holder: str) -> list[Claim]:
        rows = self._run(f"SELECT {CLAIM} FROM claim WHERE holder = ? AND parent = ?", (holder, parent)).fetchall()
        return sorted(map(_claim, rows)) if len(rows) > 1 else [_claim(row) for row in rows]

    def claims_by_holder(self, holder: str) -> list[Claim]:
        rows = self._run(
            f"SELECT {CLAIM} FROM claim WHERE holder >= ? AND holder < ? AND parent > 0 ORDER BY parent, first",
            (holder, holder + "\U0010ffff"),
        )
        return [_claim(row) for row in rows]

    def claims_named(self, holders: Collection[str]) -> list[Claim]:
        # Without the plus SQLite would look for parents, and read all of the table for want of a better bound.
        rows = self._run(f"SELECT {CLAIM} FROM claim WHERE {_AMONG} AND +parent > 0", (to_array(holders),))
        return sorted(map(_claim, rows))

    def claim_at(self, parent: int, first: int) -> Claim | None:
        row = self._do(
            f"SELECT {CLAIM} FROM claim WHERE parent = ? AND first = ? AND parent > 0", (parent, to_key(first))
        ).fetchone()
        return row and _claim(row)

    def claim_before(self, parent: int, address: int) -> Claim | None:
        row = self._do(
            f"SELECT {CLAIM} FROM claim WHERE parent = ? AND parent > 0 AND first <= ? ORDER BY first DESC LIMIT 1",
            (parent, to_key(address)),
        ).fetchone()
        return row and _claim(row)

    def claims(self, parent: int, first: int = 0, last: int = LINE_LAST) -> Iterator[Claim]:
        rows = self._run(
            f"SELECT {CLAIM} FROM claim WHERE parent = ? AND parent > 0 AND first BETWEEN ? AND ? ORDER BY first",
            (parent, to_key(first), to_key(last)),
        )
        return map(_claim, rows)

    def select(self, wanted: Selection) -> list[Claim]:
        return [_claim(row) for row in self._run(*listing.query(wanted, _LISTING)).fetchall()]

    def tally(self, wanted: Selection) -> int:
        return int(self._do(*listing.count(wanted, _LISTING)).fetchone()[0])

    def extents(self, parents: Collection[int], kind: str) -> dict[int, Extent]:
        # Without `likely` SQLite looks for every parent above 0 in the index, and reads every claim of the kind.
        where = f"kind = ? AND {_WITHIN} AND likely(parent > 0) GROUP BY parent"
        rows = self._run(f"SELECT parent, {STRETCHES} FROM claim WHERE {where}", (kind, to_array(parents)))
        return {row[0]: extent_of(*row[1:]) for row in rows}

    def claimed(self, parents: Collection[int]) -> dict[int, int]:
        rows = self._run(f"SELECT parent, {STRETCHES} FROM run WHERE {_WITHIN} GROUP BY parent", (to_array(parents),))
        return {row[0]: extent_of(*row[1:]).addresses for row in rows}

    def last_entry(self) -> int:
        return int(self._do("SELECT coalesce(max(id), 0) FROM journal").fetchone()[0])

    def count(self, parent: int, first: int, last: int, state: str) -> int:
        row = self._do(
            "SELECT count(*) FROM claim WHERE parent = ? AND parent > 0 AND first BETWEEN ? AND ? AND state = ?",
            (parent, to_key(first), to_key(last), state),
        ).fetchone()
        return int(row[0])

    def gap(self, parent: int, first: int, last: int) -> int | None:
        key = to_key(first)
        row = self._do(_BEFORE, (parent, key, parent, key)).fetchone()
        if row:
            end = to_address(row[1]) + 1
            first = max(first, end)  # runs are coalesced: what follows one is free
            self._ends[parent, end] = row[0], to_address(row[2]) if row[2] else LINE_LAST + 2
        return first if first <= last else None

    def gaps(self, parent: int, first: int, last: int) -> Iterator[Range]:
        start = self.gap(parent, first, last)
        if start is None:
            return
        rows = self._run(
            "SELECT first, last FROM run WHERE parent = ? AND first BETWEEN ? AND ? ORDER BY first",
            (parent, to_key(start), to_key(last)),
        )
        for row in rows:
            yield Range(start, to_address(row[0]) - 1)
            start = to_address(row[1]) + 1
        if start <= last:
            yield Range(start, last)

    def claim(self, number: int) -> Claim | None:
        row = self._do(f"SELECT {CLAIM} FROM claim WHERE id = ?", (number,)).fetchone()
        return row and _claim(row)

    def insert(self, claim: Claim) -> int:
        if claim.parent:
            self._occupy(claim)
        return self._write(claim)

    def insert_all(self, claims: Sequence[Claim]) -> None:
        for parent, first, last in runs_of(claims):
            self._occupy(claims[0]._replace(parent=parent, first=first, last=last))
        self._many(_INSERT_CLAIM, [claim_row(claim, *_keys(claim.first, claim.last)) for claim in claims])

    def _write(self, claim: Claim) -> int:
        cursor = self._do(_INSERT_CLAIM, claim_row(claim, *_keys(claim.first, claim.last)))
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _occupy(self, claim: Claim) -> None:
        # Where `gap` has just looked, what is near is known. A claim right behind a run that does not reach the next
        # one makes that run longer, and no more, which is what round robin comes to:
        #       run-------first--last      behind---
        first, last = claim.first, claim.last
        run, behind = self._ends.pop((claim.parent, first), (b"", 0))
        if last + 1 < behind:
            self._do(_END, (to_key(last), claim.parent, run))
            return
        self._ends.clear()
        near = self._run(
            "SELECT first, last FROM run WHERE parent = ? AND first <= ? ORDER BY first DESC LIMIT 2",
            (claim.parent, to_key(min(claim.last + 1, LINE_LAST))),
        ).fetchall()
        #       low--high  low--high        runs are disjoint, and never touch
        #               first--last         ours may fill the gap on either side, or both: then two become one
        for low, high in ((to_address(a), to_address(b)) for a, b in near):
            if low == claim.last + 1:  # the run behind: it becomes part of ours
                last = high
            elif high >= claim.first:
                raise Overlap(f"{claim.text} overlaps what is claimed ({Range(low, high)})", prefix=claim.text)
            elif high == claim.first - 1:  # the run before: ours becomes part of it
                first = low
        if first < claim.first:
            if last > claim.last:
                self._do(_DELETE_RUN, (claim.parent, to_key(claim.last + 1)))
            self._do(_END, (to_key(last), claim.parent, to_key(first)))
        elif last > claim.last:
            self._do(_BEGIN, (to_key(first), claim.parent, to_key(claim.last + 1)))
        else:
            self._do(_INSERT_RUN, (claim.parent, to_key(first), to_key(last)))

    def update(self, claim: Claim) -> None:
        self._do(_UPDATE_CLAIM, change_row(claim))

    def remove(self, claim: Claim) -> None:
        self._do("DELETE FROM claim WHERE id = ?", (claim.id,))
        if claim.parent:
            self._vacate(claim)

    def _vacate(self, claim: Claim) -> None:
        self._ends.clear()
        run_first, run_last = self._do(
            "SELECT first, last FROM run WHERE parent = ? AND first <= ? ORDER BY first DESC LIMIT 1",
            (claim.parent, to_key(claim.first)),
        ).fetchone()
        #       run_first----------run_last      one run holds the claim: it was coalesced with what lies beside it
        #             first--last                the rest of it stays: before, behind, both (one becomes two), or none
        before, behind = to_address(run_first) < claim.first, claim.last < to_address(run_last)
        if before:
            self._do(_END, (to_key(claim.first - 1), claim.parent, run_first))
        if before and behind:
            self._do(_INSERT_RUN, (claim.parent, to_key(claim.last + 1), run_last))
        elif behind:
            self._do(_BEGIN, (to_key(claim.last + 1), claim.parent, run_first))
        elif not before:
            self._do(_DELETE_RUN, (claim.parent, run_first))

    def expired(self, parent: int, now: float, slack: float, limit: int) -> Sequence[Claim]:
        rows = self._run(
            f"SELECT {CLAIM} FROM claim WHERE parent = ? AND until IS NOT NULL AND (until <= ? OR since > ?)"
            " ORDER BY since LIMIT ?",
            (parent, now, now + slack, limit),
        ).fetchall()
        return [_claim(row) for row in rows]

    def cooling(self, parent: int, first: int, last: int) -> Claim | None:
        row = self._do(
            f"SELECT {CLAIM} FROM claim WHERE parent = ? AND until IS NOT NULL AND first BETWEEN ? AND ?"
            " ORDER BY since LIMIT 1",
            (parent, to_key(first), to_key(last)),
        ).fetchone()
        return row and _claim(row)

    def cursor(self, parent: int, number: int) -> int | None:
        row = self._do("SELECT address FROM cursor WHERE parent = ? AND number = ?", (parent, number)).fetchone()
        return row and to_address(row[0])

    def cursors(self, parent: int) -> dict[int, int]:
        rows = self._run("SELECT number, address FROM cursor WHERE parent = ? ORDER BY number", (parent,))
        return {number: to_address(address) for number, address in rows}

    def set_cursor(self, parent: int, number: int, address: int) -> None:
        self._do("INSERT OR REPLACE INTO cursor VALUES (?, ?, ?)", (parent, number, to_key(address)))

    def fence(self, parent: int, owner: Owner) -> float:
        row = self._do(
            "SELECT at FROM fence WHERE parent = ? AND holder = ? AND interface = ?", (parent, *owner)
        ).fetchone()
        return row[0] if row else 0.0

    def set_fence(self, parent: int, owner: Owner, at: float) -> None:
        self._do("INSERT OR REPLACE INTO fence VALUES (?, ?, ?, ?)", (parent, *owner, at))

    def drop_fences(self, before: float) -> None:
        self._do("DELETE FROM fence WHERE at < ?", (before,))

    def record(self, entry: Entry) -> int:
        cursor = self._do(_INSERT_ENTRY, entry_row(entry, None, *_keys(entry.first, entry.last)))
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def record_all(self, entries: Sequence[Entry]) -> list[int]:
        start = self._do("SELECT coalesce(max(id), 0) + 1 FROM journal").fetchone()[0]
        rows = [entry_row(e, number, *_keys(e.first, e.last)) for number, e in enumerate(entries, start)]
        self._many(_INSERT_ENTRY, rows)
        return list(range(start, start + len(rows)))

    def entries(self, until: float, after: int = 0) -> Iterator[Entry]:
        rows = self._run(f"SELECT {ENTRY} FROM journal WHERE id > ? AND at <= ? ORDER BY id", (after, until))
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
        key = to_key(address or 0)
        wanted = [
            ("parent = ?", (parent,), parent > 0),
            ("first <= ? AND last >= ?", (key, key), address is not None),
            ("holder >= ? AND holder < ?", (holder, holder + "\U0010ffff"), bool(holder)),
            (_AMONG, (to_array(holders or ()),), holders is not None),
        ]
        where = " AND ".join(sql for sql, _, given in wanted if given) or "1"
        values = [value for _, values, given in wanted if given for value in values]
        rows = self._run(f"SELECT {ENTRY} FROM journal WHERE {where} ORDER BY id DESC LIMIT ?", (*values, limit))
        return [_entry(row) for row in rows]

    def search_journal(self, wanted: JournalFilter, after: Place | None, limit: int) -> list[Entry]:
        rows: list[Any] = []
        for sql, values in statements(wanted, after, limit, "?", to_key):
            rows = self._run(sql, values).fetchall()
            if len(rows) == limit:
                break
        return [_entry(row) for row in rows]

    def entries_numbered(self, numbers: Collection[int]) -> list[Entry]:
        return [
            _entry(row)
            for row in self._run(
                f"SELECT {ENTRY} FROM journal WHERE id IN (SELECT value FROM json_each(?))", (to_array(numbers),)
            )
        ]

    def details(self, *, holders: Collection[str] | None = None, text: str = "") -> Iterator[tuple[str, str]]:
        where = "details <> '' AND instr(details, ?)" + ("" if holders is None else f" AND {_AMONG}")
        values = (text,) if holders is None else (text, to_array(holders))
        yield from self._run(f"SELECT holder, details FROM claim WHERE {where} AND parent > 0", values)
        yield from self._run(f"SELECT holder, details FROM journal WHERE {where} ORDER BY id DESC", values)

    def beginnings(self, numbers: Collection[int]) -> dict[int, int]:
        sql = beginnings("id IN (SELECT value FROM json_each(?))")
        return dict(self._run(sql, (to_array(numbers),)).fetchall())

    def past(self, moment: float) -> Past:
        from unipam.store.sqlite_past import SqlitePast  # no call of a node's asks for it

        return SqlitePast(self._run, moment)

    def turnover(self, parents: Collection[int], day: int, verbs: Verbs) -> list[Turnover]:
        values = (to_array(parents), day, verbs.moved)
        sums = ((*row[:3], *extent_of(*row[3:])) for row in self._run(turnover.made_and_freed(_DAYS), values))
        return turnover.turnovers(sums, self._run(turnover.moved(_DAYS), values), verbs.made, to_address)

    def forget(self, before: float) -> int:
        # The last entry stays: numbers rise from it, and a generation must never be given twice.
        kept = "SELECT min(id) AS id FROM journal WHERE at >= ? UNION ALL SELECT max(id) FROM journal"
        return self._do(f"DELETE FROM journal WHERE id < (SELECT min(id) FROM ({kept}))", (before,)).rowcount

    def lacking(self) -> list[str]:
        return []

    def note(self, key: str) -> str:
        row = self._do("SELECT value FROM note WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

    def set_note(self, key: str, value: str) -> None:
        self._do("INSERT OR REPLACE INTO note VALUES (?, ?)", (key, value))

    def notes(self, prefix: str) -> list[tuple[str, str]]:
        return self._run(
            "SELECT key, value FROM note WHERE key >= ? AND key < ? ORDER BY key", (prefix, prefix + "\U0010ffff")
        ).fetchall()

    def drop_note(self, key: str) -> None:
        self._do("DELETE FROM note WHERE key = ?", (key,))
