"""Calico's selector language: expressions over labels (spec §1.2).

    expression = conjunction { "||" conjunction }          conjunction = operation { "&&" operation }
    operation  = { "!" } ( "all()" | "global()" | "has(" label ")" | "(" expression ")" | label test )
    test       = ( "==" | "!=" | "contains" | "starts with" | "ends with" ) string | ( "in" | "not in" ) "{" strings "}"

A label that is not there is unequal to everything and in no set; other tests of it fail. Nothing at all selects all.
What is wrong is said in the original's words.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from unipam.model.errors import BadValue

Labels = Mapping[str, str]
Selector = Callable[[Labels], bool]

LONGEST_LABEL = 512


class _Token(NamedTuple):
    kind: str
    value: str = ""

    def __str__(self) -> str:
        return f"Tok{self.kind}({self.value})"


@functools.lru_cache(maxsize=512)
def parse(text: str) -> Selector:
    """Parse a selector. Raises BadValue."""
    tokens = _Tokens(_tokenize(text))
    if tokens.first.kind == "EOF":
        return _everything
    found = _any_of(tokens)
    if len(tokens.rest) != 1:
        raise _wrong(f"unexpected content at end of selector [{' '.join(map(str, tokens.rest))}]", text)
    return found


def selects(text: str, labels: Labels) -> bool:
    """Return whether a selector selects labels. Raises BadValue."""
    return parse(text)(labels)


def _everything(labels: Labels) -> bool:  # noqa: ARG001 (it looks at none)
    return True


def _wrong(problem: str, text: str = "") -> BadValue:
    return BadValue(problem, field="selector", value=text)


# Words ------------------------------------------------------------------------------------------------------

_SIGNS = {
    "(": "LParen", ")": "RParen", "{": "LBrace", "}": "RBrace", ",": "Comma", "==": "Eq", "!=": "Ne", "!": "Not",
    "&&": "And", "||": "Or",
}  # fmt: skip
_SIGN = re.compile(r"==|!=|&&|\|\||[(){},!]")
_BLANK = re.compile(r"[ \t]*")
_STRING = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_END = r"(?![a-zA-Z0-9_./-])"
_OPERATORS = tuple(
    (kind, re.compile(words + _END))
    for kind, words in (
        ("Contains", "contains"),
        ("StartsWith", r"starts[ \t]*with[ \t]*"),
        ("EndsWith", r"ends[ \t]*with[ \t]*"),
        ("NotIn", r"not[ \t]*in[ \t]*"),
        ("In", "in"),
    )
)
_LABEL = re.compile(r"[a-zA-Z0-9_./-]+")


def _tokenize(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = _skip(text, 0)
    while at < len(text):
        token, at = _next(text, at, tokens[-1] if tokens else None)
        tokens.append(token)
        at = _skip(text, at)
    return [*tokens, _Token("EOF")]


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    assert blank is not None
    return blank.end()


def _next(text: str, at: int, before: _Token | None) -> tuple[_Token, int]:
    if sign := _SIGN.match(text, at):
        return _Token(_SIGNS[sign[0]]), sign.end()
    if string := _STRING.match(text, at):
        return _Token("StringLiteral", string[1] if string[1] is not None else string[2]), string.end()
    if text[at] in "\"'":
        raise _wrong("unterminated string", text)
    if text[at] in "=&|":
        raise _wrong(f"expected {text[at] * 2}", text)
    if before is not None and before.kind == "Label":
        return _operator(text, at, before.value)
    for name, kind in (("has(", "Has"), ("all(", "All"), ("global(", "Global")):
        if text.startswith(name, at):
            return _call(text, at + len(name), name, kind)
    label, at = _label(text, at)
    return _Token("Label", label), at


def _operator(text: str, at: int, label: str) -> tuple[_Token, int]:
    for kind, words in _OPERATORS:
        if found := words.match(text, at):
            return _Token(kind), found.end()
    raise _wrong(f'expected operator after label "{label}"', text)


def _call(text: str, at: int, name: str, kind: str) -> tuple[_Token, int]:
    label, at = "", _skip(text, at)
    if kind == "Has":
        label, at = _label(text, at)
        at = _skip(text, at)
    if not text.startswith(")", at):
        raise _wrong(f"no closing ')' after {name}", text)
    return _Token(kind, label), at + 1


def _label(text: str, at: int) -> tuple[str, int]:
    found = _LABEL.match(text, at)
    if found is None:
        raise _wrong("expected identifier", text)
    if len(found[0]) > LONGEST_LABEL:
        raise _wrong(f"label too long: {found[0]}", text)
    return found[0], found.end()


# Sentences ---------------------------------------------------------------------------------------------------


class _Tokens:
    """What is left to read."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.rest = tokens

    @property
    def first(self) -> _Token:
        return self.rest[0]

    def take(self, kind: str) -> bool:
        """Step over a token of this kind, if it comes next."""
        if self.first.kind != kind:
            return False
        self.rest = self.rest[1:]
        return True

    def pop(self) -> _Token:
        first, self.rest = self.rest[0], self.rest[1:]
        return first


