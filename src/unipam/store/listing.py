"""Listings of claims as SQL, for both databases: which rows, in which order, from where on.

What differs between the two is given by a `Dialect`: how a parameter is written, an address kept, and a member of the
details found. A register has an index for the order of places (`claim_kind`); by other orders the rows of a kind are
sorted, and only the part that is wanted leaves the database.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from unipam.model.objects import RESERVATION
from unipam.model.records import AGE, FOREVER, PLACE, UNTIL, Claim, Selection
from unipam.store.rows import CLAIM

SQLITE_INDEXES = {
    "claim_kind": ("CREATE INDEX claim_kind ON claim (kind, parent, first, last) WHERE parent > 0",),
}
"""What a register's file has besides (in PostgreSQL by migration): a node, which writes a lease in microseconds, has it
not. A file with or without them is the same to any unipam.
"""

MEMBERS = ("name", "desc", "created_by", "created_on", "status", "id")
"""The members of the details by which a listing may be sorted."""
NUMBERS = ("created_on",)
TEXTS = ("name", "desc", "created_by", "id")
"""The members of the details in which a text is looked for: what people write and read.

A reservation's id is drawn by lot, so nobody looks for the middle of one, and an index of its parts costs more than
all else that is written of a reservation. It is its holder, which is looked for from its beginning.
"""
_NEWLINE = "\n"
_PLAIN = re.compile(r"[ !#-\[\]-~]+")
"""A text that stands in JSON as it is."""
_LAST_CHARACTER = chr(0x10FFFF)


class Dialect(NamedTuple):
    """How one database writes it. `among` tests a column for being in a list, which is one parameter.

    `contains` tests an expression for a text, of which `pattern` makes the parameter; which letters are the same is the
    database's (SQLite: ASCII's). `index_texts`: there may be an index for it (`texts`).
    """

    mark: str
    address: Callable[[int], Any]
    member: Callable[[str], str]
    number: Callable[[str], str]
    contains: Callable[[str], str]
    pattern: Callable[[str], str]
    index_texts: bool
    among: Callable[[str], str]
    array: Callable[[tuple[int, ...]], Any]


Statement = tuple[str, list[Any]]

TRIGRAM = 3
"""Characters that a text must have for an index of texts to serve."""


def query(wanted: Selection, how: Dialect) -> Statement:
    """Return the statement for one part of a listing, and its parameters."""
    where, values = _listed(wanted, how)
    values.append(wanted.limit)
    if how.index_texts and len(wanted.text) >= TRIGRAM:
        # Else the planner, who does not know how rare a text is, would look for the first ones that have it in order.
        found = f"WITH found AS MATERIALIZED (SELECT {CLAIM} FROM claim WHERE {where})"
        return f"{found} SELECT {CLAIM} FROM found {_end(wanted, how)}", values
    part = f"FROM claim WHERE {where} {_end(wanted, how)}"
    if wanted.order == PLACE:
        return f"SELECT {CLAIM} {part}", values
    # Sorted are numbers, not whole rows: of those only the ones that are wanted are read.
    return f"SELECT {CLAIM} FROM claim WHERE id IN (SELECT id {part}) ORDER BY {_sorting(wanted, how)}", values


def _end(wanted: Selection, how: Dialect) -> str:
    return f"ORDER BY {_sorting(wanted, how)} LIMIT {how.mark}"


def _sorting(wanted: Selection, how: Dialect) -> str:
    way = " DESC" if wanted.descending else ""
    return ", ".join(f"{column}{way}" for column in _order(wanted, how))


def _listed(wanted: Selection, how: Dialect) -> Statement:
    """Return the condition for a listing from its `after` on."""
    where, values = _where(wanted, how)
    if wanted.after is not None:
        columns, sign = _order(wanted, how), "<" if wanted.descending else ">"
        where.append(f"({', '.join(columns)}) {sign} ({', '.join([how.mark] * len(columns))})")
        values += _position(wanted, how)
    return " AND ".join(where), values


def count(wanted: Selection, how: Dialect) -> tuple[str, list[Any]]:
    """Return the statement that counts the whole listing, and its parameters."""
    where, values = _where(wanted, how)
    return f"SELECT count(*) FROM claim WHERE {' AND '.join(where)}", values


def _where(wanted: Selection, how: Dialect) -> tuple[list[str], list[Any]]:
    mark, parents = how.mark, wanted.parents or ()
    text, texts = _has_text(wanted, how)
    given: list[tuple[bool, str, list[Any]]] = [
        (True, "parent > 0", []),
        (bool(wanted.kind), f"kind = {mark}", [wanted.kind]),
        (wanted.parents is not None, how.among("parent"), [how.array(parents)]),
        # SQLite looks for a range of parents where it has an index, and reads from 0 on if it knows no other.
        (bool(parents), f"parent BETWEEN {mark} AND {mark}", [min(parents, default=0), max(parents, default=0)]),
        (bool(wanted.status), f"{_status(how)} = {mark}", [wanted.status]),
        (bool(wanted.text), text, texts),
    ]
    if wanted.overlaps is not None:
        ends = [how.address(wanted.overlaps.last), how.address(wanted.overlaps.first)]
        given.append((True, f"first <= {mark} AND last >= {mark}", ends))
    return [sql for there, sql, _ in given if there], [v for there, _, values in given if there for v in values]


def _has_text(wanted: Selection, how: Dialect) -> Statement:
    begins = f"holder >= {how.mark} AND holder < {how.mark}"
    text, values = how.contains(texts(how)), [how.pattern(wanted.text)]
    if not how.index_texts and _PLAIN.fullmatch(wanted.text):  # few details have it at all: they alone are decoded
        text, values = f"({how.contains('details')} AND {text})", values * 2
    return f"({text} OR {begins})", [*values, wanted.text, wanted.text + _LAST_CHARACTER]


def texts(how: Dialect) -> str:
    """Return the expression for what is written in a claim's TEXTS, a line for each."""
    found = {name: f"coalesce({how.member(name)}, '')" for name in TEXTS}
    found["id"] = f"CASE kind WHEN '{RESERVATION}' THEN '' ELSE {found['id']} END"
    return f" || '{_NEWLINE}' || ".join(found.values())


