"""What nobody needs any more, found by one look at a cluster (spec §3.5).

    leases of pods, VMs and nodes that are gone -- blocks that are empty, or nobody's -- claims of nodes that are
    gone, or on blocks that are not there -- handles that count what no block has -- addresses that have cooled

What seems to be garbage is a suspect first, and garbage when it has been the same for a time of grace. Whatever is then
done about it is looked at once more, live, and written at a revision.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from unipam.dialects.calico.datastore.keys import HOST, AffinityKey
from unipam.dialects.calico.documents.times import SECOND
from unipam.dialects.calico.rules.leases import Kind, Lease, SeenBlock, SeenHandle
from unipam.dialects.calico.rules.liveness import Living, why_gone


class Policy(NamedTuple):
    """For how many seconds a suspect must be the same.

    `writes` is longer than any call of a plugin takes from the first of its writes to the last, also an undone one
    (90 and 30 seconds); `vms` is how long the pods of a VM may be away that is moved or made anew. Without
    `of_living`, what nodes that are there could do without is left to them: leaks, and empty blocks.
    """

    grace: float = 60.0
    writes: float = 300.0
    vms: float = 300.0
    of_living: bool = True


class Seen(NamedTuple):
    """A cluster at one moment: documents by what they are called; a block that is broken is None, by whatever name.

    Affinities have their revision. `cooldown` is in seconds.
    """

    blocks: Mapping[str, SeenBlock | None]
    handles: Mapping[str, SeenHandle]
    affinities: Mapping[AffinityKey, str]
    living: Living
    cooldown: int = 0


class Leak(NamedTuple):
    """A lease that is nobody's, the block that it lies in, and why."""

    cidr: str
    lease: Lease
    why: str


class Claim(NamedTuple):
    """A node's claim on a block, at the sequence number that the block had when it was looked at."""

    node: str
    cidr: str
    sequence: int


class Surplus(NamedTuple):
    """A handle that counts more than its blocks hold."""

    handle: str
    seen: SeenHandle


Suspect = tuple[str, object, object]
"""What kind of thing, which one, and in which state: in another state it is another suspect."""


class Garbage(NamedTuple):
    """What is to go.

    `empty` are claims on blocks that a living node can do without, `abandoned` those of nodes that are gone, `stray`
    ones on blocks that are not there, with their revisions; `ownerless` and `cooled` are blocks. `suspects` tells since
    when each was seen, `candidates` are all leaks that are suspected, and `due` is in how many seconds the next suspect
    will be garbage.
    """

    leaks: tuple[Leak, ...]
    empty: tuple[Claim, ...]
    abandoned: tuple[Claim, ...]
    stray: tuple[tuple[AffinityKey, str], ...]
    ownerless: tuple[str, ...]
    cooled: tuple[str, ...]
    surplus: tuple[Surplus, ...]
    suspects: Mapping[Suspect, float]
    candidates: tuple[Leak, ...]
    due: float | None

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not any(self[:7])


def look(seen: Seen, before: Mapping[Suspect, float], policy: Policy, at: float, moment: int) -> Garbage:
    """Find what is garbage at `at`, given since when its suspects have been seen (both on one clock, in seconds).

    `moment` is the time by which addresses cool, in epoch nanoseconds.
    """
    trial = _Trial(before, at)
    candidates, held = candidates_of(_blocks(seen), seen.living)
    if not policy.of_living:
        candidates = [leak for leak in candidates if leak.lease.node and not seen.living.has_node(leak.lease.node)]
    leaks = [
        leak
        for leak in candidates
        if trial.convicts(("lease", leak.lease.address, leak.lease.sequence), _grace(leak.lease, policy))
    ]
    gone = [
        node
        for node in sorted(_named(seen, held))
        if not held[node] and not seen.living.has_node(node) and trial.convicts(("node", node, None), policy.grace)
    ]
    return Garbage(
        tuple(leaks),
        tuple(
            each
            for each in (_dispensable(seen) if policy.of_living else ())
            if trial.convicts(("block", each.cidr, each.sequence), policy.grace)
        ),
        tuple(_claims_of(seen, frozenset(gone))),
        tuple(each for each in _stray(seen) if trial.convicts(("affinity", *each), policy.writes)),
        tuple(
            block.cidr
            for block in _ownerless(seen)
            if trial.convicts(("ownerless", block.cidr, block.sequence), policy.writes)
        ),
        tuple(_cooled(seen, moment - int(policy.grace * SECOND))),
        tuple(
            each
            for each in _surplus(seen)
            if trial.convicts(("handle", each.handle, each.seen.revision), policy.writes)
        ),
        trial.suspects,
        tuple(candidates),
        trial.due,
    )


class _Trial:
    """Who is suspected, since when, and when the next suspect will have been one for long enough."""

    def __init__(self, before: Mapping[Suspect, float], at: float) -> None:
        self._before, self._at = before, at
        self.suspects: dict[Suspect, float] = {}
        self.due: float | None = None

    def convicts(self, suspect: Suspect, grace: float) -> bool:
        """Return whether a suspect has been the same for long enough."""
        since = self.suspects[suspect] = self._before.get(suspect, self._at)
        left = since + grace - self._at
        if left <= 0:
            return True
        self.due = left if self.due is None else min(self.due, left)
        return False


