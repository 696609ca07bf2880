"""Questions to a register's journal, newest first, in a part at a time; for both SQL stores.

A register's journal has indexes; a node's has none. By time, by actor and by verb they give the entries in the order in
which they are wanted. By holder and by address they do not, and whether one of them serves depends on how rare what is
looked for is, which no planner knows. So there are two statements: one looks through the latest entries in the order of
time, and finds enough of whatever is common; only what is rare is asked for by its own index, and is little to sort.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from unipam.addr.prefix import BITS, Range, truncate
from unipam.store.rows import ENTRY

Key = TypeVar("Key")

WINDOW = 5000
"""Entries that are looked through in the order of time."""
_COLUMNS = {f"journal_{columns.partition(',')[0]}": columns for columns in (
    "at, id", "actor, at, id", "verb, at, id", "holder", "first",
)}  # fmt: skip
SQLITE_INDEXES = {name: (f"CREATE INDEX {name} ON journal ({columns})",) for name, columns in _COLUMNS.items()}
"""What a register's file has besides (in PostgreSQL by migration), as those of `store.listing`."""


class JournalFilter(NamedTuple):
    """Which entries. What is empty or None does not count.

    `since` and `until` bound the time (epoch seconds), `actor` and `verb` are exactly these, `holder` is how the
    holder begins. `around` is an address that the entry's prefix contains, `within` a stretch that contains it.
    """

    since: float | None = None
    until: float | None = None
    actor: str = ""
    verb: str = ""
    holder: str = ""
    around: int | None = None
    within: Range | None = None


class Place(NamedTuple):
    """Where a part of the journal ended: the time and number of its last entry."""

    at: float
    number: int


Statement = tuple[str, list[Any]]


def statements(
    wanted: JournalFilter, after: Place | None, limit: int, mark: str, key: Callable[[int], Any]
) -> Iterator[Statement]:
    """Yield statements, each with its values; the next one counts only when one finds fewer than `limit` rows.

    `mark` stands for a value in the store's SQL, `key` is how it keeps an address.
    """
    time, time_values = _joined(itertools.chain(_equal(wanted), _times(wanted, after)), mark)
    rest, rest_values = _joined(_others(wanted, key), mark)
    order = "ORDER BY at DESC, id DESC"
    latest = f"SELECT {ENTRY} FROM journal WHERE {time} {order} LIMIT {mark}"
    if rest == "true":
        yield latest, [*time_values, limit]
        return
    window = f"SELECT {ENTRY} FROM ({latest}) AS latest WHERE {rest} {order} LIMIT {mark}"
    yield window, [*time_values, WINDOW, *rest_values, limit]
    whole = f"SELECT {ENTRY} FROM journal WHERE {rest} AND {time} {order} LIMIT {mark}"
    yield whole, [*rest_values, *time_values, limit]


Condition = tuple[str, tuple[Any, ...]]


def _joined(conditions: Iterable[Condition], mark: str) -> Statement:
    """Return conditions as one, with their values; every `?` becomes the store's mark."""
    found = list(conditions)
    where = " AND ".join(sql for sql, _ in found) or "true"
    return where.replace("?", mark), [value for _, values in found for value in values]


def _times(wanted: JournalFilter, after: Place | None) -> Iterator[Condition]:
    if wanted.since is not None:
        yield "at >= ?", (wanted.since,)
    if wanted.until is not None:
        yield "at <= ?", (wanted.until,)
    if after is not None:
        yield "(at, id) < (?, ?)", after


def _equal(wanted: JournalFilter) -> Iterator[Condition]:
    if wanted.actor:
        yield "actor = ?", (wanted.actor,)
    if wanted.verb:
        yield "verb = ?", (wanted.verb,)


def _others(wanted: JournalFilter, key: Callable[[int], Any]) -> Iterator[Condition]:
    if wanted.holder:
        yield "holder >= ? AND holder < ?", (wanted.holder, wanted.holder + "\U0010ffff")
    if wanted.around is not None:
        # A prefix around an address begins at one of its truncations: so an index on `first` serves.
        firsts = sorted({truncate(wanted.around, length).first for length in range(BITS + 1)})
        marks = ", ".join("?" * len(firsts))
        yield f"first IN ({marks}) AND last >= ?", (*map(key, firsts), key(wanted.around))
    if wanted.within is not None:
        yield "first BETWEEN ? AND ? AND last <= ?", (*map(key, wanted.within), key(wanted.within.last))


def beginnings(numbers: str) -> str:
    """Return the statement for `Tx.beginnings`; `numbers` tests an id."""
    return f"""WITH RECURSIVE up (start, id, generation) AS (
        SELECT id, id, generation FROM journal WHERE {numbers}
        UNION ALL
        SELECT up.start, before.id, before.generation FROM up JOIN journal AS before ON before.id = up.generation
        WHERE up.generation > 0
    ) SELECT start, id FROM up WHERE generation = 0"""


def matches(wanted: JournalFilter, after: Place | None, entry: Any) -> bool:
    """Return whether an entry is one of these; for the store that has no SQL."""
    around, within = wanted.around, wanted.within
    return bool(
        (wanted.since is None or entry.at >= wanted.since)
        and (wanted.until is None or entry.at <= wanted.until)
        and (after is None or (entry.at, entry.id) < after)
        and wanted.actor in ("", entry.actor)
        and wanted.verb in ("", entry.verb)
        and entry.owner.holder.startswith(wanted.holder)
        and (around is None or entry.first <= around <= entry.last)
        and (within is None or (within.first <= entry.first and entry.last <= within.last))
    )
