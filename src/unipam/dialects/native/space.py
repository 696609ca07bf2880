"""The ledger's part of a CiliumNode: its pool as it was seen last, and what is handed out of it.

There is one space for the node, whatever networks its pods are in: they share the pool. What is written down here is
what an address is given by, so that it holds for every process of the node, and while the API server is away.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import msgspec

from unipam.dialects.cilium.node import KEPT, MARKED, READY, RELEASED, CiliumNode, section
from unipam.dialects.host_local.pod_cidr import Node
from unipam.dialects.native import handshake
from unipam.dialects.native.config import CILIUM_NODE
from unipam.dialects.native.pools import pools_of, requested, span_of
from unipam.ledger import learned as learning
from unipam.ledger.change import Allocation, Change, Inheritance, adopt, nothing, serve
from unipam.ledger.learned import Learned, LearnedPool
from unipam.ledger.ledger import Ledger
from unipam.model import facts, rules
from unipam.model.errors import Missing
from unipam.model.records import COOLING, HELD, LEASE, Claim, Owner, Request
from unipam.store.api import Tx

SPACE = CILIUM_NODE
"""What the space in the ledger is called."""


WITHHELD = 60.0
"""Seconds for which nobody is given what was given up, once the CiliumNode says no more of that.

The write that takes the address may be under way: whoever has called it off in the CiliumNode need not be whose it is.
Afterwards the API server must have been asked, as what is watched may be old.
"""


class Known(msgspec.Struct, frozen=True):
    """Whose CiliumNode a ledger keeps, and what of it was seen last.

    `given_up` are addresses that the machine may lose any moment; those `withheld` were, until then (epoch seconds).
    """

    node: str = ""
    kubeconfig: str = ""
    uid: str = ""
    revision: str = ""
    given_up: tuple[str, ...] = ()
    withheld: dict[str, float] = {}

    def is_of(self, whose: Node, seen: CiliumNode) -> bool:
        """Return whether all that a CiliumNode says is written down."""
        same = (self.node, self.kubeconfig, self.uid, self.revision) == (*whose, seen.uid, seen.revision)
        return same and bool(seen.revision)

    def is_over(self, now: float) -> bool:
        """Return whether something has been withheld long enough."""
        return any(until <= now for until in self.withheld.values())

    def after(self, whose: Node, seen: CiliumNode, now: float, *, asked: bool) -> Known:
        """Return what is known once this has been seen; what is given up by that is added when it is known.

        `asked` says that it was asked for after all else was known.
        """
        said = {text for text, state in seen.release.items() if state in (READY, RELEASED)}
        going = {text for text, state in seen.release.items() if state != KEPT}
        withheld = dict.fromkeys(self.given_up, now + WITHHELD) | self.withheld
        kept = {text: until for text, until in withheld.items() if text not in going and not (asked and until <= now)}
        revision = seen.revision or self.revision
        return Known(*whose, seen.uid, revision, tuple(sorted(said)), kept)


class Taken(NamedTuple):
    """What a CiliumNode is to be told, and what is worth telling people.

    `free` addresses are left; `astray` are leases whose addresses the node has no more.
    """

    answers: dict[str, str | None]
    used: dict[str, dict[str, str]]
    free: int
    astray: tuple[str, ...]


def known(ledger: Ledger) -> Known:
    """Return what a ledger knows of its CiliumNode; the empty one where it has none."""
    with ledger.store.reading() as tx:
        parent = tx.space(SPACE)
        return Known() if parent is None else _recall(tx, parent)


def is_known(ledger: Ledger, whose: Node) -> bool:
    """Return whether a ledger knows the pool of this node, whatever is in it."""
    found = known(ledger)
    return (found.node, bool(found.uid)) == (whose.name, True)


def pools(ledger: Ledger) -> tuple[LearnedPool, ...]:
    """Return the pools that a ledger knows."""
    with ledger.store.reading() as tx:
        parent = tx.space(SPACE)
        return () if parent is None else learning.recall(tx, parent).pools


def _recall(tx: Tx, parent: int) -> Known:
    return _decode(tx.note(_note(parent)))


@functools.lru_cache(maxsize=16)
def _decode(note: str) -> Known:
    return msgspec.json.decode(note, type=Known) if note else Known()


def _note(parent: int) -> str:
    return f"{SPACE}/{parent}"


def take(ledger: Ledger, whose: Node, seen: CiliumNode, *, asked_after: Known | None = None) -> Taken | None:
    """Write down what a CiliumNode says now; None where the ledger knows it from a later day.

    Revisions only grow, unless somebody has put an old copy of the cluster's data in place. So what an API server
    answered counts in any case when nothing has been written down since it was asked, which was `asked_after` that.

    In this transaction an address is taken out of the pool, and only then anybody is told that it was given up.
    """
    looked = None if asked_after else _looked(ledger, whose, seen)
    return looked or _written(ledger, whose, seen, asked_after)


def _looked(ledger: Ledger, whose: Node, seen: CiliumNode) -> Taken | None:
    """Return what there is to be said where all of it has been written down before; None where it has not."""
    with ledger.store.reading() as tx:
        parent = tx.space(SPACE)
        if parent is None or not _recall(tx, parent).is_of(whose, seen):
            return None
        learned, claims = learning.recall(tx, parent), list(tx.claims(parent))
    taken = _taken(seen, learned, claims, ledger.clock())
    fresh = {text for text, state in taken.answers.items() if state == READY and seen.release[text] == MARKED}
    return None if fresh or learned.boot != ledger.boot else taken


def _written(ledger: Ledger, whose: Node, seen: CiliumNode, asked_after: Known | None) -> Taken | None:
    with Change(ledger, SPACE, nothing) as (tx, (parent, *_), now):
        before = _recall(tx, parent)
        if handshake.is_older(seen.revision, before.revision) and before != asked_after:
            return None
        learned = learning.settle(tx, parent, ledger.boot, now)
        if not before.node and seen.uid:
            adopt(tx, parent, _in_use(tx, parent, seen, ledger.boot, now), now)
        claims = list(tx.claims(parent))
        after = before.after(whose, seen, now, asked=before == asked_after)
        merged = _merged(learned, pools_of(seen, after.withheld), claims)
        learning.remember(tx, parent, merged)
        taken = _taken(seen, merged, claims, now)
        giving = {text for text, state in taken.answers.items() if state == READY}
        after = msgspec.structs.replace(after, given_up=tuple(sorted(giving.union(after.given_up))))
        if after != before:
            tx.set_note(_note(parent), msgspec.json.encode(after).decode())
    return taken


def _in_use(tx: Tx, parent: int, seen: CiliumNode, boot: int, now: float) -> Inheritance:
    """Return as leases what the CiliumNode says is used, and the ledger does not know: it is new, or was lost.

    Whose they are is told by pods, not by containers; a pod's next DEL lets go of its address.
    """
    used = section(section(section(seen.document, "status"), "ipam"), "used")
    claims = []
    for text in used:
        span = span_of(text)
        if span is None or span.first != span.last or tx.claim_at(parent, span.first):
            continue
        owner = str(section(used, text).get("owner") or "unknown")
        details = facts.write({"pod": owner})
        claims.append(Claim(0, *span, LEASE, Owner(owner), HELD, now, boot=boot, details=details))
    return Inheritance(tuple(claims), origin=f"status.ipam.used of CiliumNode {seen.name}")


def _merged(before: Learned, now: tuple[LearnedPool, ...], claims: list[Claim]) -> Learned:
    """Return the pools as they are now; of one that has gone its subnet stays, as long as an address of it is held."""
    networks, held = {each.network for each in now}, [each.first for each in claims if each.state == HELD]
    kept = [
        each._replace(addresses=())
        for each in before.pools
        if each.network not in networks and any(each.span.first <= address <= each.span.last for address in held)
    ]
    return Learned(before.boot, tuple(sorted((*now, *kept))))


def _taken(seen: CiliumNode, learned: Learned, claims: list[Claim], now: float) -> Taken:
    held = [each for each in claims if each.state == HELD]
    resting = [each.first for each in claims if each.state == COOLING and not rules.is_cool(each, now)]
    answers = handshake.answers(seen, {each.first for each in held}, resting)
    claimed = {each.first for each in claims}
    spans = [span for pool in learned.pools for span in pool.addresses]
    within = sum(span.first <= each <= span.last for span in spans for each in claimed)
    free = sum(span.last - span.first + 1 for span in spans) - within
    astray = tuple(
        f"{each.text} ({facts.read_lease(each.details).pod or each.owner})"
        for each in held
        if not any(span.first <= each.first <= span.last for span in spans)
    )
    return Taken(answers, handshake.used(seen, held), free, astray)


def allocate(ledger: Ledger, request: Request) -> tuple[Allocation, Learned]:
    """Hand out one address of each family that the node has. Raises Missing where it has none, and as `serve`."""
    with Change(ledger, SPACE, nothing, request.owner) as (tx, standing, now):
        learned = learning.settle(tx, standing.space, ledger.boot, now)
        allocation = serve(tx, standing, request._replace(pools=requested(learned)), now)
        if not allocation.claims:
            raise missing(_recall(tx, standing.space))
    return allocation, learned


def missing(known: Known) -> Missing:
    """Return the error of a node that has no address for anybody."""
    if not known.uid:
        text = (
            f"CiliumNode {known.node} is not there: the node's agent makes it of a Node whose spec.providerID names its"
            " machine (azure://...); else make it by hand"
        )
    else:
        text = (
            f"CiliumNode {known.node} has no address for pods: its status.ipam.operator-status may say why; an operator"
            " brings them (unipam controller --cilium)"
        )
    return Missing(text, node=known.node)
