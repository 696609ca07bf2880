"""Where the plan and the cloud disagree: findings, each with its rule, what it is about, and what to do. Pure.

The plan comes as `PlannedBlock`s (`findings` reads them), the cloud as a snapshot. Nothing is changed here: what
follows of itself (fulfilment, changed prefixes, networks gone for long) is `sync`'s.
Sources: issue 376 of the Azure IPAM application and spec azure-ipam-application §3.5 (gaps 4 and 5), D9, D11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from unipam.addr.prefix import Prefix
from unipam.addr.ranges import RangeSet
from unipam.model.cloud import CloudNetwork, Snapshot, key, subscription_of
from unipam.model.objects import fold
from unipam.plan.cloud.overlap import Taken, TakenIndex
from unipam.plan.parts import has_text

ERROR, WARNING, INFO = "error", "warning", "info"

PEER_OVERLAP = "overlap-with-peered-network"
OUTSIDE = "network-outside-its-block"
CONTESTED = "prefix-held-by-another"
VANISHED = "network-vanished"
UNSEEN = "network-out-of-sight"
LOST = "reservation-lost-its-network"
DOUBLE = "network-in-several-blocks"
TAG_MISMATCH = "tagged-network-has-another-prefix"
TAG_TWICE = "reservation-tagged-twice"
TAG_UNKNOWN = "tag-names-no-reservation"
UNASSOCIATED = "network-not-in-the-plan"

SEVERITY = {
    PEER_OVERLAP: ERROR,
    CONTESTED: ERROR,
    TAG_TWICE: ERROR,
    OUTSIDE: WARNING,
    VANISHED: WARNING,
    LOST: WARNING,
    DOUBLE: WARNING,
    TAG_MISMATCH: WARNING,
    UNASSOCIATED: WARNING,
    TAG_UNKNOWN: INFO,
    UNSEEN: INFO,
}


class PlannedNetwork(NamedTuple):
    """A network associated with a block, and the prefixes that it holds there; none when it has lost them."""

    id: str
    name: str
    prefixes: tuple[Prefix, ...]


class PlannedReservation(NamedTuple):
    """A reservation: one that holds its place, or one that a network took over."""

    id: str
    prefix: Prefix


class PlannedBlock(NamedTuple):
    """A block with what is directly in it. `others` are external networks by name."""

    space: str
    name: str
    prefix: Prefix
    networks: tuple[PlannedNetwork, ...] = ()
    pending: tuple[PlannedReservation, ...] = ()
    fulfilled: tuple[PlannedReservation, ...] = ()
    others: tuple[tuple[str, Prefix], ...] = ()


class Finding(NamedTuple):
    """One disagreement. `subject` is a resource id or a reservation's; `prefixes` are in question, `other` is against.

    The same disagreement gives an equal finding every time, so that one may tell new ones from known ones.
    """

    rule: str
    severity: str
    space: str
    block: str
    subject: str
    prefixes: tuple[str, ...]
    other: str
    message: str


class Wanted(NamedTuple):
    """Which findings; what is empty does not count. `text` stands somewhere in them, but for how bad they are."""

    severity: str = ""
    rule: str = ""
    space: str = ""
    block: str = ""
    text: str = ""


def test_of(wanted: Wanted) -> Callable[[Finding], bool]:
    """Return the test of whether a finding is wanted."""
    same = [(place, fold(value)) for place, value in enumerate(wanted[:-1]) if value]
    text = wanted.text.lower()

    def is_wanted(each: Finding) -> bool:
        own = (each.severity, each.rule, each.space, each.block)
        if any(fold(own[place]) != value for place, value in same):
            return False
        return has_text((*own[1:], each.subject, *each.prefixes, each.other, each.message), text)

    return is_wanted


def findings(blocks: Sequence[PlannedBlock], snapshot: Snapshot) -> list[Finding]:
    """Return every disagreement, the worst first. None at all before anything was seen of the cloud."""
    if not snapshot.taken:
        return []
    places = looked_up(blocks, snapshot)
    taken = {space: taken_in(inner, places) for space, inner in _by_space(blocks).items()}
    rules: tuple[Callable[[Sequence[PlannedBlock], Snapshot], Iterator[Finding]], ...]
    rules = (_lost, _double, _tags, _unassociated)
    found = {*_peer_overlaps(blocks, snapshot, taken), *_placement(blocks, snapshot, taken)}
    found |= {finding for rule in rules for finding in rule(blocks, snapshot)}
    order = (ERROR, WARNING, INFO)
    return sorted(found, key=lambda f: (order.index(f.severity), f))


def _finding(
    rule: str, block: PlannedBlock, subject: str, prefixes: Iterable[Prefix], message: str, *, other: str = ""
) -> Finding:
    texts = tuple(map(str, sorted(prefixes)))
    return Finding(rule, SEVERITY[rule], block.space, block.name, subject, texts, other, message)


def _by_space(blocks: Iterable[PlannedBlock]) -> dict[str, list[PlannedBlock]]:
    spaces: dict[str, list[PlannedBlock]] = {}
    for block in blocks:
        spaces.setdefault(block.space, []).append(block)
    return spaces


def looked_up(blocks: Sequence[PlannedBlock], snapshot: Snapshot) -> RangeSet:
    """Return the addresses of which it matters what holds them in the plan.

    Whatever else lies in the plan is no finding, and not in the way of a network that could be associated.
    """
    places = RangeSet()
    for prefix in (*_of_associated(blocks, snapshot), *_of_others(blocks, snapshot)):
        places.add(prefix.first, prefix.last)
    return places


def _of_associated(blocks: Iterable[PlannedBlock], snapshot: Snapshot) -> Iterator[Prefix]:
    """Yield what associated networks are peered with, and what of theirs the plan has not given to them."""
    for block in blocks:
        for planned in block.networks:
            here = snapshot.network(planned.id)
            if here is not None:
                yield from (prefix for _, prefixes in _peers(here, snapshot) for prefix in prefixes)
                yield from _unplanned(block, planned, here)


def _of_others(blocks: Sequence[PlannedBlock], snapshot: Snapshot) -> Iterator[Prefix]:
    """Yield the prefixes of networks that lie in a block, the innermost of its space, which has not got the network."""
    placed, index = _placed(blocks), TakenIndex(Taken(block.prefix, "", block.name, block) for block in blocks)
    for resource_id, network in snapshot.networks.items():
        own = placed.get(resource_id, ())
        for prefix in network.prefixes:
            around = {b.block.space: b.block for b in index.overlapping(prefix) if b.prefix.contains(prefix)}
            if any(all(each is not mine for mine in own) for each in around.values()):
                yield prefix


def _unplanned(block: PlannedBlock, planned: PlannedNetwork, network: CloudNetwork) -> list[Prefix]:
    """Return the prefixes that a network has in the cloud, inside the block, and could not be given in the plan."""
    return [p for p in network.prefixes if p not in planned.prefixes and block.prefix.contains(p)]


def taken_in(blocks: Iterable[PlannedBlock], places: RangeSet | None = None) -> TakenIndex:
    """Return whatever holds a place in these blocks; of `places` only, where not all of it is looked up."""
    found = []
    for block in blocks:
        networks = ((key(n.id), f"network {n.name}", prefix) for n in block.networks for prefix in n.prefixes)
        pending = ((r.id, f"reservation {r.id}", r.prefix) for r in block.pending)
        others = ((name, f"external network {name}", prefix) for name, prefix in block.others)
        every = (*networks, *pending, *others)
        held = every if places is None else (each for each in every if places.overlaps(each[2].first, each[2].last))
        found += [Taken(prefix, subject, name, block) for subject, name, prefix in held]
    return TakenIndex(found)


def _peer_overlaps(
    blocks: Sequence[PlannedBlock], snapshot: Snapshot, by_space: Mapping[str, TakenIndex]
) -> Iterator[Finding]:
    """Find what is planned in a space and overlaps a network that one of the space's networks is peered with.

    Both would be reachable at the same addresses, and Azure routes to one of them only.
    """
    for space, inner in _by_space(blocks).items():
        taken = by_space[space]
        for network in {key(n.id): n for block in inner for n in block.networks}.values():
            here = snapshot.network(network.id)
            for remote, prefixes in _peers(here, snapshot) if here else ():
                for held in (each for prefix in prefixes for each in taken.overlapping(prefix)):
                    if held.subject != key(remote):
                        name = remote.rpartition("/")[2]
                        text = f"{held.prefix} of {held.name} overlaps {name}, which {network.name} is peered with"
                        yield _finding(PEER_OVERLAP, held.block, held.subject, [held.prefix], text, other=remote)


def _peers(network: CloudNetwork, snapshot: Snapshot) -> Iterator[tuple[str, tuple[Prefix, ...]]]:
    """Yield the far ends of a network's peerings: their own prefixes where they are seen, else the peering's."""
    for peering in network.peerings:
        there = snapshot.network(peering.remote)
        yield peering.remote, there.prefixes if there else peering.prefixes


def _placement(
    blocks: Sequence[PlannedBlock], snapshot: Snapshot, by_space: Mapping[str, TakenIndex]
) -> Iterator[Finding]:
    """Find associated networks: gone, out of sight, outside their block, or with a prefix that something else holds."""
    placed = _placed(blocks)
    for block in blocks:
        for planned in block.networks:
            network = snapshot.network(planned.id)
            if network is None:
                yield _absent(block, planned, snapshot)
                continue
            yield from _outside(block, planned, network, placed[key(planned.id)])
            yield from _contested(block, planned, network, by_space[block.space])


def _placed(blocks: Iterable[PlannedBlock]) -> dict[str, list[PlannedBlock]]:
    """Return the blocks that each network is associated with."""
    found: dict[str, list[PlannedBlock]] = {}
    for block in blocks:
        for network in block.networks:
            found.setdefault(key(network.id), []).append(block)
    return found


def _absent(block: PlannedBlock, planned: PlannedNetwork, snapshot: Snapshot) -> Finding:
    subscription = subscription_of(planned.id)
    if snapshot.sees(subscription):
        text = f"the network {planned.name} is not there any more; dissociate it, or bring it back"
        return _finding(VANISHED, block, planned.id, planned.prefixes, text)
    text = f"the subscription {subscription} of {planned.name} cannot be read; its prefixes stay held as last seen"
    return _finding(UNSEEN, block, planned.id, planned.prefixes, text)


def _outside(
    block: PlannedBlock, planned: PlannedNetwork, network: CloudNetwork, placed: Sequence[PlannedBlock]
) -> Iterator[Finding]:
    stray = [p for p in network.prefixes if not any(each.prefix.contains(p) for each in placed)]
    if stray:
        listed = ", ".join(map(str, stray))
        text = f"{listed} of {planned.name} lies in no block that it is associated with ({block.name}: {block.prefix})"
        yield _finding(OUTSIDE, block, planned.id, stray, text)


def _contested(
    block: PlannedBlock, planned: PlannedNetwork, network: CloudNetwork, taken: TakenIndex
) -> Iterator[Finding]:
    """Yield what holds a prefix that the network could not be given."""
    for prefix in _unplanned(block, planned, network):
        for held in taken.overlapping(prefix):
            if held.subject != key(planned.id):
                text = f"{prefix} of {planned.name} overlaps {held.prefix} of {held.name}"
                yield _finding(CONTESTED, block, planned.id, [prefix], text, other=held.subject)


def _lost(blocks: Sequence[PlannedBlock], snapshot: Snapshot) -> Iterator[Finding]:
    """Yield fulfilled reservations whose prefix no associated network has any more."""
    for block in blocks:
        there = {p for planned in block.networks for p in _prefixes_now(planned, snapshot)}
        for reservation in block.fulfilled:
            if reservation.prefix not in there:
                text = f"the network that took {reservation.prefix} (reservation {reservation.id}) has vanished"
                yield _finding(LOST, block, reservation.id, [reservation.prefix], text)


def _prefixes_now(planned: PlannedNetwork, snapshot: Snapshot) -> tuple[Prefix, ...]:
    """Return a network's prefixes as seen; while it is out of sight, as last known."""
    network = snapshot.network(planned.id)
    if network is not None:
        return network.prefixes
    return () if snapshot.sees(subscription_of(planned.id)) else planned.prefixes


