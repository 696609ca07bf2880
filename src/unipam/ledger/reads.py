"""Questions about a ledger: what is held, how full the pools are, who had what when. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from unipam.addr.prefix import format_address, parse_address
from unipam.ledger import nodes, shortage
from unipam.ledger.change import View
from unipam.ledger.ledger import Ledger
from unipam.model import facts, rules
from unipam.model.errors import Missing
from unipam.model.pool_notes import pools_note, recall
from unipam.model.records import COOLING, HELD, Claim, Entry, Pool, prefix_text
from unipam.store.api import Tx


class Lease(NamedTuple):
    """A lease as people ask for it. Times are seconds since the epoch."""

    network: str
    address: str
    container: str
    interface: str
    pod: str
    state: str
    since: float
    until: float | None
    netns: str
    generation: int


class Past(NamedTuple):
    """A journal entry as people ask for it. `at` is in seconds since the epoch; `pod` is whose lease it was."""

    number: int
    at: float
    verb: str
    network: str
    address: str
    container: str
    interface: str
    pod: str
    node: str
    generation: int
    actor: str
    reason: str


class PoolUse(NamedTuple):
    """How full a pool is. `reserved` are its gateways; `next` is the address that would be handed out next."""

    network: str
    number: int
    ranges: str
    size: int
    used: int
    cooling: int
    reserved: int
    free: int
    next: str


def lease(network: str, claim: Claim) -> Lease:
    """Return a claim as people ask for it."""
    known = facts.read(claim.details)
    return Lease(
        network,
        claim.text,
        claim.owner.holder,
        claim.owner.interface,
        str(known.get("pod") or ""),
        claim.state,
        claim.since,
        claim.until,
        str(known.get("netns") or ""),
        claim.generation,
    )


def leases(ledger: Ledger) -> list[Lease]:
    """Return every lease, held or cooling, by network and address."""
    with ledger.store.reading() as tx:
        return [lease(name, claim) for number, name in tx.spaces() for claim in tx.claims(number)]


def is_of(row: Mapping[str, object], *, network: str, namespace: str, pod: str, state: str) -> bool:
    """Return whether a lease is of all that is named; a pod may lack its namespace, and "" names nothing."""
    of, _, name = str(row["pod"]).partition("/")
    asked = ((network, (row["network"],)), (pod, (row["pod"], name)), (namespace, (of,)), (state, (row["state"],)))
    return all(not wanted or wanted in found for wanted, found in asked)


def find(ledger: Ledger, what: str) -> list[tuple[str, Claim]]:
    """Return the claims that an address, the beginning of a container id or a pod's name means, with their network."""
    address = _address(what)
    with ledger.store.reading() as tx:
        spaces = dict(tx.spaces())
        if address is not None:
            found = [claim for number in spaces if (claim := tx.claim_at(number, address))]
        else:
            found = tx.claims_by_holder(what) or _of_pod(tx, spaces, what)
    return [(spaces.get(claim.parent, ""), claim) for claim in found]


def _of_pod(tx: Tx, spaces: dict[int, str], pod: str) -> list[Claim]:
    return [claim for number in spaces for claim in tx.claims(number) if _names(claim.details, pod)]


def _names(details: str, pod: str) -> bool:
    """Return whether it is the facts of this pod, which may be named without its namespace."""
    name = facts.read_lease(details).pod
    return bool(name) and pod in (name, name.partition("/")[2])


def _address(text: str) -> int | None:
    try:
        return parse_address(text)
    except ValueError:
        return None


def history(ledger: Ledger, what: str, limit: int = 100) -> list[Past]:
    """Return what happened to an address, a container (or the beginning of its id) or a pod, newest first."""
    address = _address(what)
    with ledger.store.reading() as tx:
        if address is not None:
            entries = tx.journal(address=address, limit=limit)
        else:
            entries = tx.journal(holder=what, limit=limit) or _entries_of_pod(tx, what, limit)
        return _past(tx, entries)


def _entries_of_pod(tx: Tx, pod: str, limit: int) -> list[Entry]:
    """Return a pod's entries: a container is one pod's, so what names the pod once leads to all of its containers."""
    holders: dict[str, None] = {}
    for holder, details in tx.details(text=f'{"" if "/" in pod else "/"}{pod}"'):
        if _names(details, pod):
            holders[holder] = None
        if len(holders) == limit:
            break
    return tx.journal(holders=holders, limit=limit) if holders else []


def _past(tx: Tx, entries: Sequence[Entry]) -> list[Past]:
    spaces, pods, node = dict(tx.spaces()), _pods(tx, entries), nodes.recall(tx)
    return [
        Past(
            e.id, e.at, e.verb, spaces.get(e.parent, f"(gone: {e.parent})"),
            prefix_text(e.first, e.last) if e.last else "",  # a refusal is about no address
            *e.owner, facts.read_lease(e.details).pod or pods.get(e.owner.holder, ""), node.at(e.id),
            e.generation or e.id, e.actor, e.reason,
        )
        for e in entries
    ]  # fmt: skip


def _pods(tx: Tx, entries: Sequence[Entry]) -> dict[str, str]:
    """Return the pods of the containers whose entries do not name them, from all that was ever kept of these."""
    nameless = {e.owner.holder for e in entries if not facts.read_lease(e.details).pod}
    told = tx.details(holders=nameless, text='"pod"') if nameless else ()
    return {holder: facts.read_lease(details).pod for holder, details in told}


def spaces(ledger: Ledger) -> dict[int, str]:
    """Return the names of the spaces, by number."""
    with ledger.store.reading() as tx:
        return dict(tx.spaces())


def pools(ledger: Ledger, network: str = "") -> list[PoolUse]:
    """Return how full every pool is, as its configuration described it last; of one network if it is named."""
    with ledger.store.reading() as tx:
        return [
            _use(tx, number, name, pool)
            for number, name in tx.spaces()
            if network in ("", name)
            for pool in recall(tx.note(pools_note(number)))
        ]


def refused(ledger: Ledger, network: str) -> list[str]:
    """Return whom this network had nothing for within the last minute: pods, or containers where none is known."""
    with ledger.store.reading() as tx:
        parent = tx.space(network)
        return sorted(shortage.refused(tx, parent, ledger.clock())) if parent else []


def _use(tx: Tx, parent: int, network: str, pool: Pool) -> PoolUse:
    counts = [
        (r.last - r.first + 1, tx.count(parent, r.first, r.last, HELD), tx.count(parent, r.first, r.last, COOLING))
        for r in pool.ranges
    ]
    size, used, cooling = map(sum, zip(*counts, strict=True))
    reserved = sum(r.gateway is not None and r.first <= r.gateway <= r.last for r in pool.ranges)
    found = rules.round_robin(View(tx, parent), pool)
    following = format_address(found[1]) if found else ""
    return PoolUse(
        network,
        pool.cursor,
        str(pool),
        size,
        used,
        cooling,
        reserved,
        max(0, size - used - cooling - reserved),
        following,
    )


def pool(ledger: Ledger, network: str) -> list[PoolUse]:
    """Return the pools of one network. Raises Missing, with what there is."""
    found = pools(ledger, network)
    if not found:
        known = ", ".join(sorted(set(spaces(ledger).values()))) or "none yet"
        raise Missing(f"no pool of a network named {network} is known here; the networks are: {known}", network=network)
    return found
