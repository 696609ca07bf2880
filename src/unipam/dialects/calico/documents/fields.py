"""Reading the fields of a document: the type is checked where it is read, and the error names document and field."""

from __future__ import annotations

from typing import Any, TypeVar

from unipam.model.errors import Unreadable

T = TypeVar("T")


def field(document: dict[str, Any], name: str, kind: type[T], default: T, of: str) -> T:
    """Return the value of a field; the default where it is absent or null. Raises Unreadable naming what is broken.

    A boolean is no number here.
    """
    value = document.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise broken(of, f"{name} is {value!r:.80}, which is no {_NAMES[kind]}", name)
    return value


_NAMES: dict[type, str] = {str: "text", int: "whole number", bool: "boolean", list: "list", dict: "object"}


def broken(of: str, what: str, name: str = "") -> Unreadable:
    """Return the error that says what is broken about a document."""
    return Unreadable(f"{of} is broken: {what}: mend or remove it", field=name, document=of)


def rest(document: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return the fields that nobody here knows, in their order."""
    return {name: value for name, value in document.items() if name not in known}
