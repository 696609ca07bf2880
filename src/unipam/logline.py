"""A line of a log, the same whichever process writes it: when, how grave, what happened, and the facts of it.

JSON for machines; text for people at a terminal, with the same fields in the same order.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec

AUTO, TEXT, JSON = "auto", "text", "json"
FORMATS = (AUTO, TEXT, JSON)
"""How lines may be written; `auto` is text on a terminal and JSON elsewhere."""

Line = Mapping[str, object]
Encode = Callable[[Line], bytes]

_HEAD = ("time", "level", "event")
_TRACE = "exception"


def entry(event: str, level: str = "info", **facts: object) -> Line:
    """Return what happens now as a line."""
    return {"time": moment(time.time()), "level": level, "event": event, **facts}


def moment(seconds: float) -> str:
    """Return a moment (epoch seconds) in RFC 3339, in UTC and to the millisecond."""
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03}Z"


@functools.lru_cache(maxsize=2)  # a busy agent writes thousands of lines within one
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def encoder(wanted: str, *, terminal: bool) -> Encode:
    """Return what writes lines in a format; `terminal` says where they go to."""
    return as_text if wanted == TEXT or (wanted == AUTO and terminal) else as_json


def as_json(line: Line) -> bytes:
    """Return a line as JSON, whatever is in it: a path need not be UTF-8."""
    try:
        return msgspec.json.encode(line)
    except Exception:  # noqa: BLE001 (nothing that is to be told may end who tells it)
        return json.dumps(line, default=repr).encode()


def as_text(line: Line) -> bytes:
    """Return a line for people; the trace of an error stands below it."""
    head = f"{line.get('time', '')} {line.get('level', ''):<7} {line.get('event', '')}"
    facts = [f" {name}={_shown(value)}" for name, value in line.items() if name not in (*_HEAD, _TRACE)]
    trace = f"\n{line[_TRACE]}" if line.get(_TRACE) else ""
    return "".join([head, *facts, trace]).encode(errors="backslashreplace")


def _shown(value: object) -> str:
    """Return a fact as a word, in quotes where it would be several, or none."""
    if isinstance(value, str) and value.isprintable() and value and not set(value) & set(" \"'="):
        return value
    return json.dumps(value, default=repr, ensure_ascii=False)
