"""The controllers' log: a line of JSON on standard error for whatever happens."""

from __future__ import annotations

import sys
import threading
import time

import msgspec

_lock = threading.Lock()


def tell(event: str, **facts: object) -> None:
    """Log an event with facts, in one line."""
    line = msgspec.json.encode({"time": time.time(), "event": event, **facts}, enc_hook=str)
    with _lock:
        sys.stderr.buffer.write(line + b"\n")
        sys.stderr.buffer.flush()
