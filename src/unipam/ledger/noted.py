"""Leases that are decided on elsewhere, in a cluster's datastore, and noted here for their history.

The ledger is not asked whether they may be, and what it lacks is missing from the past only. An end that nobody noted
shows as that of any other lease: the container is gone (`ledger.reconcile`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from unipam.ledger.change import Change, let_go, nothing
from unipam.ledger.ledger import Ledger, freeing
from unipam.model.records import COOLING, HELD, LEASE, Claim, Entry, Owner
from unipam.store.api import Tx


class Gained(NamedTuple):
    """Addresses that an owner was given; `cooldown` is in seconds, `details` as in a claim."""

    owner: Owner
    addresses: tuple[int, ...]
    cooldown: int = 0
    details: str = ""


class Lost(NamedTuple):
    """Addresses that are nobody's any more, and why."""

    addresses: tuple[int, ...]
    reason: str


@freeing
def note(ledger: Ledger, space: str, events: Iterable[Gained | Lost]) -> None:
    """Write down what has happened in a space, in order and in one transaction. Raises the store's errors."""
    with Change(ledger, space, nothing) as (tx, standing, now):
        for event in events:
            for address in event.addresses:
                there = tx.claim_at(standing.space, address)
                if isinstance(event, Gained):
                    _gain(tx, _claim(event, standing.space, address, now)._replace(boot=ledger.boot), there)
                elif there is not None and there.state == HELD:
                    let_go(tx, there, now, event.reason, "")


def _claim(event: Gained, parent: int, address: int, now: float) -> Claim:
    return Claim(
        parent, address, address, LEASE, event.owner, HELD, now, cooldown=event.cooldown, details=event.details
    )


def _gain(tx: Tx, new: Claim, there: Claim | None) -> None:
    if there is not None and there.state == HELD and there.owner == new.owner:
        return
    if there is not None and there.state == HELD:
        let_go(tx, there._replace(cooldown=0), new.since, "handed out anew by the datastore", "")
    if there is not None and there.state == COOLING:
        tx.remove(there)
    entry = Entry(new.since, "allocate", new.parent, new.first, new.last, new.owner, 0, "", "", new.details)
    tx.insert(new._replace(generation=tx.record(entry)))
