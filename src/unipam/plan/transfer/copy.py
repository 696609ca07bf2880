"""A whole register from one database into another, exactly: tree, journal, access, everything under its own number."""

from __future__ import annotations

from unipam.model.errors import NotEmpty, Refused
from unipam.store.api import Store, Tx

_FOR_EVER = float("inf")
_PART = 1000


def copy(source: Store, target: Store) -> dict[str, int]:
    """Copy everything; how many claims, journal entries and notes.

    The numbers of claims are those of journal entries, so the journal must be there from its beginning. Raises
    NotEmpty when the target holds anything, Refused when the source's journal has been cut.
    """
    with source.reading() as old, target.transaction() as new:
        if next(new.entries(_FOR_EVER), None) is not None or new.spaces():
            raise NotEmpty("the target holds a register already: take an empty database", kind="database")
        entries = _copy_journal(old, new)
        claims = _copy_claims(old, new)
        notes = old.notes("")
        for key, value in notes:
            new.set_note(key, value)
    return {"claims": claims, "entries": entries, "notes": len(notes)}


def _copy_journal(old: Tx, new: Tx) -> int:
    part, count = [], 0
    for entry in old.entries(_FOR_EVER):
        count += 1
        if entry.id != count:
            raise Refused("the source's journal is not whole, so its numbers cannot be kept: use export and import")
        part.append(entry)
        if len(part) == _PART:
            new.record_all(part)
            part = []
    if part:
        new.record_all(part)
    return count


def _copy_claims(old: Tx, new: Tx) -> int:
    found = [claim for number, _ in old.spaces() if (claim := old.claim(number)) is not None]
    for claim in found:  # grows while it is gone through: the tree, level by level
        found += old.claims(claim.id)
        for number, address in old.cursors(claim.id).items():
            new.set_cursor(claim.id, number, address)
    for start in range(0, len(found), _PART):
        new.insert_all(found[start : start + _PART])
    return len(found)
