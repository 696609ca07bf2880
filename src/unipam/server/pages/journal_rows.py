"""Lines of the journal about one object, as rows."""

from __future__ import annotations

from typing import NamedTuple

from unipam.model.records import SPACE, Claim, prefix_text
from unipam.store.api import Tx
from unipam.store.journal import JournalFilter

MOST = 20


class Line(NamedTuple):
    """What happened to an object, when, by whom and why. A space has no prefix."""

    at: float
    verb: str
    cidr: str
    actor: str
    reason: str


def about(tx: Tx, claim: Claim) -> list[Line]:
    """Return what happened to an object lately, newest first."""
    found = tx.search_journal(JournalFilter(holder=claim.owner.holder), None, MOST)
    return [
        Line(
            each.at,
            each.verb,
            "" if claim.kind == SPACE else prefix_text(each.first, each.last),
            each.actor,
            each.reason,
        )
        for each in found
        if each.owner.holder == claim.owner.holder and each.parent == claim.parent
    ]
