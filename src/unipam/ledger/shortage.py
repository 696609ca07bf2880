"""A pool that is full: what is surely gone is freed before anybody is refused, and a refusal is told and kept."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

import msgspec

from unipam.ledger import reconcile
from unipam.ledger.change import Inherit, let_go, still_held
from unipam.ledger.ledger import Ledger
from unipam.model import facts, rules
from unipam.model.errors import Exhausted, StoreBroken, StoreBusy, StoreFull
from unipam.model.pool_notes import pools_note
from unipam.model.records import HELD, Entry, Pool, Request
from unipam.store.api import Tx

T = TypeVar("T")

AGAIN = 0.25
"""Seconds between the two looks at a namespace that is gone."""

KEPT_QUIET = 60.0
"""Seconds for which a further refusal of the same pod or container is not journalled."""


def relieve(ledger: Ledger, space: str, attempt: Callable[[], T], inherit: Inherit) -> T:
    """Free what is surely gone from a space that is full, and return what another `attempt` is given then.

    First what an earlier boot left; only if that is not enough, what was found gone twice. A space that was refused at
    first contact is adopted first, as nothing of it is in the ledger.

    It takes its time. Raises what `attempt` raises: Exhausted when nothing helped.
    """
    ledger.adopt(space, inherit)
    gone = _gone(ledger, space)
    old = [suspect for suspect in gone if reconcile.is_of_earlier_boot(suspect.claim, ledger.boot)]
    if old:
        _free(ledger, old)
        try:
            return attempt()
        except Exhausted:
            pass
    if len(gone) > len(old):
        time.sleep(AGAIN)
        before = {reconcile.key(suspect.claim) for suspect in gone}
        _free(ledger, [suspect for suspect in _gone(ledger, space) if reconcile.key(suspect.claim) in before])
    return attempt()


def _gone(ledger: Ledger, space: str) -> list[reconcile.Suspect]:
    found = reconcile.suspects(ledger, reconcile.observe(ledger.boot), "gone")
    with ledger.store.reading() as tx:
        parent = tx.space(space)
    return [suspect for suspect in found if suspect.claim.parent == parent]


def _free(ledger: Ledger, suspects: list[reconcile.Suspect]) -> None:
    with ledger.store.transaction() as tx:
        now = ledger.clock()
        for suspect in suspects:
            there = still_held(tx, suspect.claim)
            if there is not None:
                let_go(tx, there, now, f"{suspect.reason}; the pool was full", "ADD")


def filling(ledger: Ledger, space: str, pool: Pool) -> str:
    """Return how many of a pool's addresses are held, gateways left out, and how many of these leases are in doubt."""
    usable = [part for span in pool.ranges for part in rules.usable(span, span.first, span.last)]
    with ledger.store.reading() as tx:
        parent = tx.space(space) or 0
        claims = [claim for part in usable for claim in tx.claims(parent, part.first, part.last)]
    observed = reconcile.observe(ledger.boot)
    held = [claim for claim in claims if claim.state == HELD]
    doubtful = sum(reconcile.judge(claim, observed).state == "doubt" for claim in held)
    size = sum(part.last - part.first + 1 for part in usable)
    return f"{len(held)} of {size} held" + (f", {doubtful} in doubt" if doubtful else "")


def record(ledger: Ledger, space: str, request: Request, error: Exhausted, pools: str = "") -> None:
    """Write down that nothing was left for a request, with what the `error` says; `pools` describes where.

    Of the same pod (or container, where no pod is known) one refusal a minute is written down, and none where the
    ledger cannot be written: the refusal counts all the same.
    """
    with contextlib.suppress(StoreBusy, StoreBroken, StoreFull), ledger.store.transaction() as tx:
        parent, now = tx.space(space), ledger.clock()
        if parent is None:
            return
        if pools:
            tx.set_note(pools_note(parent), pools)
        who = facts.read_lease(request.details).pod or str(request.owner)
        latest = refused(tx, parent, now)
        if who not in latest:
            tx.set_note(_note(parent), msgspec.json.encode({**latest, who: now}).decode())
            tx.record(_entry(parent, request, error, now))


def _entry(parent: int, request: Request, error: Exhausted, now: float) -> Entry:
    """Make the entry: no address is 0, and the reason is all that the caller was told."""
    reason = "; ".join(filter(None, (error.message, str(error.facts.get("details", "")))))
    return Entry(now, "refuse", parent, 0, 0, request.owner, 0, request.call, reason, facts.passed_on(request.details))


def refused(tx: Tx, parent: int, now: float) -> dict[str, float]:
    """Return who was refused an address of a space within the last minute, and when (epoch seconds)."""
    note = tx.note(_note(parent))
    known = msgspec.json.decode(note, type=dict[str, float]) if note else {}
    return {who: at for who, at in known.items() if now - KEPT_QUIET < at <= now + rules.CLOCK_SLACK}


def _note(parent: int) -> str:
    return f"refused/{parent}"
