"""Trees whose nodes know their line: what every document reader works on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from unipam.diagnose.case import evidence
from unipam.diagnose.report import Evidence


class Obj(dict[str, Any]):
    """A mapping that remembers on which line it began and on which line each key stands."""

    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line
        self.lines: dict[str, int] = {}

    def put(self, key: str, value: Any, line: int) -> None:
        self[key] = value
        self.lines[key] = line

    def line_of(self, key: str) -> int:
        return self.lines.get(key, self.line)

    def obj(self, key: str) -> Obj:
        """Return the mapping under `key`, empty when there is none."""
        value = self.get(key)
        return value if isinstance(value, Obj) else Obj(self.line)

    def items_of(self, key: str) -> list[Any]:
        """Return the list under `key`, empty when there is none."""
        value = self.get(key)
        return value if isinstance(value, list) else []

    def text(self, key: str) -> str:
        """Return the scalar under `key` as text, "" when there is none."""
        value = self.get(key)
        return "" if value is None or isinstance(value, dict | list) else str(value)

    def number(self, key: str) -> int | None:
        """Return the whole number under `key` (also when it is written as text), None when there is none."""
        value = self.get(key)
        if isinstance(value, bool):
            return None
        if isinstance(value, str) and value.strip().isdigit():
            return int(value)
        return value if isinstance(value, int) else None


class Fault(msgspec.Struct):
    """Where a text departs from its grammar, in words."""

    line: int
    text: str


class Document(msgspec.Struct):
    """A tree read from a part of a text, and how whole that text was."""

    file: str
    root: Any
    first_line: int
    raw_lines: dict[int, bytes]
    language: str
    faults: list[Fault] = []
    fragment: bool = False
    """It began inside something (a key without its object), so it was cut out of a larger file."""
    elided: bool = False
    """Someone left parts out and marked them with dots."""
    origin: str = ""
    """The path that a prompt before it names (`cat /etc/cni/net.d/10-azure.conflist`)."""
    node: str = ""
    label: str = ""

    def where(self, line: int) -> Evidence:
        return evidence(self.file, line, self.raw_lines.get(line, b""))

    def objects(self) -> Iterator[tuple[str, Obj]]:
        """Yield every mapping in the tree, outermost first, with the key it hangs from."""
        todo: list[tuple[str, Any]] = [("", self.root)]
        while todo:
            key, value = todo.pop(0)
            if isinstance(value, Obj):
                yield key, value
                todo.extend((name, part) for name, part in value.items() if isinstance(part, Obj | list))
            elif isinstance(value, list):
                todo.extend((key, part) for part in value if isinstance(part, Obj | list))
