"""Explain: who holds an address and who did before, what a container has, what fills a pool and what frees next."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from unipam.addr.prefix import parse_address
from unipam.ledger import reads, reconcile
from unipam.ledger.ledger import Ledger
from unipam.model import facts
from unipam.model.moments import moment
from unipam.model.pool_notes import pools_note, recall
from unipam.model.records import COOLING, HELD, Claim, Owner, Pool


class Explanation(NamedTuple):
    """What there is to say about a subject, in sentences, with the records behind them."""

    subject: str
    kind: str
    sentences: tuple[str, ...]
    leases: tuple[reads.Lease, ...] = ()
    history: tuple[reads.Past, ...] = ()


def explain(ledger: Ledger, subject: str, observed: reconcile.Observed) -> Explanation:
    """Explain an address, a network's pools, or a container or pod; whichever the subject is. Raises Missing."""
    try:
        parse_address(subject)
    except ValueError:
        names = reads.spaces(ledger).values()
        return _network(ledger, subject, observed) if subject in names else _container(ledger, subject, observed)
    return _address(ledger, subject, observed)


def _address(ledger: Ledger, text: str, observed: reconcile.Observed) -> Explanation:
    past = reads.history(ledger, text, 20)
    found = reads.find(ledger, text)
    sentences = [_holding(network, claim, observed) for network, claim in found]
    sentences += _strays(ledger, found) if found else _free(ledger, text)
    sentences += _before(past, found)
    return Explanation(text, "address", tuple(sentences), tuple(reads.lease(n, c) for n, c in found), tuple(past))


def _holding(network: str, claim: Claim, observed: reconcile.Observed) -> str:
    since = moment(claim.since)
    who = _who(claim)
    if claim.state == COOLING:
        return f"{claim.text} of {network} cools since {since} until {moment(claim.until or 0)}; {who} held it last."
    verdict = reconcile.judge(claim, observed)
    doubt = {"gone": f" It looks leaked: {verdict.reason}.", "doubt": f" In doubt: {verdict.reason}."}
    return f"{claim.text} of {network} is held by {who} since {since}.{doubt.get(verdict.state, '')}"


def _who(claim: Claim) -> str:
    return _named(str(claim.owner), facts.read_lease(claim.details).pod)


def _named(owner: str, pod: str) -> str:
    return f"{owner} (pod {pod})" if pod else owner


def _whose(past: reads.Past) -> str:
    return _named(str(Owner(past.container, past.interface)), past.pod)


def _strays(ledger: Ledger, found: list[tuple[str, Claim]]) -> list[str]:
    """Return what there is to say of leases whose addresses the pools do not have any more."""
    with ledger.store.reading() as tx:
        known = {claim.parent: recall(tx.note(pools_note(claim.parent))) for _, claim in found}
    return [
        f"{claim.text} is in no pool of {network} any more: it stays with its holder, and is nobody's after that."
        for network, claim in found
        if claim.state == HELD and known[claim.parent] and not any(p.find(claim.first) for p in known[claim.parent])
    ]


def _free(ledger: Ledger, text: str) -> list[str]:
    address = parse_address(text)
    sentences = []
    for number, name, pool in _known_pools(ledger):
        span = pool.find(address)
        if span is not None and span.gateway == address:
            sentences.append(f"{text} is the gateway of pool {number} of {name}: it is never handed out.")
        elif span is not None:
            sentences.append(f"{text} is free in pool {number} of {name} ({pool}).")
    return sentences or [f"{text} lies in no pool that this ledger knows, and nobody holds it."]


def _known_pools(ledger: Ledger) -> list[tuple[int, str, Pool]]:
    with ledger.store.reading() as tx:
        return [(p.cursor, name, p) for space, name in tx.spaces() for p in recall(tx.note(pools_note(space)))]


def _before(past: list[reads.Past], found: list[tuple[str, Claim]]) -> list[str]:
    current = {claim.generation for _, claim in found}
    ended = [e for e in past if e.verb in {"release", "undo"} and e.generation not in current]
    return [f"Before that {_whose(e)} held it, until {moment(e.at)} ({e.reason})." for e in ended[:3]]


def _container(ledger: Ledger, subject: str, observed: reconcile.Observed) -> Explanation:
    found = reads.find(ledger, subject)
    past = reads.history(ledger, subject, 20)
    sentences = [_holding(network, claim, observed) for network, claim in found]
    if not found and past:
        sentences = [_last(past[0])]
    if not sentences:
        sentences = [f"Nothing is recorded of {subject}: no network, address, container or pod of that name."]
    return Explanation(subject, "container", tuple(sentences), tuple(reads.lease(n, c) for n, c in found), tuple(past))


def _last(last: reads.Past) -> str:
    if last.verb == "refuse":
        return (
            f"{_whose(last)} waits for an address of {last.network}, and was refused last at {moment(last.at)}"
            f" ({last.reason})."
        )
    return f"{_whose(last)} holds nothing; last entry {moment(last.at)}: {last.verb} ({last.reason or '-'})."


def _network(ledger: Ledger, name: str, observed: reconcile.Observed) -> Explanation:
    sentences = [_fill(pool) for pool in reads.pools(ledger, name)]
    gone, doubt = (reconcile.suspects(ledger, observed, state) for state in ("gone", "doubt"))
    with ledger.store.reading() as tx:
        number = tx.space(name)
        claims = list(tx.claims(number)) if number else []
    held = [c for c in claims if c.state == HELD]
    sentences += _fillers(held)
    sentences += _leaks([s for s in gone if s.claim.parent == number], "look leaked and are freed by the next sweeps")
    sentences += _leaks([s for s in doubt if s.claim.parent == number], "are in doubt: nothing tells whether they live")
    sentences += _next_free(claims)
    if refused := reads.refused(ledger, name):
        sentences.append(f"Refused within the last minute: {', '.join(refused)}.")
    oldest = tuple(reads.lease(name, c) for c in sorted(held, key=lambda c: c.since)[:10])
    return Explanation(name, "pool", tuple(sentences), oldest)


def _fill(pool: reads.PoolUse) -> str:
    state = f"the next is {pool.next}" if pool.next else "none is left"
    return (
        f"Pool {pool.number} of {pool.network} ({pool.ranges}) has {pool.size} addresses: {pool.used} used,"
        f" {pool.cooling} cooling, {pool.reserved} reserved (gateways), {pool.free} free; {state}."
    )


def _fillers(held: list[Claim]) -> list[str]:
    pods = [facts.read_lease(c.details).pod.partition("/")[0] for c in held]
    namespaces = Counter(namespace or "(no pod known)" for namespace in pods)
    shown = ", ".join(f"{name} {count}" for name, count in namespaces.most_common(5))
    more = f", and {len(namespaces) - 5} namespaces more" if len(namespaces) > 5 else ""
    return [f"Held by namespace: {shown}{more}."] if held else []


def _leaks(suspects: list[reconcile.Suspect], what: str) -> list[str]:
    if not suspects:
        return []
    shown = ", ".join(f"{s.claim.text} ({_who(s.claim)}: {s.reason})" for s in suspects[:3])
    return [f"{len(suspects)} of them {what}: {shown}{' …' if len(suspects) > 3 else ''}."]


def _next_free(claims: list[Claim]) -> list[str]:
    ends = sorted((c.until, c.text) for c in claims if c.until is not None)
    return [f"Next to be free: {ends[0][1]} at {moment(ends[0][0])}."] if ends else []
