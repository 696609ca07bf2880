"""`--watch`: a listing, and from then on what changes in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from unipam.cli.table import Row

EVERY = 1.0
"""Seconds between two looks."""

Read = Callable[[], Sequence[Row]]


def changes(read: Read, key: Sequence[str], rest: Callable[[float], object] = time.sleep) -> Iterator[list[Row]]:
    """Yield the rows as they are, then after each look those that differ, each with its `event`: for ever.

    Rows with the same values of the fields in `key` are the same row.
    """

    def look() -> dict[tuple[object, ...], Row]:
        return {tuple(row.get(field) for field in key): row for row in read()}

    before = look()
    yield [{"event": "present", **row} for row in before.values()]
    while True:
        rest(EVERY)
        now = look()
        if found := list(_differences(before, now)):
            yield found
        before = now


def _differences(before: dict[tuple[object, ...], Row], now: dict[tuple[object, ...], Row]) -> Iterator[Row]:
    for key, row in now.items():
        if before.get(key) != row:
            yield {"event": "changed" if key in before else "added", **row}
    yield from ({"event": "gone", **row} for key, row in before.items() if key not in now)
