"""The journal replayed: who held which address when, and whether the rules were kept all along.

Knows the verbs with which leases come and go (`ledger.ledger`); entries of the plan are passed over. A journal whose
beginning was forgotten is replayed from where it begins: what was handed out before then is not held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from unipam.addr.ranges import RangeSet
from unipam.model import facts, rules
from unipam.model.records import COOLING, HELD, Claim, Entry, Owner, prefix_text


def verify(entries: Iterable[Entry]) -> list[str]:
    """Return every broken rule that the journal shows, in words; empty when there is none. `entries` come oldest first.

    The rules: no address belongs to two owners at once; none is handed out within its cooldown, unless an entry says
    that the glass was broken; who lets go holds it; numbers rise, and with them the generations.
    """
    replay = Replay()
    for entry in entries:
        replay.step(entry)
    return replay.violations


class Holding(NamedTuple):
    """A lease as the journal tells of it; `until` is when its cooldown ends, None while it is held."""

    parent: int
    first: int
    last: int
    owner: Owner
    generation: int
    since: float
    until: float | None = None

    def __str__(self) -> str:
        state = "held by" if self.until is None else "cooling after"
        return f"{prefix_text(self.first, self.last)} ({state} {self.owner}, generation {self.generation})"


class Replay:
    """The leases as of the entries stepped through so far, and the violations met on the way."""

    def __init__(self) -> None:
        self.present: dict[tuple[int, int], Holding] = {}
        self.violations: list[str] = []
        self._taken: dict[int, RangeSet] = {}
        self._begun = 0
        self._last = 0
        self._verbs: dict[str, Callable[[Entry], None]] = {
            "allocate": self._hand_out,
            "adopt": self._hand_out,
            "repeat": self._repeat,
            "release": self._release,
            "undo": self._end_held,
            "give-back": self._end_held,
            "thaw": self._end_cooldown,
            "break-glass": self._end_cooling,
        }

    def step(self, entry: Entry) -> None:
        """Go on by one entry."""
        self._begun = self._begun or entry.id
        if entry.id <= self._last:
            self._report(entry, f"its number does not rise above {self._last}")
        self._last = max(self._last, entry.id)
        verb = self._verbs.get(entry.verb)
        if verb:
            verb(entry)

    def _hand_out(self, entry: Entry) -> None:
        taken = self._taken.setdefault(entry.parent, RangeSet())
        if taken.overlaps(entry.first, entry.last):
            for other in self._within(entry):
                self._report(entry, f"is handed out to {entry.owner}, but there is {other}")
                self._drop(other)
        self._put(Holding(entry.parent, entry.first, entry.last, entry.owner, entry.id, entry.at))

    def _within(self, entry: Entry) -> list[Holding]:
        every = (h for h in self.present.values() if h.parent == entry.parent)
        return [h for h in every if h.first <= entry.last and entry.first <= h.last]

    def _repeat(self, entry: Entry) -> None:
        before = self._ended(entry, HELD)
        if before is not None:
            self._put(before._replace(generation=entry.id))

    def _release(self, entry: Entry) -> None:
        before = self._ended(entry, HELD)
        until = facts.read_lease(entry.details).until
        if before is not None and until is not None:
            self._put(before._replace(since=entry.at, until=until))

    def _end_held(self, entry: Entry) -> None:
        self._ended(entry, HELD)

    def _end_cooling(self, entry: Entry) -> None:
        self._ended(entry, COOLING)

    def _end_cooldown(self, entry: Entry) -> None:
        before = self._ended(entry, COOLING)
        if before is not None and before.until is not None and not rules.is_cool(_claim(before), entry.at):
            self._report(entry, f"is thawed, but there is {before} until {before.until:.3f}")

    def _ended(self, entry: Entry, state: str) -> Holding | None:
        """Return what the entry ends; blame it when that is not there, not in this state, or not the owner's."""
        before = self.present.get((entry.parent, entry.first))
        if before is None or before.generation != entry.generation:
            return self._unknown(entry, before)
        self._drop(before)
        if (before.until is None) != (state == HELD) or before.owner != entry.owner or before.last != entry.last:
            self._report(entry, f"speaks of {entry.owner} as {state}, but there is {before}")
        return before

    def _unknown(self, entry: Entry, before: Holding | None) -> Holding | None:
        if entry.generation >= self._begun:
            self._report(entry, f"speaks of generation {entry.generation}, but there is {before or 'nothing'}")
            return None
        if before is not None:
            self._report(entry, f"speaks of a generation from before the journal, but there is {before}")
            return None
        return Holding(entry.parent, entry.first, entry.last, entry.owner, entry.generation, entry.at)

    def _put(self, holding: Holding) -> None:
        self.present[holding.parent, holding.first] = holding
        self._taken.setdefault(holding.parent, RangeSet()).add(holding.first, holding.last)

    def _drop(self, holding: Holding) -> None:
        del self.present[holding.parent, holding.first]
        self._taken[holding.parent].discard(holding.first, holding.last)

    def _report(self, entry: Entry, what: str) -> None:
        prefix = prefix_text(entry.first, entry.last)
        self.violations.append(f"entry {entry.id} ({entry.verb} at {entry.at:.3f}): {prefix} {what}")


def _claim(holding: Holding) -> Claim:
    return Claim(
        holding.parent, holding.first, holding.last, "", holding.owner, since=holding.since, until=holding.until
    )
