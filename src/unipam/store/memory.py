"""The reference store: plain dictionaries. Slow, obvious, and the fake in every test that needs no file."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from unipam.addr.prefix import LINE_LAST, Range
from unipam.addr.ranges import RangeSet
from unipam.model.errors import Overlap, StoreBusy
from unipam.model.records import RETIRED, SPACE, Claim, Entry, Extent, Owner, Selection, Standing
from unipam.store.api import Past
from unipam.store.journal import JournalFilter, Place, matches
from unipam.store.listing import has_text, position
from unipam.store.memory_past import MemoryPast
from unipam.store.turnover import Turnover, Verbs, of_entries


def _members(claim: Claim) -> dict[str, Any]:
    """Return the details of a claim that are JSON."""
    found: dict[str, Any] = json.loads(claim.details) if claim.details.startswith("{") else {}
    return found


class MemoryTx:
    """The facts themselves; see `store.api.Tx` for what each call means."""

    def __init__(self) -> None:
        self._claims: dict[int, Claim] = {}
        self._cursors: dict[tuple[int, int], int] = {}
        self._fences: dict[tuple[int, Owner], float] = {}
        self._journal: list[Entry] = []
        self._notes: dict[str, str] = {}
        self._last_claim = 0
        self._last_entry = 0

    def _under(self, parent: int) -> list[Claim]:
        return sorted(c for c in self._claims.values() if c.parent == parent > 0)

    def _taken(self, parent: int) -> RangeSet:
        return RangeSet((c.first, c.last) for c in self._under(parent))

    def space(self, name: str) -> int | None:
        return next((number for number, found in self.spaces() if found == name), None)

    def standing(self, space: str, owner: Owner) -> Standing | None:
        number = self.space(space)
        if number is None:
            return None
        cooling, holding = bool(self._cooling(number)), bool(self.claims_of(number, owner.holder))
        return Standing(number, cooling, holding, self.fence(number, owner))

    def spaces(self) -> list[tuple[int, str]]:
        roots = [(c.id, c.owner.holder) for c in self._claims.values() if c.kind == SPACE]
        return sorted(roots, key=lambda root: root[1])

    def create_space(self, name: str, now: float) -> int:
        if self.space(name) is not None:
            raise Overlap(f"there is a space named {name} already", space=name)
        return self._write(Claim(0, 0, LINE_LAST, SPACE, Owner(name), since=now))

    def drop_space(self, number: int) -> None:
        self._claims = {i: c for i, c in self._claims.items() if number != c.parent}
        self.hide_space(number)
        self._cursors = {k: v for k, v in self._cursors.items() if k[0] != number}
        self._fences = {k: v for k, v in self._fences.items() if k[0] != number}

    def hide_space(self, number: int) -> None:
        self._claims[number] = self._claims[number]._replace(kind=RETIRED)

    def show_space(self, number: int) -> None:
        self._claims[number] = self._claims[number]._replace(kind=SPACE)

    def claims_of(self, parent: int, holder: str) -> list[Claim]:
        return [c for c in self._under(parent) if c.owner.holder == holder]

    def claims_by_holder(self, holder: str) -> list[Claim]:
        return sorted(c for c in self._claims.values() if c.parent > 0 and c.owner.holder.startswith(holder))

    def claims_named(self, holders: Collection[str]) -> list[Claim]:
        return sorted(c for c in self._claims.values() if c.parent > 0 and c.owner.holder in holders)

    def claim_at(self, parent: int, first: int) -> Claim | None:
        return next((c for c in self._under(parent) if c.first == first), None)

    def claim_before(self, parent: int, address: int) -> Claim | None:
        return max((c for c in self._under(parent) if c.first <= address), default=None)

    def claims(self, parent: int, first: int = 0, last: int = LINE_LAST) -> Iterator[Claim]:
        return iter([c for c in self._under(parent) if first <= c.first <= last])

    def select(self, wanted: Selection) -> list[Claim]:
        rows = ((position(c, wanted.order, _members(c)), c) for c in self._listed(wanted))
        found = sorted(rows, key=lambda row: row[0], reverse=wanted.descending)
        after = wanted.after
        if after is not None:
            found = [(at, c) for at, c in found if (at < after if wanted.descending else at > after)]
        return [claim for _, claim in found[: wanted.limit]]

    def tally(self, wanted: Selection) -> int:
        return len(self._listed(wanted))

    def _listed(self, wanted: Selection) -> list[Claim]:
        place = wanted.overlaps
        return [
            c for c in self._claims.values()
            if c.parent > 0
            and wanted.kind in ("", c.kind)
            and (wanted.parents is None or c.parent in wanted.parents)
            and (place is None or (c.first <= place.last and c.last >= place.first))
            and has_text(c, _members(c), wanted.text)
            and wanted.status in ("", _members(c).get("status", "wait"))
        ]  # fmt: skip

    def extents(self, parents: Collection[int], kind: str) -> dict[int, Extent]:
        found = {p: [c.last - c.first + 1 for c in self._under(p) if c.kind == kind] for p in parents}
        return {parent: Extent(len(sizes), sum(sizes)) for parent, sizes in found.items() if sizes}

    def claimed(self, parents: Collection[int]) -> dict[int, int]:
        found = {p: sum(c.last - c.first + 1 for c in self._under(p)) for p in parents}
        return {parent: size for parent, size in found.items() if size}

    def last_entry(self) -> int:
        return self._last_entry

    def count(self, parent: int, first: int, last: int, state: str) -> int:
        return sum(c.state == state for c in self.claims(parent, first, last))

    def gap(self, parent: int, first: int, last: int) -> int | None:
        return self._taken(parent).gap(first, last)

    def gaps(self, parent: int, first: int, last: int) -> Iterator[Range]:
        return self._taken(parent).gaps(first, last)

    def claim(self, number: int) -> Claim | None:
        return self._claims.get(number)

    def insert(self, claim: Claim) -> int:
        if self._taken(claim.parent).overlaps(claim.first, claim.last):
            raise Overlap(f"{claim.text} overlaps what is claimed", prefix=claim.text)
        if claim.kind == SPACE and self.space(claim.owner.holder) is not None:
            raise Overlap(f"there is a space named {claim.owner.holder} already", space=claim.owner.holder)
        return self._write(claim)

    def insert_all(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self.insert(claim)

    def _write(self, claim: Claim) -> int:
        number = claim.id or self._last_claim + 1
        self._last_claim = max(self._last_claim, number)
        self._claims[number] = claim._replace(id=number)
        return number

    def update(self, claim: Claim) -> None:
        self._claims[claim.id] = claim

    def remove(self, claim: Claim) -> None:
        del self._claims[claim.id]

    def _cooling(self, parent: int) -> list[Claim]:
        return sorted((c for c in self._under(parent) if c.until is not None), key=lambda c: c.since)

    def expired(self, parent: int, now: float, slack: float, limit: int) -> Sequence[Claim]:
        over = (c for c in self._cooling(parent) if c.until is not None and (c.until <= now or c.since > now + slack))
        return list(itertools.islice(over, limit))

    def cooling(self, parent: int, first: int, last: int) -> Claim | None:
        return next((c for c in self._cooling(parent) if first <= c.first <= last), None)

    def cursor(self, parent: int, number: int) -> int | None:
        return self._cursors.get((parent, number))

    def cursors(self, parent: int) -> dict[int, int]:
        return {number: address for (root, number), address in sorted(self._cursors.items()) if root == parent}

    def set_cursor(self, parent: int, number: int, address: int) -> None:
        self._cursors[parent, number] = address

    def fence(self, parent: int, owner: Owner) -> float:
        return self._fences.get((parent, owner), 0.0)

    def set_fence(self, parent: int, owner: Owner, at: float) -> None:
        self._fences[parent, owner] = at

    def drop_fences(self, before: float) -> None:
        self._fences = {key: at for key, at in self._fences.items() if at >= before}

    def record(self, entry: Entry) -> int:
        self._last_entry += 1
        self._journal.append(entry._replace(id=self._last_entry))
        return self._last_entry

    def record_all(self, entries: Sequence[Entry]) -> list[int]:
        return [self.record(entry) for entry in entries]

    def entries(self, until: float, after: int = 0) -> Iterator[Entry]:
        return iter([e for e in self._journal if e.at <= until and e.id > after])

    def journal(
        self,
        *,
        parent: int = 0,
        address: int | None = None,
        holder: str = "",
        holders: Collection[str] | None = None,
        limit: int = 1000,
    ) -> list[Entry]:
        wanted = (
            e
            for e in reversed(self._journal)
            if (not parent or e.parent == parent)
            and (address is None or e.first <= address <= e.last)
            and e.owner.holder.startswith(holder)
            and (holders is None or e.owner.holder in holders)
        )
        return list(itertools.islice(wanted, limit))

    def search_journal(self, wanted: JournalFilter, after: Place | None, limit: int) -> list[Entry]:
        found = [entry for entry in self._journal if matches(wanted, after, entry)]
        return sorted(found, key=lambda entry: (-entry.at, -entry.id))[:limit]

    def entries_numbered(self, numbers: Collection[int]) -> list[Entry]:
        return [entry for entry in self._journal if entry.id in numbers]

    def details(self, *, holders: Collection[str] | None = None, text: str = "") -> Iterator[tuple[str, str]]:
        claims = [(c.owner.holder, c.details) for c in self._claims.values() if c.parent > 0]
        every = claims + [(e.owner.holder, e.details) for e in reversed(self._journal)]
        return ((h, kept) for h, kept in every if kept and text in kept and (holders is None or h in holders))

    def past(self, moment: float) -> Past:
        return MemoryPast(self._journal, moment)

    def beginnings(self, numbers: Collection[int]) -> dict[int, int]:
        known = {entry.id: entry for entry in self._journal}
        found = {}
        for number in numbers:
            entry = known.get(number)
            while entry is not None and entry.generation:
                entry = known.get(entry.generation)
            if entry is not None:
                found[number] = entry.id
        return found

    def turnover(self, parents: Collection[int], day: int, verbs: Verbs) -> list[Turnover]:
        return of_entries(self._journal, parents, day, verbs)

    def forget(self, before: float) -> int:
        kept = list(itertools.dropwhile(lambda e: e.at < before, self._journal)) or self._journal[-1:]
        gone = len(self._journal) - len(kept)
        self._journal = kept
        return gone

    def lacking(self) -> list[str]:
        return []

    def note(self, key: str) -> str:
        return self._notes.get(key, "")

    def set_note(self, key: str, value: str) -> None:
        self._notes[key] = value

    def notes(self, prefix: str) -> list[tuple[str, str]]:
        return sorted((key, value) for key, value in self._notes.items() if key.startswith(prefix))

    def drop_note(self, key: str) -> None:
        self._notes.pop(key, None)


class MemoryStore:
    """A store that forgets everything with the process."""

    def __init__(self) -> None:
        self._tx = MemoryTx()
        self._writing = threading.Lock()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[MemoryTx]:
        """See `store.api.Store`: the work is done on a copy, which takes the place of the original at the end."""
        if not self._writing.acquire(blocking=False):
            raise StoreBusy("the store is being written to: try again")
        try:
            work = copy.copy(self._tx)
            work.__dict__.update({k: copy.copy(v) for k, v in self._tx.__dict__.items()})
            yield work
            self._tx = work
        finally:
            self._writing.release()

    @contextlib.contextmanager
    def reading(self) -> Iterator[MemoryTx]:
        """See `store.api.Store`."""
        yield self._tx

    def settle(self) -> None:
        """See `store.api.Store`."""

    def make_room(self) -> Iterable[None]:
        """See `store.api.Store`: no disk is ours to make room on."""
        return ()

    def check(self) -> list[str]:
        """See `store.api.Store`."""
        return []

    def close(self) -> None:
        """See `store.api.Store`."""
