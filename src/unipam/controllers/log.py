"""The controllers' log: a line on standard error for whatever happens."""

from __future__ import annotations

import sys
import threading

from unipam.logline import AUTO, encoder, entry

_lock = threading.Lock()


def tell(event: str, **facts: object) -> None:
    """Log an event with facts, in one line."""
    encoded = encoder(AUTO, terminal=sys.stderr.isatty())
    with _lock:
        sys.stderr.buffer.write(encoded(entry(event, "info", **facts)) + b"\n")
        sys.stderr.buffer.flush()
