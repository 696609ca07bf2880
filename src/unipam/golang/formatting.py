"""Values as Go prints them: `%+v` of structures, net.IPNet and net.IPMask, `%q` of strings.

What does not belong here: which structure a foreign system prints.
"""

from __future__ import annotations

from typing import Any

from unipam.addr.prefix import Prefix, format_address

Struct = tuple[tuple[str, str, Any], ...]
"""Field, key and what stands when the key is absent; a tuple is a struct, a list a slice (of what is in it)."""


def structure(value: Any, shape: Any) -> str:
    """Return a decoded document as a Go structure of this shape; values of other types stand as they are."""
    if isinstance(shape, tuple):
        found = {k.lower(): v for k, v in value.items()} if isinstance(value, dict) else {}
        return "{" + " ".join(f"{name}:{structure(found.get(key.lower()), inner)}" for name, key, inner in shape) + "}"
    if isinstance(shape, list):
        items = value if isinstance(value, list) else []
        return "[" + " ".join(structure(item, shape[0] if shape else "") for item in items) + "]"
    found = shape if value in (None, "") else value
    return str(found).lower() if isinstance(found, bool) else str(found)


def network(prefix: Prefix) -> str:
    """Return a net.IPNet."""
    return "{" + f"IP:{format_address(prefix.first)} Mask:{mask(prefix)}" + "}"


def mask(prefix: Prefix) -> str:
    """Return a net.IPMask: hexadecimal."""
    width = 32 if prefix.family == 4 else 128
    return f"{((1 << width) - 1) ^ ((1 << (width - prefix.bits)) - 1):0{width // 4}x}"


def quote(text: str) -> str:
    """Return a string as Go's %q prints it."""
    return '"' + "".join(_ESCAPES.get(character) or _escape(character) for character in text) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    if character.isprintable():
        return character
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ESCAPES = {'"': '\\"', "\\": "\\\\"} | {chr(7 + at): f"\\{letter}" for at, letter in enumerate("abtnvfr")}
