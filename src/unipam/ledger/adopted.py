"""Leases that were adopted: host-local's files say neither whose they are nor where. The runtime's list does.

What it lists gets its pod's name. What it does not list is a CRI sandbox all the same where others of the network are,
for a network has one runtime; when it was asked for, its file's time says. So the cases of `ledger.reconcile` apply to
both, and a lease that host-local had leaked is found like one of our own.
"""

from __future__ import annotations

import msgspec

from unipam.ledger.change import journal, still_held
from unipam.ledger.ledger import Ledger
from unipam.ledger.reconcile import Runtime
from unipam.model import facts
from unipam.model.records import HELD, Claim
from unipam.store.api import Tx

LISTED = "adopted; the container runtime lists it"
UNLISTED = "adopted; the container runtime, whose network it is on, does not list it"


def identify(ledger: Ledger, runtime: Runtime, started: float) -> int:
    """Write down what the runtime says about adopted leases; of how many it said anything new.

    `started` is when the machine was (epoch seconds).
    """
    with ledger.store.reading() as tx:
        new = [found for space, _ in tx.spaces() for found in _said(list(tx.claims(space)), runtime, started)]
    if not new:
        return 0
    with ledger.store.transaction() as tx:
        return sum(_write(tx, claim, details, ledger.clock()) for claim, details in new)


def _said(claims: list[Claim], runtime: Runtime, started: float) -> list[tuple[Claim, str]]:
    """Return the adopted leases of a network of which something new is known, with what is known now."""
    adopted = [claim for claim in claims if claim.state == HELD and '"netns"' not in claim.details]
    nameless = [claim for claim in adopted if not facts.read_lease(claim.details).pod]
    listed = runtime.sandboxes.keys() & {claim.owner.holder for claim in nameless}
    if not listed and not any('"sandbox"' in claim.details for claim in claims):
        return []
    said = [(claim, _details(claim, runtime, started)) for claim in nameless]
    return [(claim, details) for claim, details in said if details != claim.details]


def _details(claim: Claim, runtime: Runtime, started: float) -> str:
    listed = runtime.sandboxes.get(claim.owner.holder)
    if listed is None:
        return claim.details or _json({"sandbox": claim.since - started})
    return _json({"pod": listed.pod, "uid": listed.uid, "sandbox": listed.made - started})


def _json(known: dict[str, object]) -> str:
    return msgspec.json.encode(known).decode()


def _write(tx: Tx, claim: Claim, details: str, now: float) -> bool:
    there = still_held(tx, claim)
    if there is None:
        return False
    there = there._replace(details=details)
    tx.update(there)
    journal(tx, there, now, "identify", LISTED if facts.read_lease(details).pod else UNLISTED, "runtime")
    return True
