"""The journal for people and programs: who changed what, when and why, with what it was before. Part by part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from unipam.addr.prefix import Prefix, Range
from unipam.model import objects
from unipam.model.errors import BadValue
from unipam.model.records import Entry, prefix_text
from unipam.plan import tree
from unipam.plan.blocks import name_of, space_of
from unipam.plan.permissions import HIDDEN, Visibility
from unipam.plan.reads import network_of
from unipam.store.api import Tx
from unipam.store.journal import JournalFilter, Place

_INNER = ("type", "rank", "subject", "id", "created_on", "created_by", "settled_on", "settled_by")
"""Facts that are no change to tell of: the line itself says when, by whom, and what it is about."""


class Wanted(NamedTuple):
    """Which lines; what is empty or None does not count.

    `under` is a prefix that they lie within, `around` one whose first address they are about; `name` begins the name or
    id of what changed.
    """

    since: float | None = None
    until: float | None = None
    actor: str = ""
    verb: str = ""
    under: Prefix | None = None
    around: Prefix | None = None
    name: str = ""


class Change(msgspec.Struct, frozen=True):
    """One fact that changed; None: it was not there before, or is not there any more."""

    field: str
    before: str | None
    after: str | None


class Line(msgspec.Struct, frozen=True):
    """One line of the journal. `where` are the names above what changed, a space first, as far as they are there.

    `cidr` is None for what has no place: tokens, grants, sessions; then `details` tells more, in words.
    """

    number: int
    at: float
    verb: str
    kind: str
    name: str
    where: list[str]
    cidr: str | None
    actor: str
    reason: str
    changes: list[Change]
    details: str


class Part(msgspec.Struct, frozen=True):
    """Some lines, the latest first; `next` is the `after` of the next part, None at the end."""

    items: list[Line]
    next: str | None


def lines(tx: Tx, visibility: Visibility, wanted: Wanted, after: str = "", limit: int = 100) -> Part:
    """Return lines; what the caller may not know of is hidden. Raises BadValue for an unknown `after`."""
    found = _entries(tx, wanted, _place(tx, after), limit + 1)
    shown = found[:limit]
    before = {each.id: each for each in tx.entries_numbered([e.generation for e in shown if e.generation])}
    where = {parent: where_of(tx, parent) for parent in {each.parent for each in shown}}
    items = [_line(tx, each, before.get(each.generation), visibility, where[each.parent]) for each in shown]
    # Whoever can name a network that is not in sight must not learn from its lines that it is there.
    kept = [line for line in items if line.name != HIDDEN or not wanted.name]
    return Part(kept, str(shown[-1].id) if len(found) > limit else None)


def _place(tx: Tx, after: str) -> Place | None:
    if not after:
        return None
    found = tx.entries_numbered([int(after)]) if after.isascii() and after.isdigit() and len(after) < 19 else []
    if not found:
        raise BadValue("after: there is no such line (any more): begin anew", field="after", value=after)
    return Place(found[0].at, found[0].id)


def _entries(tx: Tx, wanted: Wanted, after: Place | None, limit: int) -> list[Entry]:
    """Return the entries; names are kept folded, reservation ids are not: both are looked for."""
    names = {wanted.name, objects.fold(wanted.name)}
    found = [each for name in names for each in tx.search_journal(_filter(wanted, name), after, limit)]
    return sorted(found, key=lambda entry: (-entry.at, -entry.id))[:limit]


def _filter(wanted: Wanted, name: str) -> JournalFilter:
    around = None if wanted.around is None else wanted.around.first
    within = None if wanted.under is None else Range(wanted.under.first, wanted.under.last)
    return JournalFilter(wanted.since, wanted.until, wanted.actor, wanted.verb, name, around, within)


def in_sight(tx: Tx, entry: Entry, visibility: Visibility) -> bool:
    """Return whether the caller may know what an entry is about. What was in a block that is gone is in no space."""
    if visibility.caller.admin:  # of everything, so that its place need not be looked for
        return True
    network = network_of(entry)
    block = tx.claim(entry.parent) if network else None
    return not network or visibility.sees(space_of(block) if block else 0, network)


def label_of(entry: Entry) -> tuple[str, str]:
    """Return of what kind an entry's object is, and what it is called: its name, or a reservation's id."""
    facts = _facts(entry)
    if facts:
        return facts["type"], facts.get("name") or facts.get("id", "")
    kind, _, name = entry.owner.holder.partition("/")
    return kind, name


def _line(tx: Tx, entry: Entry, before: Entry | None, visibility: Visibility, where: list[str]) -> Line:
    facts = _facts(entry)
    seen = in_sight(tx, entry, visibility)
    kind, name = label_of(entry)
    cidr = prefix_text(entry.first, entry.last) if facts and kind != "space" else None
    return Line(
        entry.id, entry.at, entry.verb, kind, name if seen else HIDDEN, where, cidr, entry.actor,
        entry.reason, list(_changes(before, entry)) if seen and facts else [], "" if facts else entry.details,
    )  # fmt: skip


def _facts(entry: Entry) -> Mapping[str, str]:
    """Return the facts of an object of the plan as texts; empty for what is none."""
    try:
        raw = msgspec.to_builtins(objects.decode(entry.details))
    except msgspec.MsgspecError:  # what was done to tokens and the like has details in words
        return {}
    return {name: str(value) for name, value in raw.items() if value is not None}


def where_of(tx: Tx, parent: int) -> list[str]:
    """Return the names of what is above, the space first; what is gone is left out."""
    names: list[str] = []
    while parent and (claim := tx.claim(parent)) is not None:
        names.insert(0, name_of(tree.node(claim)))
        parent = claim.parent
    return names


def _changes(before: Entry | None, after: Entry) -> Iterable[Change]:
    """Yield what is different. Of what was just made, what the line does not say already."""
    made = before is None
    old, new = _told(before), _told(after)
    for field in {**old, **new}:
        if old.get(field) != new.get(field) and not (made and field in ("cidr", "name", "status")):
            yield Change(field, old.get(field), new.get(field))


def _told(entry: Entry | None) -> dict[str, str]:
    if entry is None:
        return {}
    facts = {name: each for name, each in _facts(entry).items() if name not in _INNER}
    return {"cidr": prefix_text(entry.first, entry.last), **facts}
