"""The node's ledger beside a register (`unipam run`, `--ledger`): who has an address within a node's range, and why.

The ledger stays the agent's: it is read in a thread of its own, and changed by nothing but a release by hand.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TypeVar

from unipam.ledger import reads, reconcile
from unipam.ledger.explanation import Explanation, explain
from unipam.ledger.ledger import Ledger
from unipam.ledger.open import FILE, Ledgers
from unipam.ledger.reads import Lease, PoolUse
from unipam.model.errors import Missing, Stale
from unipam.model.records import HELD
from unipam.plan.listing import place_in
from unipam.plan.parts import has_text
from unipam.server.threads import Threads

T = TypeVar("T")

WITHOUT = (
    "no node's ledger is beside this register: `unipam run` has one, `unipam server --ledger DIRECTORY` reads one;"
    " on any node `unipam lease list` tells"
)


class Node:
    """A node whose ledger lies in a data directory, which may come to be later."""

    def __init__(self, directory: str) -> None:
        self.directory = os.path.abspath(directory)
        self._ledgers = Ledgers()
        self._threads = Threads(1, "node")

    async def leases(self) -> list[Lease]:
        """Return every lease, held or cooling, by network and address. Raises the store's errors."""
        return await self._ask(reads.leases)

    async def pools(self) -> list[PoolUse]:
        """Return how full its pools are. Raises the store's errors."""
        return await self._ask(reads.pools)

    async def explain(self, subject: str) -> Explanation:
        """Explain an address, a network's pools, a container or a pod. Raises the store's errors."""
        return await self._ask(lambda ledger: explain(ledger, subject, reconcile.observe(ledger.boot)))

    async def release(self, address: str, generation: int, reason: str, actor: str) -> Lease:
        """Release the lease of an address as it was seen, and return what it was, as `unipam lease release` does.

        Raises Stale when it is not held, or another has it by now, and the store's errors.
        """

        def work(ledger: Ledger) -> Lease:
            for network, claim in reads.find(ledger, address):
                if claim.text == address and claim.state == HELD and claim.generation == generation:
                    ledger.release_claim(claim, reason or "released by hand", actor)
                    return reads.lease(network, claim)
            raise Stale(
                f"{address} is no longer held as you saw it: look again", address=address, generation=generation
            )

        return await self._ask(work)

    async def _ask(self, question: Callable[[Ledger], T]) -> T:
        def work() -> T:
            ledger = self._ledgers.find(self.directory)
            if ledger is None:
                raise Missing(
                    f"there is no ledger at {self.directory}/{FILE} yet: the first ADD makes it", kind="ledger"
                )
            return question(ledger)

        return await self._threads.call(work)

    def close(self, deadline: float) -> None:
        """Let go of its thread by this moment (CLOCK_MONOTONIC)."""
        self._threads.close(deadline)


def has(row: Mapping[str, object], text: str) -> bool:
    """Return whether a lease is at an address or within a prefix, or else has a text."""
    place, own = place_in(text), place_in(str(row["address"]))
    if place is not None:
        return own is not None and place.first <= own.first <= place.last
    return has_text([row["address"], row["pod"], row["container"], row["network"]], text.lower())


def node_of(node: Node | None) -> Node:
    """Return the node beside a register. Raises Missing."""
    if node is None:
        raise Missing(WITHOUT, kind="ledger")
    return node
