"""Work on a pool that may be full: when it is done again, and what a refusal says and leaves behind."""

from __future__ import annotations

from functools import partial

import pytest
from tests.clock import Clock

from unipam.addr.prefix import parse_address
from unipam.ledger import reads, relief
from unipam.ledger.change import nothing
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import WouldBlock
from unipam.model.errors import Exhausted
from unipam.model.records import Owner, Pool, PoolRange, Request
from unipam.store.memory import MemoryStore

FIRST = parse_address("10.0.0.2")
POOL = Pool(0, (PoolRange(FIRST, FIRST, 126),))
EMPTY = Pool(0, ())


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    """A ledger whose only address is held, since an earlier boot."""
    ledger = Ledger(MemoryStore(), clock, boot=2)
    ledger.allocate("net", Request(Owner("old"), (POOL,), boot=1))
    return ledger


def refuse_to_wait(why: str) -> None:
    raise WouldBlock(why)


def test_what_is_gone_is_freed_for_who_may_wait(ledger: Ledger) -> None:
    waits: list[str] = []
    work = partial(ledger.allocate, "net", Request(Owner("new"), (POOL,), boot=2))
    allocation = relief.attempt(ledger, "net", work, nothing, waits.append)
    assert [claim.text for claim in allocation.claims] == ["10.0.0.2"]
    assert len(waits) == 1


def test_nothing_is_freed_before_a_call_that_may_not_wait(ledger: Ledger) -> None:
    work = partial(ledger.allocate, "net", Request(Owner("new"), (POOL,), boot=2))
    with pytest.raises(WouldBlock, match="the pool of net is full"):
        relief.attempt(ledger, "net", work, nothing, refuse_to_wait)
    assert [each.container for each in reads.leases(ledger)] == ["old"]


def test_a_pool_without_addresses_is_refused_at_once(ledger: Ledger) -> None:
    work = partial(ledger.allocate, "net", Request(Owner("new"), (EMPTY,), boot=2))
    with pytest.raises(Exhausted):
        relief.attempt(ledger, "net", work, nothing, refuse_to_wait)


def test_a_refusal_is_kept_and_tells_how_full_the_pool_is(ledger: Ledger) -> None:
    asked = Request(Owner("new"), (POOL,), boot=2)
    error = Exhausted("no address", pool=0, ranges=str(POOL))
    relief.refuse(ledger, "net", asked, error, explain="unipam explain net")
    assert error.facts["details"] == "1 of 1 held: unipam explain net"
    (last, *_) = reads.history(ledger, "new")
    assert (last.verb, last.reason) == ("refuse", "no address; 1 of 1 held: unipam explain net")
