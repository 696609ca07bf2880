"""What stood after a line of a register's journal, as SQL for both databases.

What stands now are the claims. What stood once and was replaced or removed is the table `past`: a row for each line of
the journal that another one replaced, `number`, with the one that did so, `ended`. The databases write it themselves
whenever such a line comes. So what stood after a line is found, parent by parent, among the claims that are as old as
that line and what has ended since: looking back costs what has happened meanwhile, not all that ever has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from unipam.addr.prefix import Range
from unipam.model.records import SPACE

_REPLACED = """SELECT v.parent, r.id, v.id, v.first, v.last,
    CASE WHEN json_valid(v.details) THEN json_extract(v.details, '$.type') END"""
_MADE = "v.verb IN ('create', 'change')"

SQLITE_TABLE = {
    "past": (
        """CREATE TABLE past (
            parent INTEGER, ended INTEGER, number INTEGER NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL, kind TEXT,
            PRIMARY KEY (parent, ended)) WITHOUT ROWID""",
        f"""INSERT INTO past {_REPLACED} FROM journal AS r JOIN journal AS v ON v.id = r.generation
            WHERE r.generation > 0 AND {_MADE} ORDER BY r.id""",
        f"""CREATE TRIGGER keep_past AFTER INSERT ON journal WHEN NEW.generation > 0 BEGIN
            INSERT INTO past {_REPLACED.replace("r.id", "NEW.id")} FROM journal AS v
            WHERE v.id = NEW.generation AND {_MADE}; END""",
    )
}
"""What a register's file has besides (in PostgreSQL by migration), as those of `store.listing`."""


def line_at(mark: str) -> str:
    """Return the statement for the last line that the journal had at a moment."""
    return f"SELECT id FROM journal WHERE at <= {mark} ORDER BY at DESC, id DESC LIMIT 1"


def stood(among: str, mark: str) -> str:
    """Return what was under some parents after a line; `among` tests the column `parent`, `values` has the values."""
    return f"""SELECT parent, first, last, kind, generation AS number FROM claim
            WHERE parent > 0 AND {among} AND generation <= {mark}
        UNION ALL SELECT parent, first, last, kind, number FROM past
            WHERE {among} AND ended > {mark} AND number <= {mark}"""


def values(parents: object, line: int) -> tuple[object, int, object, int, int]:
    """Return the values of `stood`: the parents as its test wants them, and the line."""
    return parents, line, parents, line, line


def roots(mark: str) -> str:
    """Return the statement for the spaces after a line, which is its value three times."""
    return f"""SELECT generation FROM claim WHERE kind = '{SPACE}' AND generation <= {mark}
        UNION ALL SELECT number FROM past WHERE parent = 0 AND ended > {mark} AND number <= {mark}"""


def gaps_between(stretches: Iterable[tuple[int, int]], first: int, last: int) -> Iterator[Range]:
    """Yield what lies between stretches, which are apart and in order, from `first` to `last`."""
    for begin, end in stretches:
        if begin > last:
            break
        if first < begin:
            yield Range(first, begin - 1)
        first = max(first, end + 1)
    if first <= last:
        yield Range(first, last)
