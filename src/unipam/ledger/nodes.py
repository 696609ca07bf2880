"""Which node a ledger's entries were made on.

A ledger hardly ever changes its node, so the journal does not repeat its name in every entry: one note says from which
entry on the node was called what. What was there before the first of these names goes by it.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from typing import NamedTuple

import msgspec

from unipam.store.api import Tx

VARIABLE = "NODE_NAME"
"""The environment variable that says what Kubernetes calls this node, where that is not its host name."""

_NOTE = "nodes"


class Nodes(NamedTuple):
    """The numbers of the entries from which on the node had these names."""

    since: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def at(self, entry: int) -> str:
        """Return what the node was called when this entry was made; "" when nobody ever said."""
        return self.names[max(0, bisect_right(self.since, entry) - 1)] if self.names else ""


def recall(tx: Tx) -> Nodes:
    """Return the names that are noted in a ledger."""
    note = tx.note(_NOTE)
    return msgspec.json.decode(note, type=Nodes) if note else Nodes()


def is_known(tx: Tx) -> bool:
    """Return whether a ledger knows what this node is called now."""
    names, named = recall(tx).names, os.environ.get(VARIABLE, "")
    return bool(names) and named in ("", names[-1])


def remember(tx: Tx) -> None:
    """Note what this node is called. Its host name counts only until somebody says better, by NODE_NAME."""
    if not is_known(tx):
        known = recall(tx)
        last = next((entry.id for entry in tx.journal(limit=1)), 0)
        name = os.environ.get(VARIABLE, "") or os.uname().nodename
        noted = Nodes((*known.since, last + 1), (*known.names, name))
        tx.set_note(_NOTE, msgspec.json.encode(noted).decode())
