"""When will a block, or a space, run dry? From what the journal tells of the past days. Functions of one transaction.

Whatever lies in a block takes up its addresses: networks, external networks, blocks, and reservations, which are kept
for what is to come. How they came and went makes the past; what is foretold of it is in `model.forecast`. The day that
is not over yet counts for what is free, and not for how it grows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from unipam.addr.prefix import is_v4
from unipam.model import objects
from unipam.model.forecast import LEAST, WINDOW, foresee
from unipam.model.moments import moment
from unipam.model.records import Claim, Selection
from unipam.plan import tree
from unipam.plan.blocks import name_of
from unipam.plan.listing import Paths
from unipam.store.api import EVERY, Tx
from unipam.store.turnover import DAY, Turnover, Verbs

YEAR = 365
"""Days ahead that are looked at, unless others are asked for."""
FARTHEST = 3650
VERDICTS = FULL, DATED, BEYOND, UNKNOWN = "full", "dated", "beyond", "unknown"
"""What a forecast says: that there is no address left, when there will be none, not within the days, nothing."""
_VERBS = Verbs(tree.CREATE, tree.CHANGE)


class Forecast(msgspec.Struct, frozen=True):
    """When a block (or a space, if `block` is empty: its outermost blocks together) has no address left.

    `taken` are used and reserved, `rate` is how many more a day, `spread` by how many that strays (`model.forecast`).
    `likely`, `earliest` and `latest` are moments (epoch seconds), the last two of an interval that holds four times in
    five; None: not within the days that were looked at. Behind it stand `days` of past, since `since`: `past` is what
    was taken at the end of each of them, and so many `changes` in which addresses were `claimed` and `freed`. `verdict`
    is one of the words above, `why` a sentence.
    """

    name: str
    space: str
    block: str
    cidr: str
    size: int
    taken: int
    free: int
    verdict: str
    why: str
    rate: float | None
    likely: float | None
    earliest: float | None
    latest: float | None
    spread: float | None
    since: float
    days: int
    changes: int
    claimed: int
    freed: int
    past: list[int]


class Period(NamedTuple):
    """From when on it is looked ahead (epoch seconds), and for how many days."""

    now: float
    ahead: int = YEAR

    @property
    def yesterday(self) -> int:
        """Return the last day that is over."""
        return int(self.now // DAY) - 1


def of_block(tx: Tx, space: str, block: str, period: Period) -> Forecast:
    """Return the forecast of a block. Raises Missing."""
    claim = tree.find_block(tx, tree.find_space(tx, space).id, block).claim
    return _of_each(tx, [claim], period)[0]


def of_space(tx: Tx, space: str, period: Period) -> Forecast:
    """Return the forecast of a space's outermost blocks together, those of IPv4 if it has any. Raises Missing."""
    root = tree.find_space(tx, space)
    found = [node.claim for node in tree.children(tx, root.id, objects.Block)]
    some = [claim for claim in found if is_v4(claim.first)] or found
    past = _Past(tx, some, period)
    subject = _Subject(root.facts.name, "", "", sum(map(_size, some)))
    return _forecast(subject, past.of([claim.id for claim in some], _first(some)), period)


def soonest(tx: Tx, period: Period, space: str = "") -> list[Forecast]:
    """Return the forecasts of all blocks, or of a space's; what runs dry first comes first. Raises Missing."""
    found = tx.select(Selection(objects.BLOCK, limit=EVERY))
    if space:
        root = str(tree.find_space(tx, space).id)
        found = [claim for claim in found if claim.owner.interface == root]
    return sorted(_of_each(tx, found, period), key=_urgency)


def _urgency(row: Forecast) -> tuple[float, float, float, str]:
    never = math.inf
    return row.likely or never, row.earliest or never, -row.taken / row.size, row.name


def _of_each(tx: Tx, blocks: Sequence[Claim], period: Period) -> list[Forecast]:
    paths, past = Paths(tx), _Past(tx, blocks, period)
    found = []
    for each in blocks:
        name, cidr = name_of(tree.node(each)), str(tree.prefix_of(each))
        subject = _Subject(paths.of(each.parent)[0], name, cidr, _size(each))
        found.append(_forecast(subject, past.of([each.id], each.since), period))
    return found