def _grace(lease: Lease, policy: Policy) -> float:
    return max(policy.grace, policy.vms) if lease.kind is Kind.VM else policy.grace


def _blocks(seen: Seen) -> Iterator[SeenBlock]:
    return (block for block in seen.blocks.values() if block is not None)


def candidates_of(blocks: Iterable[SeenBlock], living: Living) -> tuple[list[Leak], Counter[str]]:
    """Return the leases of all blocks that are nobody's, and how many of each node are somebody's.

    Those of one handle go together or not at all; those without a handle, or without a sequence number, never. A
    tunnel's goes with its node, when nothing else keeps that one.
    """
    gone: list[Leak] = []
    tunnels: list[Leak] = []
    held: Counter[str] = Counter()
    alive: set[str] = {""}
    for block in blocks:
        for lease in block.leases:
            if why := why_gone(lease, living):
                gone.append(Leak(block.cidr, lease, why))
            elif lease.kind is Kind.TUNNEL and lease.node and not living.has_node(lease.node):
                tunnels.append(Leak(block.cidr, lease, "its node is gone"))
            else:
                alive.add(lease.handle)
                held[lease.node] += 1
    leaks = [leak for leak in gone if leak.lease.handle not in alive and leak.lease.sequence]
    for leak in gone:
        if leak.lease.handle in alive or not leak.lease.sequence:
            held[leak.lease.node] += 1
    leaks += [leak for leak in tunnels if not held[leak.lease.node] and leak.lease.handle and leak.lease.sequence]
    return leaks, held


def _named(seen: Seen, held: Mapping[str, int]) -> set[str]:
    """Return the nodes that somebody names: by a claim, a block or a lease."""
    named = {key.host for key in seen.affinities if key.kind == HOST} | set(held)
    named |= {host for block in _blocks(seen) if (host := host_of(block.affinity))}
    named |= {lease.node for block in _blocks(seen) for lease in block.leases}
    return named - {""}


def host_of(affinity: str | None) -> str:
    """Return the node that owns a block; empty for one that no node owns."""
    kind, _, host = (affinity or "").partition(":")
    return host if kind == HOST else ""


def _dispensable(seen: Seen) -> Iterator[Claim]:
    """Yield the empty blocks that a living node can do without: it keeps one, an empty one if it has no other."""
    by_host: dict[str, list[SeenBlock]] = defaultdict(list)
    for block in _blocks(seen):
        if host := host_of(block.affinity):
            by_host[host].append(block)
    for host, blocks in by_host.items():
        if seen.living.has_node(host) and len(blocks) > 1:
            empty = sorted((each for each in blocks if each.empty), key=lambda each: each.cidr)
            for block in empty[len(empty) == len(blocks) :]:
                yield Claim(host, block.cidr, block.sequence)


def _claims_of(seen: Seen, nodes: frozenset[str]) -> Iterator[Claim]:
    for key in seen.affinities:
        block = seen.blocks.get(key.cidr)
        if key.kind == HOST and key.host in nodes and block is not None and block.empty:
            yield Claim(key.host, key.cidr, block.sequence)


def _stray(seen: Seen) -> Iterator[tuple[AffinityKey, str]]:
    """Yield claims on blocks that are not there: a call makes the block next, or has died."""
    return ((key, revision) for key, revision in seen.affinities.items() if key.cidr not in seen.blocks)


def _ownerless(seen: Seen) -> Iterator[SeenBlock]:
    """Yield empty blocks that nobody owns, or whose owner is gone without a claim that it could be given up by."""
    for block in _blocks(seen):
        host = host_of(block.affinity)
        gone = host and not seen.living.has_node(host) and AffinityKey(host, block.cidr) not in seen.affinities
        if block.empty and (block.affinity is None or gone):
            yield block


def _cooled(seen: Seen, moment: int) -> Iterator[str]:
    for block in _blocks(seen):
        if block.cooling is not None and block.cooling + seen.cooldown * SECOND <= moment:
            yield block.cidr


def _surplus(seen: Seen) -> Iterator[Surplus]:
    """Yield the handles that count what no block has. What a broken block has, nobody knows."""
    held = Counter((lease.handle, block.cidr) for block in _blocks(seen) for lease in block.leases)
    broken = {cidr for cidr, block in seen.blocks.items() if block is None}
    for handle, found in seen.handles.items():
        excess = not found.counts or any(number > held[handle, cidr] for cidr, number in found.counts)
        if excess and (not broken or all(seen.blocks.get(cidr) for cidr, _ in found.counts)):
            yield Surplus(handle, found)


def by_block(leaks: Iterable[Leak]) -> dict[str, list[Lease]]:
    """Group leases by their blocks."""
    grouped: dict[str, list[Lease]] = defaultdict(list)
    for leak in leaks:
        grouped[leak.cidr].append(leak.lease)
    return dict(grouped)


def still_garbage(leaks: Sequence[Leak], living: Living) -> list[Leak]:
    """Return the leaks that are ones by what is known of their holders now, those of a handle all or none."""
    alive = {
        leak.lease.handle
        for leak in leaks
        if (living.has_node(leak.lease.node) if leak.lease.kind is Kind.TUNNEL else not why_gone(leak.lease, living))
    }
    return [leak for leak in leaks if leak.lease.handle not in alive]
