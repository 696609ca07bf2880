"""Claims and journal entries as rows of a table, column by column and by name; both SQL stores have these columns.

A store says only how it keeps an address: `Key` is its type. A field that is added to a record or a column that is
added to a table has to be named here, or nothing fits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from unipam.model.records import Claim, Entry, Owner

Key = TypeVar("Key")

CLAIM = (
    "id, parent, first, last, kind, holder, interface, state, since, until, generation, boot, cooldown, call, details"
)
ENTRY = "id, at, verb, parent, first, last, holder, interface, generation, actor, reason, details"
CHANGEABLE = ("holder", "interface", "state", "since", "until", "generation", "boot", "cooldown", "call", "details")
"""The columns of a claim that may change while it holds its addresses."""


def claim_row(claim: Claim, first: Key, last: Key) -> tuple[Any, ...]:
    """Return a claim as the columns of `CLAIM`; a number of 0 is no number yet."""
    owner = claim.owner
    return (
        claim.id or None, claim.parent, first, last, claim.kind, owner.holder, owner.interface, claim.state,
        claim.since, claim.until, claim.generation, claim.boot, claim.cooldown, claim.call, claim.details,
    )  # fmt: skip


def change_row(claim: Claim) -> tuple[Any, ...]:
    """Return the columns of `CHANGEABLE`, and at the end the claim's number."""
    owner = claim.owner
    return (
        owner.holder, owner.interface, claim.state, claim.since, claim.until, claim.generation, claim.boot,
        claim.cooldown, claim.call, claim.details, claim.id,
    )  # fmt: skip


def entry_row(entry: Entry, number: int | None, first: Key, last: Key) -> tuple[Any, ...]:
    """Return an entry as the columns of `ENTRY`, under this number."""
    owner = entry.owner
    return (
        number, entry.at, entry.verb, entry.parent, first, last, owner.holder, owner.interface, entry.generation,
        entry.actor, entry.reason, entry.details,
    )  # fmt: skip


def read_claim(row: Any, place: Callable[[Any], int]) -> Claim:
    """Return the claim in the columns of `CLAIM`; `place` tells the address that a key stands for."""
    (
        number, parent, first, last, kind, holder, interface, state, since, until, generation, boot, cooldown, call,
        details,
    ) = row  # fmt: skip
    return Claim(
        parent, place(first), place(last), kind, Owner(holder, interface), state, since, until, generation, boot,
        cooldown, call, details, number,
    )  # fmt: skip


def read_entry(row: Any, place: Callable[[Any], int]) -> Entry:
    """Return the entry in the columns of `ENTRY`; `place` tells the address that a key stands for."""
    number, at, verb, parent, first, last, holder, interface, generation, actor, reason, details = row
    owner = Owner(holder, interface)
    return Entry(at, verb, parent, place(first), place(last), owner, generation, actor, reason, details, number)
