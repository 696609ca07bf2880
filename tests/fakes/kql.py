"""As much of Resource Graph's query language as a fake needs to answer the queries that are really sent to it.

Not Kusto: only the statements `where`, `extend`, `mv-expand`, `project` and `order by`, and the operators and functions
listed here, with the meaning that Microsoft's documentation gives them. Whatever else a query says is refused with
`BadQuery`, never guessed. Expressions of one statement all see the row as it came in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]
Expression = Callable[[Row], Any]

_TOKEN = re.compile(r"\s*(?:(?P<text>'[^']*')|(?P<number>\d+)|(?P<word>[A-Za-z_]\w*)|(?P<sign>in~|=~|!~|[=.,()\[\]>]))")
DEFAULT_EXPANSION = 128


class BadQuery(Exception):
    """The query says something that is not understood here."""


def run(query: str, tables: Mapping[str, Iterable[Row]]) -> list[dict[str, Any]]:
    """The rows that a query answers with."""
    table, *statements = [part.strip() for part in query.strip().split("\n|")]
    if table.lower() not in tables:
        raise BadQuery(f"table {table!r} is not known")
    rows: list[dict[str, Any]] = [dict(row) for row in tables[table.lower()]]
    for statement in statements:
        rows = _apply(statement, rows)
    return rows


def _apply(statement: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    verb, _, rest = statement.partition(" ")
    if verb == "where":
        holds = _Parser(rest).whole()
        return [row for row in rows if holds(row)]
    if verb == "extend":
        columns = _Parser(rest).columns()
        return [row | {name: value(row) for name, value in columns} for row in rows]
    if verb == "project":
        columns = _Parser(rest).columns()
        return [{name: value(row) for name, value in columns} for row in rows]
    if verb == "mv-expand":
        return _expand(rest, rows)
    if verb == "order":
        return _ordered(rest, rows)
    raise BadQuery(f"statement {verb!r} is not known")


def _expand(text: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = re.fullmatch(r"(\w+) = (\S+)(?: limit (\d+))?", text)
    if said is None:
        raise BadQuery(f"mv-expand {text!r}")
    name, values = said[1], _Parser(said[2]).whole()
    limit = int(said[3] or DEFAULT_EXPANSION)
    return [row | {name: value} for row in rows for value in (values(row) or [None])[:limit]]


def _ordered(text: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    said = re.fullmatch(r"by (\w+) asc(?:, (\w+) asc)?", text)
    if said is None:
        raise BadQuery(f"order {text!r}")
    names = [name for name in said.groups() if name]
    return sorted(rows, key=lambda row: [str(row[name]) for name in names])


def _string(value: Any) -> str:
    return "" if value is None else str(value)


def _same(left: Any, right: Any) -> bool:
    return _string(left).lower() == _string(right).lower()


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value not in (None, "")), None)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "array_length": lambda value: len(value) if isinstance(value, list) else None,
    "coalesce": _coalesce,
    "iff": lambda test, yes, no: yes if test else no,
    "isempty": lambda value: value in (None, ""),
    "isnotempty": lambda value: value not in (None, ""),
    "isnotnull": lambda value: value is not None,
    "tolower": lambda value: _string(value).lower(),
    "tostring": _string,
}


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        place = 0
        text = text.strip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise BadQuery(f"cannot read {text[place:]!r}")
            # `in~` is read as the word `in` and a sign that is none; it is one sign of its own.
            if found["word"] == "in" and text.startswith("in~", found.start("word")):
                self._tokens.append("in~")
                place = found.end() + 1
                continue
            self._tokens.append(found.group().strip())
            place = found.end()
        self._place = 0

    def whole(self) -> Expression:
        """The one expression that there is."""
        found = self._all()
        if self._peek():
            raise BadQuery(f"{self._peek()!r} is not expected")
        return found

    def columns(self) -> list[tuple[str, Expression]]:
        """`name = expression` or `name`, with commas between."""
        found = []
        while True:
            name = self._next()
            if self._peek() == "=":
                self._next()
                found.append((name, self._all()))
            else:
                found.append((name, _path([name])))
            if not self._peek():
                return found
            self._expect(",")

    def _all(self) -> Expression:
        tests = [self._test()]
        while self._peek() == "and":
            self._next()
            tests.append(self._test())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _test(self) -> Expression:
        left = self._value()
        sign = self._peek()
        if sign not in ("=~", "!~", ">", "in~"):
            return left
        self._next()
        if sign == "in~":
            choices = self._arguments()
            return lambda row: any(_same(left(row), choice(row)) for choice in choices)
        right = self._value()
        if sign == ">":
            return lambda row: left(row) is not None and left(row) > right(row)
        return lambda row: _same(left(row), right(row)) == (sign == "=~")

    def _value(self) -> Expression:
        token = self._next()
        if token.startswith("'"):
            return lambda row: token[1:-1]
        if token.isdigit():
            return lambda row: int(token)
        if self._peek() == "(":
            if token not in FUNCTIONS:
                raise BadQuery(f"function {token!r} is not known")
            arguments = self._arguments()
            return lambda row: FUNCTIONS[token](*(each(row) for each in arguments))
        steps: list[str | int] = [token]
        while self._peek() in (".", "["):
            if self._next() == ".":
                steps.append(self._next())
            else:
                steps.append(int(self._next()))
                self._expect("]")
        return _path(steps)

    def _arguments(self) -> list[Expression]:
        self._expect("(")
        found = [self._all()]
        while self._peek() == ",":
            self._next()
            found.append(self._all())
        self._expect(")")
        return found

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise BadQuery("the query ends too early")
        self._place += 1
        return token

    def _expect(self, token: str) -> None:
        if self._next() != token:
            raise BadQuery(f"{token!r} is expected")


def _path(steps: list[Any]) -> Expression:
    """What is found step by step; a column must be there, what is inside one need not be."""

    def value(row: Row) -> Any:
        if steps[0] not in row:
            raise BadQuery(f"column {steps[0]!r} is not known")
        found: Any = row[steps[0]]
        for step in steps[1:]:
            if isinstance(step, int):
                found = found[step] if isinstance(found, list) and len(found) > step else None
            else:
                found = found.get(step) if isinstance(found, dict) else None
        return found

    return value