def _any_of(tokens: _Tokens) -> Selector:
    parts = [_all_of(tokens)]
    while tokens.take("Or"):
        parts.append(_all_of(tokens))
    return parts[0] if len(parts) == 1 else lambda labels: any(part(labels) for part in parts)


def _all_of(tokens: _Tokens) -> Selector:
    parts = [_operation(tokens)]
    while tokens.take("And"):
        parts.append(_operation(tokens))
    return parts[0] if len(parts) == 1 else lambda labels: all(part(labels) for part in parts)


def _operation(tokens: _Tokens) -> Selector:
    negated = False
    while tokens.take("Not"):
        negated = not negated
    positive = _positive(tokens)
    return (lambda labels: not positive(labels)) if negated else positive


def _positive(tokens: _Tokens) -> Selector:
    if tokens.take("LParen"):
        inner = _any_of(tokens)
        if not tokens.take("RParen"):
            raise _wrong("expected )")
        return inner
    token = tokens.first
    if token.kind not in {"Has", "All", "Global", "Label"}:
        raise _wrong(f"unexpected token: {token}")
    tokens.pop()
    if token.kind == "Has":
        return lambda labels: token.value in labels
    return _everything if token.kind in {"All", "Global"} else _test(token.value, tokens)


_TESTS: dict[str, Callable[[str, str], Callable[[Labels], bool]]] = {
    "Eq": lambda label, value: lambda labels: labels.get(label) == value,
    "Ne": lambda label, value: lambda labels: labels.get(label) != value,
    "Contains": lambda label, value: lambda labels: label in labels and value in labels[label],
    "StartsWith": lambda label, value: lambda labels: label in labels and labels[label].startswith(value),
    "EndsWith": lambda label, value: lambda labels: label in labels and labels[label].endswith(value),
}


def _test(label: str, tokens: _Tokens) -> Selector:
    if len(tokens.rest) < 2:
        raise _wrong("unexpected end of string looking for op")
    operator = tokens.pop()
    if operator.kind in {"In", "NotIn"}:
        wanted, values = operator.kind == "In", _values(tokens)
        return lambda labels: (labels.get(label) in values) == wanted
    if operator.kind not in _TESTS:
        raise _wrong(f"expected == or != not: {operator}")
    value = tokens.pop()
    if value.kind != "StringLiteral":
        raise _wrong("expected string")
    return _TESTS[operator.kind](label, value.value)


def _values(tokens: _Tokens) -> frozenset[str]:
    if not tokens.take("LBrace"):
        raise _wrong("expected set literal")
    values = set()
    while tokens.first.kind == "StringLiteral":
        values.add(tokens.pop().value)
        if not tokens.take("Comma"):
            break
    if not tokens.take("RBrace"):
        raise _wrong("expected }")
    return frozenset(values)
