"""The part of kubectl's JSONPath templates that is in use: `{.items[*].address}`, filters, `{range …}…{end}`, texts.

A library for RFC 9535 would not know the templates, which are kubectl's own, and they are what people type.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

_PIECE = re.compile(r"""\{((?:"(?:\\.|[^"\\])*"|'[^']*'|[^}"'])*)\}|([^{]+)""")
_STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_][\w-]*|\*) | \[(?P<index>\*|-?\d+)\] | \['(?P<quoted>[^']*)'\]
      | \[\?\(\s*@(?P<field>(?:\.[A-Za-z_][\w-]*)+)\s*(?P<sign>==|!=|<=|>=|<|>)
            \s*(?P<value>"[^"]*"|'[^']*'|-?\d+(?:\.\d+)?|true|false)\s*\)\]""",
    re.VERBOSE,
)
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip

Step = Callable[[Any], Iterator[Any]]
Node = Callable[[Any], Iterator[str]]


def render(template: str, document: Any) -> str:
    """Return what a template makes of a document. Raises ValueError for what is no such template."""
    pieces = list(_pieces(template if "{" in template else f"{{{template}}}"))
    nodes, rest = _parse(pieces)
    if rest:
        raise ValueError("{end} without {range}")
    return "".join(text for node in nodes for text in node(document))


def _pieces(template: str) -> Iterator[tuple[str, str]]:
    """Yield what stands between braces as "do", and what stands outside as "say"."""
    place = 0
    while place < len(template):
        found = _PIECE.match(template, place)
        if found is None:
            raise ValueError(f"no }} ends what begins with {template[place : place + 20]!r}")
        place = found.end()
        yield ("say", found[2]) if found[1] is None else ("do", found[1].strip())


def _parse(pieces: list[tuple[str, str]], *, inside: bool = False) -> tuple[list[Node], list[tuple[str, str]]]:
    """Return what the pieces do, up to the {end} of the range that they are inside of, and what comes after that."""
    nodes: list[Node] = []
    while pieces:
        (kind, text), *pieces = pieces
        if (kind, text) == ("do", "end"):
            if not inside:
                return nodes, [(kind, text)]
            return nodes, pieces
        if kind == "do" and text.startswith("range "):
            body, pieces = _parse(pieces, inside=True)
            nodes.append(_range(_path(text.removeprefix("range ").strip()), body))
        else:
            nodes.append(_text(text) if kind == "say" or text[:1] in "\"'" else _values(_path(text)))
    if inside:
        raise ValueError("{range} without {end}")
    return nodes, []


def _text(text: str) -> Node:
    said = json.loads(text) if text[:1] == '"' else text.strip("'") if text[:1] == "'" else text
    return lambda _: iter((str(said),))


def _values(steps: list[Step]) -> Node:
    return lambda document: iter((" ".join(map(_shown, _walk([document], steps))),))


def _range(steps: list[Step], body: list[Node]) -> Node:
    return lambda document: (t for each in _walk([document], steps) for node in body for t in node(each))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _walk(values: list[Any], steps: list[Step]) -> list[Any]:
    for step in steps:
        values = [found for value in values for found in step(value)]
    return values


def _path(text: str) -> list[Step]:
    steps, place = [], 1 if text[:1] in ("@", "$") else 0
    while place < len(text):
        found = _STEP.match(text, place)
        if found is None:
            raise ValueError(f"{text[place:]!r} is no path: write .name, [0], [*], ['name'] or [?(@.name==\"value\")]")
        steps.append(_step(found))
        place = found.end()
    return steps


def _step(found: re.Match[str]) -> Step:
    index, name = found["index"], found["name"] or found["quoted"]
    if found["field"]:
        return _filter(found["field"], _SIGNS[found["sign"]], found["value"])
    if "*" in (index, found["name"]):
        return _all
    if index:
        return lambda value: iter(_at(value, int(index)))
    return lambda value: iter([value[name]] if isinstance(value, dict) and name in value else [])


def _all(value: Any) -> Iterator[Any]:
    return iter(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())


def _at(value: Any, index: int) -> list[Any]:
    return [value[index]] if isinstance(value, list) and -len(value) <= index < len(value) else []


def _filter(field: str, compare: Callable[[Any, Any], bool], literal: str) -> Step:
    steps = _path(field)
    wanted = literal[1:-1] if literal[0] in "\"'" else json.loads(literal)

    def keep(item: Any) -> bool:
        found = _walk([item], steps)
        try:
            return bool(found) and compare(found[0], wanted)
        except TypeError:  # a text and a number have no order
            return False

    return lambda value: filter(keep, _all(value))
