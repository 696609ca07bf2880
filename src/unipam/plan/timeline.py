"""Who has an address, and who had it: now from the claims, before from the journal. Functions of one transaction."""

from __future__ import annotations

from itertools import islice

import msgspec

from unipam.addr.prefix import Prefix
from unipam.model.records import Entry, prefix_text
from unipam.plan import tree
from unipam.plan.journal import in_sight, label_of, where_of
from unipam.plan.listing import LISTED, Paths, Row, row_of
from unipam.plan.permissions import HIDDEN, Visibility
from unipam.plan.tree import CHANGE, CREATE
from unipam.store.api import Tx
from unipam.store.journal import JournalFilter

MOST = 200
"""Lines of the journal that are looked at."""
INSIDE = 50
"""Objects within a prefix that are named."""


class Holding(msgspec.Struct, frozen=True):
    """Something had an address, from `since` until `until` (epoch seconds; None: it has it).

    `where` are the names above it. `ended` is the verb by which it lost it, `by` who did that, `reason` why.
    """

    kind: str
    name: str
    cidr: str
    where: tuple[str, ...]
    since: float
    made_by: str
    until: float | None = None
    ended: str = ""
    by: str = ""
    reason: str = ""


class Surroundings(msgspec.Struct, frozen=True):
    """What lies around a prefix in one space, from the outermost inwards, and within it; `more`: not all is named."""

    space: str
    around: list[Row]
    within: list[Row]
    more: bool


def surroundings(tx: Tx, prefix: Prefix, visibility: Visibility) -> list[Surroundings]:
    """Return, for every space that has anything to do with a prefix, what lies around it and within it."""
    found = [_in_space(tx, space.id, space.facts.name, prefix, visibility) for space in tree.spaces(tx)]
    return [each for each in found if each.around or each.within]


def _in_space(tx: Tx, parent: int, space: str, prefix: Prefix, visibility: Visibility) -> Surroundings:
    """Go down through what contains the prefix; what the last of them holds of it lies within."""
    paths, around = Paths(tx), list[Row]()
    while True:
        found = list(islice(tree.overlaps(tx, parent, prefix), INSIDE + 1))
        rows = [row_of(claim, paths.of(claim.parent), visibility) for claim in found[:INSIDE]]
        if not (found and tree.prefix_of(found[0]).contains(prefix)):
            return Surroundings(space, around, rows, len(found) > INSIDE)
        around += rows
        parent = found[0].id


def holdings(tx: Tx, prefix: Prefix, visibility: Visibility, limit: int = MOST) -> list[Holding]:
    """Return who had the first address of a prefix, the latest first, as far as the journal goes back."""
    # The entries' generations chain what happened to one object: each names the entry whose state it replaces.
    open_: dict[int, Holding] = {}
    done: list[Holding] = []
    found = tx.search_journal(JournalFilter(around=prefix.first), None, limit)
    for entry in reversed(found):
        kind, name = label_of(entry)
        if kind not in LISTED:
            continue
        before = open_.pop(entry.generation, None) if entry.generation else None
        shown = name if in_sight(tx, entry, visibility) else HIDDEN
        holding = before or _begun(tx, entry, kind, shown)
        if entry.verb in (CREATE, CHANGE):
            open_[entry.id] = msgspec.structs.replace(holding, name=shown)
        else:
            done.append(_ended(holding, entry))
    return sorted([*done, *open_.values()], key=lambda each: (-(each.until or float("inf")), -each.since))


def _begun(tx: Tx, entry: Entry, kind: str, name: str) -> Holding:
    return Holding(
        kind, name, prefix_text(entry.first, entry.last), tuple(where_of(tx, entry.parent)), entry.at, entry.actor
    )


def _ended(holding: Holding, entry: Entry) -> Holding:
    return msgspec.structs.replace(holding, until=entry.at, ended=entry.verb, by=entry.actor, reason=entry.reason)


def at(found: list[Holding], moment: float) -> list[Holding]:
    """Return which of these had the address at a moment, the outermost first."""
    had = [each for each in found if each.since <= moment and (each.until is None or moment < each.until)]
    return sorted(had, key=lambda each: len(each.where))
