"""JSON as people paste it: cut, elided with dots, with a brace or a quote lost, or only the middle of an object.

Reads all that can be read, remembers the line of everything, and lists each departure from the grammar. Text that is
plain JSON gives no faults. It is not a validator of JSON's finer points (numbers, escapes): a runtime has that.
"""

from __future__ import annotations

import json
import re
from typing import Any

from unipam.diagnose.documents.tree import Document, Fault, Obj

_TOKEN = re.compile(
    r"(?P<newline>\n)|(?P<space>[ \t\r\f\v\ufeff\x00]+)|(?P<mark>[{}\[\]:,])"
    r'|(?P<string>"(?:[^"\\\n]++|\\.)*+")|(?P<open>"(?:[^"\\\n]++|\\.)*+)|(?P<bare>[^\s{}\[\]:,"]+)'
)
_ELISION = re.compile(r"^(?:\.{3,}|…+)$")
_PLACEHOLDER = re.compile(r"^__\w+__$")
_LITERALS = {"true": True, "false": False, "null": None}
_MAX_DEPTH = 200


def _closer(container: Any) -> str:
    return "]" if isinstance(container, list) else "}"


class _Reader:
    def __init__(self, first_line: int) -> None:
        self.line = first_line
        self.stack: list[Any] = []
        self.keys: list[tuple[str, int] | None] = []
        self.roots: list[Any] = []
        self.faults: list[Fault] = []
        self.fragment = False
        self.elided = False
        self.waiting: tuple[Any, int, bool] | None = None  # a scalar that becomes a key if a colon follows

    def fault(self, text: str) -> None:
        if len(self.faults) < 20:
            self.faults.append(Fault(self.line, text))

    def value(self, value: Any, line: int) -> None:
        """Hang a finished value (or a container just opened) where it belongs."""
        if not self.stack:
            self.roots.append(value)
            return
        top = self.stack[-1]
        if isinstance(top, list):
            top.append(value)
        elif (key := self.keys[-1]) is not None:
            top.put(key[0], value, key[1])
            self.keys[-1] = None
        elif isinstance(value, Obj | list):
            top.put("", value, line)

    def flush(self) -> None:
        if self.waiting is not None:
            scalar, line, _ = self.waiting
            self.waiting = None
            self.value(scalar, line)

    def open(self, container: Any) -> None:
        if len(self.stack) >= _MAX_DEPTH:
            self.fault("nested deeper than any of these documents is")
            return
        self.value(container, self.line)
        self.stack.append(container)
        self.keys.append(None)

    def close(self, sort: type[Any], mark: str) -> None:
        if not any(isinstance(part, sort) for part in self.stack):
            self.fault(f"a {mark!r} closes nothing")
            return
        while not isinstance(self.stack[-1], sort):
            self.fault(f"{_closer(self.stack[-1])!r} is missing before {mark!r}")
            self._pop()
        self._pop()

    def _pop(self) -> None:
        self.stack.pop()
        self.keys.pop()

    def colon(self) -> None:
        if self.waiting is None:
            return
        key, line, quoted = self.waiting
        self.waiting = None
        if not self.stack:
            self.fragment = True
            self._open_implied(line)
        elif isinstance(self.stack[-1], list):
            self.fault("a key stands directly in an array (its '{' is missing)")
            self._open_implied(line)
        if not quoted:
            self.fault(f"the key {key!s} has no quotes")
        self.keys[-1] = (str(key), line)

    def _open_implied(self, line: int) -> None:
        container = Obj(line)
        self.value(container, line)
        self.stack.append(container)
        self.keys.append(None)

    def string(self, token: str) -> None:
        self.flush()
        self.waiting = (_unescaped(token), self.line, True)

    def unclosed(self, token: str) -> None:
        self.fault("a quote is not closed on its line")
        self.string(token + '"')

    def bare(self, token: str) -> None:
        self.flush()
        if _ELISION.match(token):
            self.elided = True
        elif token in _LITERALS:
            self.waiting = (_LITERALS[token], self.line, True)
        else:
            number = _number(token)
            if number is None and not _PLACEHOLDER.match(token):
                self.fault(f"{token[:40]!r} is neither a string, a number nor a literal")
            self.waiting = (token if number is None else number, self.line, number is not None)

    def mark(self, mark: str) -> None:
        if mark == ":":
            self.colon()
            return
        self.flush()
        if mark == "{":
            self.open(Obj(self.line))
        elif mark == "[":
            self.open([])
        elif mark != ",":
            self.close(dict if mark == "}" else list, mark)

    def end(self) -> None:
        self.flush()
        missing = "".join(_closer(part) for part in reversed(self.stack))
        if missing and not self.fragment:
            what = "1 closing brace is" if len(missing) == 1 else f"{len(missing)} closing marks are"
            self.fault(f"ends before {missing!r}: {what} missing")


def parse(file: str, text: str, first_line: int, raw_lines: dict[int, bytes]) -> Document:
    """Read `text`, which begins on `first_line` of `file`. Never raises: what cannot be read is a fault."""
    reader = _Reader(first_line)
    for match in _TOKEN.finditer(text):
        sort = match.lastgroup
        if sort == "newline":
            reader.line += 1
        elif sort == "mark":
            reader.mark(match[0])
        elif sort == "string":
            reader.string(match[0])
        elif sort == "open":
            reader.unclosed(match[0])
        elif sort == "bare":
            reader.bare(match[0])
    reader.end()
    root = reader.roots[0] if len(reader.roots) == 1 else reader.roots
    return Document(
        file, root, first_line, raw_lines, "JSON", reader.faults, fragment=reader.fragment, elided=reader.elided
    )


def _unescaped(token: str) -> str:
    try:
        value = json.loads(token)
    except ValueError:
        return token[1:-1]
    return str(value)


def _number(token: str) -> int | float | None:
    try:
        return int(token)
    except ValueError:
        pass
    try:
        return float(token)
    except ValueError:
        return None
