"""What the marks of a map tell by their colour: the kind of a thing, how full it is, whose, or how old."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from unipam.model import objects
from unipam.model.cloud import Snapshot
from unipam.model.records import SPACE
from unipam.plan.branches import CLOUD_SUBNET, FREE, Branch

COLOURS = (("kind", "what it is"), ("use", "how full it is"), ("owner", "whose it is"), ("age", "how old it is"))
DAY = 86_400.0
UNKNOWN = "unknown"

_KINDS = {SPACE: "block", CLOUD_SUBNET: "cloud", objects.SUBNET: "external", objects.ENDPOINT: "external"}
_STEPS = ((0.25, "u0", "below 25 %"), (0.5, "u1", "25 to 50 %"), (0.75, "u2", "50 to 75 %"), (0.9, "u3", "75 to 90 %"),
          (2.0, "u4", "90 % and more"))  # fmt: skip
_AGES = ((30 * DAY, "a0", "younger than a month"), (180 * DAY, "a1", "than half a year"),
         (365 * DAY, "a2", "than a year"), (float("inf"), "a3", "older"))  # fmt: skip
_LETTERS = "ABCDEF"


class Legend(NamedTuple):
    """A kind of mark and what it means."""

    kind: str
    text: str


KINDS = (
    Legend("network", "network"), Legend("reservation", "reservation"), Legend("block", "block"),
    Legend("external", "external"), Legend("cloud", "Azure subnet"),
)  # fmt: skip


_NOT_KNOWN = Legend(UNKNOWN, "not known")


class Paint(NamedTuple):
    """How a map is coloured: the kind of a row's mark, the letter on it, and what all kinds mean."""

    kind: Callable[[Branch], str]
    letter: Callable[[Branch], str]
    legend: tuple[Legend, ...]


def paint(colour: str, rows: Iterable[Branch], snapshot: Snapshot, now: float) -> Paint:
    """Return how rows are coloured, which all lie on one map."""
    if colour == "use":
        return Paint(_fullness, _no_letter, (*(Legend(kind, text) for _, kind, text in _STEPS), _NOT_KNOWN))
    if colour == "age":
        return Paint(
            lambda row: _age(row, now), _no_letter, (*(Legend(kind, text) for _, kind, text in _AGES), _NOT_KNOWN)
        )
    if colour == "owner":
        return _by_owner(rows, snapshot)
    return Paint(lambda row: _KINDS.get(row.kind, row.kind), _no_letter, KINDS)


def _no_letter(_: Branch) -> str:
    return ""


def _fullness(row: Branch) -> str:
    if row.kind == FREE:
        return FREE
    if row.used is None or not row.size:
        return UNKNOWN
    share = (row.used + (row.reserved or 0)) / row.size
    return next(kind for below, kind, _ in _STEPS if share < below)


def _age(row: Branch, now: float) -> str:
    if row.kind == FREE or not row.since:
        return FREE if row.kind == FREE else UNKNOWN
    return next(kind for below, kind, _ in _AGES if now - row.since < below)


def _by_owner(rows: Iterable[Branch], snapshot: Snapshot) -> Paint:
    """Give a colour and a letter to each of those who own most."""
    names = {each.id.lower(): each.name for each in snapshot.subscriptions}

    def owner(row: Branch) -> str:
        network = snapshot.network(row.id) if row.kind == objects.NETWORK else None
        return row.by if network is None else names.get(network.subscription.lower(), network.subscription)

    counted = Counter(name for row in rows if row.kind != FREE and (name := owner(row)))
    most: Sequence[str] = [name for name, _ in counted.most_common(len(_LETTERS))]
    place = {name: number for number, name in enumerate(most)}

    def kind(row: Branch) -> str:
        if row.kind == FREE:
            return FREE
        return f"o{place[owner(row)]}" if owner(row) in place else UNKNOWN

    def letter(row: Branch) -> str:
        return _LETTERS[place[owner(row)]] if row.kind != FREE and owner(row) in place else ""

    listed = (Legend(f"o{number}", f"{_LETTERS[number]} {name}") for number, name in enumerate(most))
    return Paint(kind, letter, (*listed, Legend(UNKNOWN, "others, or nobody in particular")))