def _double(blocks: Sequence[PlannedBlock], _: Snapshot) -> Iterator[Finding]:
    """Yield a network in several blocks, each of which may count its prefixes."""
    placed = _placed(blocks)
    for block in blocks:
        for planned in block.networks:
            several = placed[key(planned.id)]
            if len(several) > 1:
                names = ", ".join(f"{each.space}/{each.name}" for each in several)
                text = f"the network {planned.name} is associated with {len(several)} blocks: {names}"
                yield _finding(DOUBLE, block, planned.id, planned.prefixes, text, other=names)


def _tags(blocks: Sequence[PlannedBlock], snapshot: Snapshot) -> Iterator[Finding]:
    """Yield tags that name reservations: of another prefix, on two networks, or of none that is known."""
    pending = {r.id: (block, r) for block in blocks for r in block.pending}
    known = pending.keys() | {r.id for block in blocks for r in block.fulfilled}
    tagged: dict[str, list[CloudNetwork]] = {}
    for network in snapshot.networks.values():
        for each in network.reservations:
            tagged.setdefault(each, []).append(network)
    for each, networks in tagged.items():
        if each in pending:
            yield from _tagged(*pending[each], networks)
        elif each not in known:
            text = f"{networks[0].name} is tagged with {each}, which is no reservation here"
            yield Finding(TAG_UNKNOWN, INFO, "", "", networks[0].id, (), each, text)


