"""A register's plan at a past moment, replayed from the whole journal: obvious, and slow."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator

from unipam.addr.prefix import Range
from unipam.model.records import Entry, Extent
from unipam.store.api import EVERY
from unipam.store.past import gaps_between


class MemoryPast:
    """See `store.api.Past` for what each call means."""

    def __init__(self, journal: Collection[Entry], moment: float) -> None:
        last = max(((e.at, e.id) for e in journal if e.at <= moment), default=(0.0, 0))
        standing: dict[int, Entry] = {}
        for entry in journal:
            if entry.id <= last[1]:
                standing.pop(entry.generation, None)
                if entry.verb in ("create", "change"):
                    standing[entry.id] = entry
        self._standing = sorted(standing.values(), key=lambda entry: (entry.parent, entry.first))

    def _under(self, parents: Collection[int]) -> Iterable[Entry]:
        return (entry for entry in self._standing if entry.parent in parents)

    def spaces(self) -> list[int]:
        return [entry.id for entry in self._under((0,))]

    def stood(
        self, parents: Collection[int], first: int = 0, limit: int = EVERY, kinds: Collection[str] = ()
    ) -> list[int]:
        found = [e.id for e in self._under(parents) if e.first >= first and (not kinds or _kind(e) in kinds)]
        return found[:limit]

    def extents(self, parents: Collection[int]) -> dict[tuple[int, str], Extent]:
        found: dict[tuple[int, str], Extent] = {}
        for entry in self._under(parents):
            key = entry.parent, _kind(entry)
            stretches, addresses = found.get(key, (0, 0))
            found[key] = Extent(stretches + 1, addresses + entry.last - entry.first + 1)
        return found

    def gaps(self, parent: int, first: int, last: int) -> Iterator[Range]:
        return gaps_between(((entry.first, entry.last) for entry in self._under((parent,))), first, last)


def _kind(entry: Entry) -> str:
    return str(json.loads(entry.details)["type"])
