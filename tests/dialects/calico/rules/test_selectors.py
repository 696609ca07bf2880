"""The selector language (spec §1.2), against a slow and obvious reading of it; and what is said of nonsense."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unipam.dialects.calico.rules.selectors import parse, selects
from unipam.model.errors import BadValue

Labels = dict[str, str]
Expression = tuple[str, Callable[[Labels], bool]]

NAMES = st.sampled_from(["a", "b", "in", "kubernetes.io/hostname", "all", "not", "x-y_z"])
VALUES = st.text("ab' ()&|!", max_size=3)


def quoted(value: str) -> str:
    """A value in the quotes that it does not hold."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def test_of(name: str, value: str, values: list[str], kind: str, space: str) -> Expression:
    """One test of a label."""
    text, many = quoted(value), "{" + ", ".join(map(quoted, values)) + "}"
    meanings: dict[str, Callable[[Labels], bool]] = {
        "==": lambda labels: name in labels and labels[name] == value,
        "!=": lambda labels: name not in labels or labels[name] != value,
        "contains": lambda labels: name in labels and value in labels[name],
        "starts with": lambda labels: name in labels and labels[name].startswith(value),
        "ends with": lambda labels: name in labels and labels[name].endswith(value),
        "in": lambda labels: name in labels and labels[name] in values,
        "not in": lambda labels: name not in labels or labels[name] not in values,
        "has": lambda labels: name in labels,
    }
    if kind == "has":
        return f"has({space}{name}{space})", meanings[kind]
    return f"{name} {kind.replace(' ', space or ' ')} {many if kind in {'in', 'not in'} else text}", meanings[kind]


test_of.__test__ = False  # type: ignore[attr-defined]  # it is no test

KINDS = st.sampled_from(["==", "!=", "contains", "starts with", "ends with", "in", "not in", "has"])
LEAVES = st.one_of(
    st.just(("all()", lambda _labels: True)),
    st.builds(test_of, NAMES, VALUES, st.lists(VALUES, max_size=3), KINDS, st.sampled_from(["", " ", "  "])),
)


def negated(inner: Expression) -> Expression:
    """Not."""
    return f"!({inner[0]})", lambda labels: not inner[1](labels)


def joined(parts: list[Expression], sign: str) -> Expression:
    """And, or."""
    text = f" {sign} ".join(f"({text})" for text, _ in parts)
    decide = all if sign == "&&" else any
    return text, lambda labels: decide(meaning(labels) for _, meaning in parts)


EXPRESSIONS: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(negated),
        st.builds(joined, st.lists(inner, min_size=1, max_size=3), st.sampled_from(["&&", "||"])),
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, st.dictionaries(NAMES, VALUES))
def test_an_expression_means_what_it_says(expression: Expression, labels: Labels) -> None:
    text, meaning = expression
    assert selects(text, labels) == meaning(labels)


@pytest.mark.parametrize(
    ("text", "labels", "chosen"),
    [
        ("", {}, True),
        ("  ", {}, True),
        ("global()", {}, True),
        ("!has(a) && !!all()", {}, True),
        ("a == 'x' || b == 'y' && c == 'z'", {"a": "x"}, True),  # && binds closer
        ("a == 'x' || b == 'y' && c == 'z'", {"b": "y"}, False),
        ("a notin {'x'}", {"a": "y"}, True),
        ("a in {}", {"a": ""}, False),
        ("a in {'x',}", {"a": "x"}, True),
        ("in in {'in'}", {"in": "in"}, True),
        ("a startswith'x'", {"a": "xy"}, True),
        ('a == "it\'s"', {"a": "it's"}, True),
    ],
)
def test_fine_points(text: str, labels: Labels, chosen: bool) -> None:
    assert selects(text, labels) == chosen


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind = 'x'", "expected =="),
        ("a", "unexpected end of string looking for op"),
        ("a ==", "expected string"),
        ("a == b", "expected string"),
        ("a == 'x", "unterminated string"),
        ("a foo 'x'", 'expected operator after label "a"'),
        ("a inside {'x'}", 'expected operator after label "a"'),
        ("a in 'x'", "expected set literal"),
        ("a in {'x'", "expected }"),
        ("(a == 'x'", "expected )"),
        ("a == 'x' & b == 'y'", "expected &&"),
        ("a == 'x' | b == 'y'", "expected ||"),
        ("has(a", "no closing ')' after has("),
        ("has()", "expected identifier"),
        ("all(x)", "no closing ')' after all("),
        ("%", "expected identifier"),
        ("'x' == a", "unexpected token: TokStringLiteral(x)"),
        ("a ( 'x'", "expected == or != not: TokLParen()"),
        ("all() all()", "unexpected content at end of selector [TokAll() TokEOF()]"),
        ("b" * 513 + " == 'x'", f"label too long: {'b' * 513}"),
    ],
)
def test_what_makes_no_sense(text: str, problem: str) -> None:
    with pytest.raises(BadValue) as refused:
        parse(text)
    assert str(refused.value) == problem


@given(st.text("ab'\"(){}=!&|, hasin", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BadValue):
        assert parse(text)({"a": "b"}) in {True, False}
