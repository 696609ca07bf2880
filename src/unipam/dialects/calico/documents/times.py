"""Times as Calico writes them. A moment is in nanoseconds since the epoch."""

from __future__ import annotations

import re
import time

SECOND = 1_000_000_000


def rfc3339(moment: int) -> str:
    """Print a time in UTC with whole seconds, as Kubernetes' metav1.Time does."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment // SECOND))


def parse_rfc3339(text: str) -> int:
    """Read an RFC 3339 time as epoch nanoseconds. Raises ValueError."""
    from datetime import datetime  # seldom needed: only for what cools, and for blocks that are to be reclaimed

    whole, fraction = re.sub(r"\.\d+", "", text), re.search(r"\.(\d+)", text)
    parsed = datetime.fromisoformat(whole)
    if parsed.tzinfo is None:
        raise ValueError(f"invalid time {text!r}: it must say its offset from UTC, as 2026-09-01T12:00:00Z does")
    return int(parsed.timestamp()) * SECOND + (int(fraction[1].ljust(9, "0")[:9]) if fraction else 0)


def go_text(moment: int) -> str:
    """Print a time as Go's time.Time does in UTC: nanoseconds without the zeros behind them."""
    seconds, rest = divmod(moment, SECOND)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) + f"{fraction} +0000 UTC"
