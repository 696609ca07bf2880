"""Listings of claims as SQL, for both databases: which rows, in which order, from where on.

What differs between the two is given by a `Dialect`: how a parameter is written, an address kept, and a member of the
details found. A register has an index for the order of places (`claim_kind`); by other orders the rows of a kind are
sorted, and only the part that is wanted leaves the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from unipam.model.records import AGE, FOREVER, PLACE, UNTIL, Claim, Selection
from unipam.store.rows import CLAIM

SQLITE_INDEXES = {"claim_kind": "ON claim (kind, parent, first, last) WHERE parent > 0"}
"""What a register's file has besides (in PostgreSQL by migration): a node, which writes a lease in microseconds, has it
not. A file with or without them is the same to any unipam.
"""

MEMBERS = ("name", "desc", "created_by", "created_on", "status", "id")
"""The members of the details by which a listing may be sorted."""
NUMBERS = ("created_on",)


class Dialect(NamedTuple):
    """How one database writes it. `among` tests a column for being in a list, which is one parameter."""

    mark: str
    address: Callable[[int], Any]
    member: Callable[[str], str]
    number: Callable[[str], str]
    contains: str
    among: Callable[[str], str]
    array: Callable[[tuple[int, ...]], Any]


def query(wanted: Selection, how: Dialect) -> tuple[str, list[Any]]:
    """Return the statement for one part of a listing, and its parameters."""
    where, values = _where(wanted, how)
    columns = _order(wanted, how)
    if wanted.after is not None:
        sign = "<" if wanted.descending else ">"
        where.append(f"({', '.join(columns)}) {sign} ({', '.join([how.mark] * len(columns))})")
        values += _position(wanted, how)
    way = " DESC" if wanted.descending else ""
    order = ", ".join(f"{column}{way}" for column in columns)
    part = f"FROM claim WHERE {' AND '.join(where)} ORDER BY {order} LIMIT {how.mark}"
    if wanted.order == PLACE:
        return f"SELECT {CLAIM} {part}", [*values, wanted.limit]
    # Sorted are numbers, not whole rows: of those only the ones that are wanted are read.
    return f"SELECT {CLAIM} FROM claim WHERE id IN (SELECT id {part}) ORDER BY {order}", [*values, wanted.limit]


def count(wanted: Selection, how: Dialect) -> tuple[str, list[Any]]:
    """Return the statement that counts the whole listing, and its parameters."""
    where, values = _where(wanted, how)
    return f"SELECT count(*) FROM claim WHERE {' AND '.join(where)}", values


def _where(wanted: Selection, how: Dialect) -> tuple[list[str], list[Any]]:
    mark, parents = how.mark, wanted.parents or ()
    text = how.contains.format(column="holder"), how.contains.format(column="details")
    given: list[tuple[bool, str, list[Any]]] = [
        (True, "parent > 0", []),
        (bool(wanted.kind), f"kind = {mark}", [wanted.kind]),
        (wanted.parents is not None, how.among("parent"), [how.array(parents)]),
        # SQLite looks for a range of parents where it has an index, and reads from 0 on if it knows no other.
        (bool(parents), f"parent BETWEEN {mark} AND {mark}", [min(parents, default=0), max(parents, default=0)]),
        (bool(wanted.status), f"{_status(how)} = {mark}", [wanted.status]),
        (bool(wanted.text), f"({text[0]} OR {text[1]})", [wanted.text.lower()] * 2),
    ]
    if wanted.overlaps is not None:
        ends = [how.address(wanted.overlaps.last), how.address(wanted.overlaps.first)]
        given.append((True, f"first <= {mark} AND last >= {mark}", ends))
    return [sql for there, sql, _ in given if there], [v for there, _, values in given if there for v in values]


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
