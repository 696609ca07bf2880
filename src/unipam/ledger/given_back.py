"""The mark that a space was given back to the system it came from: while it stands, nobody takes the space over.

Whoever is called after it, by a caller that began earlier or because the other system is not in place yet, would
otherwise take over what it finds there, and two systems would hand out the same addresses.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from unipam.model.errors import GivenBack
from unipam.store.api import Tx

EVERY = ""
"""The space of a mark that stands for all those which the ledger does not have."""

_PREFIX = "given-back/"


class Mark(NamedTuple):
    """`parent` is the number that the space has, 0 once what it held is forgotten; `again` is the command that takes it
    over, but for its name."""

    parent: int
    again: str


def leave(tx: Tx, space: str, mark: Mark) -> None:
    """Mark a space."""
    tx.set_note(_PREFIX + space, msgspec.json.encode(mark).decode())


def find(tx: Tx, space: str) -> Mark | None:
    """Return the mark of a space, if it has one of its own."""
    note = tx.note(_PREFIX + space)
    return msgspec.json.decode(note, type=Mark) if note else None


def pending(tx: Tx) -> list[str]:
    """Return the spaces that are marked and not yet forgotten, by name."""
    names = (key.removeprefix(_PREFIX) for key, _ in tx.notes(_PREFIX))
    return [name for name in names if (mark := find(tx, name)) and mark.parent]


def refuse(tx: Tx, space: str) -> None:
    """Raise GivenBack when the space is marked, or all that the ledger does not have are."""
    mark = find(tx, space) or find(tx, EVERY)
    if mark is not None:
        raise refusal(space, mark.again)


def refusal(space: str, again: str) -> GivenBack:
    """Return the error of a call for a space that is marked, with both ways out."""
    return GivenBack(
        f"{space} was given back to the plugin that had it before: put that in its place (unipam cni uninstall), or"
        f" take {space} over again ({again} {space})",
        space=space,
    )


def lift(tx: Tx, space: str) -> None:
    """Remove the mark of a space that is taken over by name; then new spaces are welcome too."""
    tx.drop_note(_PREFIX + space)
    tx.drop_note(_PREFIX + EVERY)
