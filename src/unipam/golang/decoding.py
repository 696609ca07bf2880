"""JSON as Go's encoding/json reads it into typed structures, with Go's words for what does not fit.

The systems we replace are written in Go, and their users' tools know these messages. A Shape says what is expected;
`read` returns plain dicts, lists and strings holding the declared keys only. Key names match without regard to case,
the last one wins, unknown keys are ignored. The first misfit is reported after everything else was read, unless a
value's own parser fails, which ends the reading at once (Go 1.19 `encoding/json` decode.go behaves so).

What does not belong here: what any key means.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from unipam.model.errors import BadConfig, Undecodable


class Text(NamedTuple):
    """A string, or with `parse` a value that parses itself out of one. `go` is the Go type's name.

    An `opaque` one is read by its own decoder in Go, so a misfit ends the reading.
    """

    go: str = "string"
    parse: Callable[[str], object] | None = None
    null: str | None = None
    """What the parser is given for JSON null; None: null leaves the value away."""
    opaque: bool = False


class Whole(NamedTuple):
    """A whole number."""

    go: str = "int"


class Flag(NamedTuple):
    """true or false."""

    go: str = "bool"


class Anything(NamedTuple):
    """Whatever it is."""

    go: str = "interface {}"


class ListOf(NamedTuple):
    """An array."""

    go: str
    item: Any


class Struct(NamedTuple):
    """An object. `name` is the Go type's bare name, as messages show it for its fields.

    An `opaque` one is read by its own decoder in Go, so a misfit ends the reading, and messages about its fields show
    the path to the struct only.
    """

    go: str
    name: str
    fields: dict[str, Any]
    opaque: bool = False


class _Reader:
    """One reading: collects the first misfit."""

    def __init__(self) -> None:
        self.misfit = ""

    def value(self, shape: Any, value: object, owner: str, path: str) -> Any:
        own = _Reader() if isinstance(shape, Text | Struct) and shape.opaque else self
        found = own.plain(shape, value, owner, path)
        if own is not self and own.misfit:
            raise BadConfig(own.misfit)
        return found

    def plain(self, shape: Any, value: object, owner: str, path: str) -> Any:
        if isinstance(shape, Text):
            return self.text(shape, value, owner, path)
        if value is None or isinstance(shape, Anything):
            return value
        if isinstance(shape, Struct):
            return self.struct(shape, value, owner, path)
        if isinstance(shape, ListOf):
            return self.list(shape, value, owner, path)
        return self.scalar(shape, value, owner, path)

    def text(self, shape: Text, value: object, owner: str, path: str) -> Any:
        if value is None:
            value = shape.null
        if value is None:
            return None
        if not isinstance(value, str):
            return self.wrong(shape.go, value, owner, path)
        if shape.parse is None:
            return value
        try:
            return shape.parse(value)
        except ValueError as error:
            raise BadConfig(str(error)) from None

    def scalar(self, shape: Whole | Flag, value: object, owner: str, path: str) -> Any:
        fits = isinstance(value, bool) if isinstance(shape, Flag) else type(value) is int
        return value if fits else self.wrong(shape.go, value, owner, path)

    def list(self, shape: ListOf, value: object, owner: str, path: str) -> Any:
        if not isinstance(value, list):
            return self.wrong(shape.go, value, owner, path)
        return [self.value(shape.item, item, owner, path) for item in value]

    def struct(self, shape: Struct, value: object, owner: str, path: str) -> Any:
        if not isinstance(value, dict):
            return self.wrong(shape.go, value, owner, path)
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = key if key in shape.fields else _fold(shape.fields, key)
            if name is not None:
                inner = (owner, path) if shape.opaque else (shape.name, f"{path}.{name}" if path else name)
                found[name] = self.value(shape.fields[name], item, *inner)
        return found

    def wrong(self, go: str, value: object, owner: str, path: str) -> None:
        target = f"Go struct field {owner}.{path}" if path else "Go value"
        self.misfit = self.misfit or f"json: cannot unmarshal {_kind(value)} into {target} of type {go}"


def _fold(fields: dict[str, Any], key: str) -> str | None:
    folded = key.casefold()
    return next((name for name in fields if name.casefold() == folded), None)


def _kind(value: object) -> str:
    names = ((bool, "bool"), (int, "number"), (float, "number"), (str, "string"), (list, "array"))
    return next((name for kind, name in names if isinstance(value, kind)), "object")


def parse(document: bytes) -> Any:
    """Return any JSON document as plain values. Raises Undecodable.

    Bytes that are not UTF-8, and halves of surrogate pairs, are read as U+FFFD, as Go does.
    """
    try:
        return msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _parse_mended(document)
    except RecursionError:
        raise Undecodable("exceeded max depth") from None


def _parse_mended(document: bytes) -> Any:
    text = document.decode("utf-8", "replace").encode()
    try:
        return msgspec.json.decode(_ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], text))
    except msgspec.DecodeError as error:
        truncated = not document.strip() or "truncated" in str(error)
        raise Undecodable("unexpected end of JSON input" if truncated else str(error)) from None
    except RecursionError:
        raise Undecodable("exceeded max depth") from None


_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|.)", re.DOTALL)
"""One escape sequence of a JSON string; group 1 is half a surrogate pair that stands alone."""


def read(shape: Struct, value: object) -> dict[str, Any]:
    """Return the declared keys of a parsed document; JSON null is an empty object. Raises BadConfig in Go's words."""
    reader = _Reader()
    found = reader.value(shape, value, "", "")
    if reader.misfit:
        raise BadConfig(reader.misfit)
    return found or {}
