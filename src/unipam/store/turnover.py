"""How many addresses came to be claimed, and were freed, day by day: sums over a register's journal, for all stores.

A day is one of UTC, numbered from that of the epoch. In SQLite an index has the day itself, so that a sum reads its own
entries alone, and in order; in PostgreSQL one by time has what is summed beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

from unipam.model.records import Entry

DAY = 86_400
"""Seconds."""
_SQLITE_DAY = f"CAST(at / {DAY} AS INTEGER)"
SQLITE_INDEXES = {
    "journal_day": (f"CREATE INDEX journal_day ON journal (parent, {_SQLITE_DAY}, verb, first, last, generation)",)
}
"""What a register's file has besides, as those of `store.listing`."""


class Turnover(NamedTuple):
    """What the journal tells of a parent's day: how many entries, addresses that were claimed, and that were freed."""

    parent: int
    day: int
    entries: int
    claimed: int
    freed: int


class Verbs(NamedTuple):
    """What claims addresses (`made`), and what may give a claim others (`moved`); every other verb frees them.

    An entry that frees has the prefix that is freed; one that moves replaces the entry of its generation.
    """

    made: str
    moved: str


class Dialect(NamedTuple):
    """How one database writes it: the day of an entry, that it is one of many parents' and not before a day, sums.

    `sums` count entries and add up their addresses, as the store does elsewhere.
    """

    day: str
    within: str
    mark: str
    sums: str


def sqlite(among: str, sums: str) -> Dialect:
    """Return SQLite's way, where `among` tests for one of many parents."""
    return Dialect(_SQLITE_DAY, f"{among} AND {_SQLITE_DAY} >= ?", "?", sums)


def postgres(among: str, sums: str) -> Dialect:
    """Return PostgreSQL's way, where `among` tests for one of many parents."""
    return Dialect(f"floor(at / {DAY})::int", f"{among} AND at >= {DAY} * %s::bigint", "%s", sums)


def made_and_freed(how: Dialect) -> str:
    """Return the statement for (parent, day, verb, *sums); its values: the parents, a day, the verb that moves."""
    return (
        f"SELECT parent, {how.day}, verb, {how.sums} FROM journal WHERE {how.within} AND verb <> {how.mark}"
        f" GROUP BY parent, {how.day}, verb"
    )


def moved(how: Dialect) -> str:
    """Return the statement for (parent, day, ends after, ends before) of what moved, which is little."""
    return f"""SELECT after.parent, after.day, after.first, after.last, before.first, before.last
        FROM (SELECT parent, {how.day} AS day, first, last, generation FROM journal
              WHERE {how.within} AND verb = {how.mark}) AS after
        JOIN journal AS before ON before.id = after.generation
        WHERE after.first <> before.first OR after.last <> before.last"""


def turnovers(
    sums: Iterable[tuple[int, int, str, int, int]], moves: Iterable[Any], made: str, place: Callable[[Any], int]
) -> list[Turnover]:
    """Return the days of which there is something to tell, in order.

    `sums` are (parent, day, verb, entries, addresses), `moves` the rows of `moved`, of which `place` reads an address.
    """
    parts = [
        Turnover(parent, day, entries, *((addresses, 0) if verb == made else (0, addresses)))
        for parent, day, verb, entries, addresses in sums
    ]
    parts += [_move(row[0], row[1], *map(place, row[2:])) for row in moves]
    return _by_day(parts)


def _move(parent: int, day: int, first: int, last: int, first_before: int, last_before: int) -> Turnover:
    return Turnover(parent, day, 1, last - first + 1, last_before - first_before + 1)


def _by_day(parts: Iterable[Turnover]) -> list[Turnover]:
    found: dict[tuple[int, int], Turnover] = {}
    for each in parts:
        key = each.parent, each.day
        known = found.get(key, Turnover(*key, 0, 0, 0))
        found[key] = Turnover(*key, *(a + b for a, b in zip(known[2:], each[2:], strict=True)))
    return sorted(found.values())


def of_entries(entries: Collection[Entry], parents: Collection[int], day: int, verbs: Verbs) -> list[Turnover]:
    """Return the same from all entries of a journal; for the store that has no SQL."""
    known = {entry.id: entry for entry in entries}
    told = [entry for entry in entries if entry.parent in parents and _day(entry) >= day]
    sums = [(e.parent, _day(e), e.verb, 1, e.last - e.first + 1) for e in told if e.verb != verbs.moved]
    return turnovers(sums, _moves([e for e in told if e.verb == verbs.moved], known), verbs.made, int)


def _moves(entries: Iterable[Entry], known: dict[int, Entry]) -> Iterator[tuple[int, ...]]:
    for after in entries:
        before = known.get(after.generation)
        if before is not None and (after.first, after.last) != (before.first, before.last):
            yield after.parent, _day(after), after.first, after.last, before.first, before.last


def _day(entry: Entry) -> int:
    return int(entry.at // DAY)