def _size(claim: Claim) -> int:
    return claim.last - claim.first + 1


def _first(blocks: Iterable[Claim]) -> float:
    return min((claim.since for claim in blocks), default=math.inf)


class _Subject(NamedTuple):
    """What a forecast is of."""

    space: str
    block: str
    cidr: str
    size: int

    @property
    def name(self) -> str:
        """Return what tells it apart from all others."""
        return f"{self.space}/{self.block}" if self.block else self.space


class _Seen(NamedTuple):
    """What was taken at the end of each day since one, what is taken now, and what the journal tells of it."""

    first: int
    levels: list[int]
    taken: int
    changes: int
    claimed: int
    freed: int


class _Past:
    """What the store tells of blocks; it is asked once for all."""

    def __init__(self, tx: Tx, blocks: Sequence[Claim], period: Period) -> None:
        self._last = period.yesterday
        self._oldest = self._last - WINDOW
        numbers = [claim.id for claim in blocks]
        self._taken = tx.claimed(numbers)
        self._told: dict[int, list[Turnover]] = defaultdict(list)
        for row in tx.turnover(numbers, self._oldest + 1, _VERBS):
            self._told[row.parent].append(row)

    def of(self, numbers: Iterable[int], since: float) -> _Seen:
        """Return the past of blocks together, the first of which there was since a moment."""
        numbers = list(numbers)
        first = int(max(self._oldest, min(since // DAY, self._last)))
        rows = [row for number in numbers for row in self._told[number]]
        taken = sum(self._taken.get(number, 0) for number in numbers)
        net: dict[int, int] = defaultdict(int)
        for row in rows:
            net[row.day] += row.claimed - row.freed
        told = [row for row in rows if first < row.day <= self._last]
        sums = [sum(each) for each in zip(*(row[2:] for row in told), strict=True)] or [0, 0, 0]
        return _Seen(first, _levels(net, taken, first, self._last), taken, *sums)


def _levels(net: Mapping[int, int], taken: int, first: int, last: int) -> list[int]:
    """Return what was taken at the end of each day, from what is taken now, and what was added each day."""
    taken -= sum(added for day, added in net.items() if day > last)
    found = []
    for day in range(last, first - 1, -1):
        found.append(taken)
        taken -= net.get(day, 0)
    return found[::-1]


def _forecast(of: _Subject, seen: _Seen, period: Period) -> Forecast:
    days, free = len(seen.levels) - 1, of.size - seen.taken
    outlook = foresee(seen.levels, free) if of.size and days >= LEAST else None
    rate, *ahead, spread = outlook or (None, None, None, None, None)
    likely, earliest, latest = (_moment(each, period) for each in ahead)
    verdict = UNKNOWN if outlook is None else BEYOND if likely is None else DATED
    row = Forecast(
        of.name, *of, seen.taken, free, verdict, "", rate, likely, earliest, latest, spread, (seen.first + 1) * DAY,
        days, seen.changes, seen.claimed, seen.freed, seen.levels,
    )  # fmt: skip
    if of.size and not free:
        row = msgspec.structs.replace(row, verdict=FULL, likely=period.now, earliest=period.now, latest=period.now)
    return msgspec.structs.replace(row, why=_why(row, period))


def _moment(days: float | None, period: Period) -> float | None:
    return None if days is None or days > period.ahead else period.now + days * DAY


def _why(row: Forecast, period: Period) -> str:
    """Say what a forecast says, in a sentence that goes on behind the name."""
    if row.verdict == FULL:
        return "no address is left"
    if row.verdict == UNKNOWN:
        return f"too little past: {row.days} whole days, {LEAST} are needed" if row.size else "it has no blocks"
    early = _date(row.earliest)
    if row.verdict == BEYOND:
        return f"not within {period.ahead} days" + (f", or on {early} at the earliest" if early else "")
    late = f"between {early} and {_date(row.latest)}" if row.latest else f"on {early} at the earliest"
    return f"full about {_date(row.likely)}, {late} (four times in five)"


def _date(at: float | None) -> str:
    return "" if at is None else moment(at)[:10]