def _tagged(
    block: PlannedBlock, reservation: PlannedReservation, networks: Sequence[CloudNetwork]
) -> Iterator[Finding]:
    if len(networks) > 1:
        names = ", ".join(network.name for network in networks)
        text = f"{len(networks)} networks are tagged with the reservation {reservation.id}: {names}"
        yield _finding(TAG_TWICE, block, reservation.id, [reservation.prefix], text, other=names)
    for network in networks:
        if reservation.prefix not in network.prefixes:
            has = ", ".join(map(str, network.prefixes)) or "no prefix"
            text = f"{network.name} is tagged for {reservation.prefix}, and has {has}"
            yield _finding(TAG_MISMATCH, block, reservation.id, [reservation.prefix], text, other=network.id)


def _unassociated(blocks: Sequence[PlannedBlock], snapshot: Snapshot) -> Iterator[Finding]:
    """Yield networks that have addresses of a block, and belong to none: to the plan these addresses look free."""
    placed, index = _placed(blocks), TakenIndex([Taken(b.prefix, "", b.name, b) for b in blocks])
    pending = {r.id for block in blocks for r in block.pending}
    for resource_id, network in snapshot.networks.items():
        if resource_id in placed or pending.intersection(network.reservations):
            continue
        for prefix in network.prefixes:
            for held in _innermost(list(index.overlapping(prefix)), prefix):
                text = f"{network.name} has {prefix}, which is of the block {held.name}, and is not associated with it"
                yield _finding(UNASSOCIATED, held.block, network.id, [prefix], text)


def _innermost(around: Sequence[Taken], prefix: Prefix) -> Iterator[Taken]:
    """Yield only the narrowest of nested blocks around a prefix, in each space."""
    narrowest = {each.block.space: each.prefix for each in around if each.prefix.contains(prefix)}
    for each in around:
        if not each.prefix.contains(prefix) or narrowest[each.block.space] == each.prefix:
            yield each
