"""Many small writes at once: the API server answers each in its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_AT_ONCE = 16


def together(work: Callable[[T], bool], items: Sequence[T]) -> int:
    """Do something for each of them, several at once; return for how many it came true."""
    if not items:
        return 0
    with ThreadPoolExecutor(_AT_ONCE, "writes") as pool:
        return sum(pool.map(work, items))