def has_text(claim: Claim, members: dict[str, Any], text: str) -> bool:
    """Return whether a claim, whose details have these members, has a text, as the statements decide it."""
    names = [name for name in TEXTS if name != "id" or claim.kind != RESERVATION]
    written = _NEWLINE.join(str(members.get(name) or "") for name in names)
    return text.lower() in written.lower() or claim.owner.holder.startswith(text)


def _status(how: Dialect) -> str:
    return f"coalesce({how.member('status')}, 'wait')"  # the default, which is not written down


def _order(wanted: Selection, how: Dialect) -> list[str]:
    if wanted.order == PLACE:
        return ["parent", "first"]
    if wanted.order == AGE:
        return ["id"]
    if wanted.order == UNTIL:
        return [f"coalesce(until, {FOREVER:.0f})", "id"]
    if wanted.order not in MEMBERS:
        raise ValueError(wanted.order)
    if wanted.order in NUMBERS:
        return [f"coalesce({how.number(wanted.order)}, 0)", "id"]
    return [_status(how) if wanted.order == "status" else f"coalesce({how.member(wanted.order)}, '')", "id"]


def _position(wanted: Selection, how: Dialect) -> list[Any]:
    assert wanted.after is not None
    value, number = wanted.after
    if wanted.order == PLACE:
        return [value, how.address(number)]
    return [number] if wanted.order == AGE else [value, number]


def position(claim: Claim, order: str, members: dict[str, Any]) -> tuple[str | float, int]:
    """Return by which values a claim, whose details have these members, stands in an order."""
    if order == PLACE:
        return claim.parent, claim.first
    if order == AGE:
        return 0, claim.id
    if order == UNTIL:
        return (FOREVER if claim.until is None else claim.until), claim.id
    default: str | float = 0 if order in NUMBERS else "wait" if order == "status" else ""
    found = members.get(order)
    return (default if found is None else found), claim.id
