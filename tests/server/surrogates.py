"""For schemathesis: some of the texts that it sends have a lone surrogate in them, which its own never have.

JSON can carry one (as an escape, RFC 8259 §8.2), and Python's parser lets it in; no encoder lets it out again.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

import schemathesis

LONE = "\ud800"
ONE_IN = 3
"""Of so many bodies one gets it."""


@schemathesis.hook
def map_body(_: Any, body: Any) -> Any:
    """The same body, or one with a lone surrogate in its first text; which of them depends on the body alone."""
    try:
        number = zlib.crc32(json.dumps(body, sort_keys=True).encode())
    except TypeError:  # no JSON: bytes, or nothing at all
        return body
    return spoilt(body)[0] if number % ONE_IN == 0 else body


def spoilt(value: Any) -> tuple[Any, bool]:
    """The value with a lone surrogate in its first text, and whether it has one."""
    if isinstance(value, str):
        return value + LONE, True
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        inner, found = spoilt(each)
        if found:
            whole = value.copy()
            whole[key] = inner
            return whole, True
    return value, False
