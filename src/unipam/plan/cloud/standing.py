"""How each network of a cloud stands to the plan: is it in it, and does it overlap another? Pure but for one reading.

Two marks that say different things (an associated network may overlap another, an unknown one need not): `plan` is one
of ASSOCIATED, EXPECTED (tagged with a reservation that waits), UNPLANNED (it has addresses of a block, and is not in
it), APART (no block has its addresses) and GONE (in the plan, and not in the cloud any more).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec

from unipam.addr.prefix import Prefix, Range
from unipam.model import objects
from unipam.model.cloud import VHUB, CloudNetwork, Snapshot, key, subscription_of
from unipam.plan.cloud.drift import PlannedBlock, taken_in
from unipam.plan.cloud.overlap import Taken, TakenIndex
from unipam.plan.listing import place_in
from unipam.plan.parts import has_text
from unipam.plan.permissions import HIDDEN, Visibility

ASSOCIATED, EXPECTED, UNPLANNED, APART, GONE = "associated", "expected", "unplanned", "apart", "gone"
STANDINGS = (ASSOCIATED, EXPECTED, UNPLANNED, APART, GONE)


class Spot(msgspec.Struct, frozen=True):
    """A block that has a network, or would: its space, its name, and the network's prefixes that lie there.

    `taken` names what has addresses of these there already, so that the network cannot be associated; empty: nothing.
    """

    space: str
    block: str
    prefixes: tuple[str, ...]
    taken: str = ""


class Standing(msgspec.Struct, frozen=True):
    """A network, and how it stands to the plan. `used` counts the addresses of its subnets in use; None: not known, as
    of a hub, of whose addresses Azure tells nothing.

    `places` are the blocks that have it; `fits` those that have addresses of its, and not it. `overlaps` are the
    names of the other networks that share addresses with it.
    """

    id: str
    name: str
    kind: str
    prefixes: tuple[str, ...]
    resource_group: str
    subscription: str
    subscription_name: str
    subnets: int
    peerings: int
    size: int
    used: int | None
    plan: str
    places: tuple[Spot, ...]
    fits: tuple[Spot, ...]
    overlaps: tuple[str, ...]
    reservations: tuple[str, ...]


class Wanted(NamedTuple):
    """Which networks; what is empty or None does not count. `space` is one that has them, or addresses of theirs.

    `text` stands in them, or, where it reads as a prefix or an address, shares addresses with them.
    """

    plan: str = ""
    overlapping: bool | None = None
    space: str = ""
    text: str = ""


class _Known(NamedTuple):
    """What is looked up for each network."""

    placed: dict[str, list[Spot]]
    blocks: TakenIndex
    taken: TakenIndex
    networks: TakenIndex
    pending: frozenset[str]
    subscriptions: dict[str, str]


def standings(blocks: Sequence[PlannedBlock], snapshot: Snapshot) -> list[Standing]:
    """Return every network of the cloud and of the plan, by name."""
    known = _Known(
        _placed(blocks),
        TakenIndex(Taken(block.prefix, "", block.name, block) for block in blocks),
        taken_in(blocks),
        TakenIndex(Taken(p, key(n.id), n.name, None) for n in snapshot.networks.values() for p in n.prefixes),
        frozenset(each.id for block in blocks for each in block.pending),
        {each.id.lower(): each.name for each in snapshot.subscriptions},
    )
    there = [_seen(network, known) for network in snapshot.networks.values()]
    return sorted([*there, *_gone(blocks, snapshot, known)], key=lambda each: (each.name.lower(), each.id))


def chosen(rows: Sequence[Standing], wanted: Wanted) -> Sequence[Standing]:
    """Return those networks that are wanted."""
    if wanted == Wanted():
        return rows
    space, text, place = objects.fold(wanted.space), wanted.text.lower(), place_in(wanted.text)

    def is_wanted(row: Standing) -> bool:
        if wanted.plan not in ("", row.plan) or wanted.overlapping not in (None, bool(row.overlaps)):
            return False
        if space and all(objects.fold(spot.space) != space for spot in (*row.places, *row.fits)):
            return False
        return _says(row, text) if place is None else any(_meets(prefix, place) for prefix in row.prefixes)

    return list(filter(is_wanted, rows))


def _says(row: Standing, text: str) -> bool:
    named = (row.name, row.id, *row.prefixes, row.subscription_name, *(spot.block for spot in row.places))
    return has_text(named, text)


def _meets(prefix: str, place: Range) -> bool:
    own = objects.parse_cidr(prefix)
    return own.first <= place.last and own.last >= place.first


def _placed(blocks: Iterable[PlannedBlock]) -> dict[str, list[Spot]]:
    found: dict[str, list[Spot]] = {}
    for block in blocks:
        for network in block.networks:
            spot = Spot(block.space, block.name, tuple(map(str, network.prefixes)))
            found.setdefault(key(network.id), []).append(spot)
    return found


def _seen(network: CloudNetwork, known: _Known) -> Standing:
    own = key(network.id)
    places = tuple(known.placed.get(own, ()))
    taken = {(spot.space, spot.block) for spot in places}
    fits = tuple(spot for spot in _fits(network, known) if (spot.space, spot.block) not in taken)
    others = {held.name for p in network.prefixes for held in known.networks.overlapping(p) if held.subject != own}
    used = [None] if network.kind == VHUB else [subnet.used for subnet in network.subnets]
    return Standing(
        network.id, network.name, network.kind, tuple(map(str, network.prefixes)), network.resource_group,
        network.subscription, known.subscriptions.get(network.subscription.lower(), ""), len(network.subnets),
        len(network.peerings), sum(p.size for p in network.prefixes if p.family == 4),
        None if None in used else sum(each or 0 for each in used), _plan(network, places, fits, known.pending),
        places, fits, tuple(sorted(others)), network.reservations,
    )  # fmt: skip


def _plan(network: CloudNetwork, places: Sequence[Spot], fits: Sequence[Spot], pending: frozenset[str]) -> str:
    if places:
        return ASSOCIATED
    if pending.intersection(network.reservations):
        return EXPECTED
    return UNPLANNED if fits else APART


def _fits(network: CloudNetwork, known: _Known) -> list[Spot]:
    """Return the innermost blocks of each space that have addresses of the network."""
    found: dict[tuple[str, str], tuple[PlannedBlock, list[Prefix]]] = {}
    for prefix in network.prefixes:
        around = (held.block for held in known.blocks.overlapping(prefix) if held.prefix.contains(prefix))
        for block in {each.space: each for each in around}.values():
            found.setdefault((block.space, block.name), (block, []))[1].append(prefix)
    return [
        Spot(block.space, block.name, tuple(map(str, inner)), _in_the_way(network, block, inner, known))
        for block, inner in found.values()
    ]


def _in_the_way(network: CloudNetwork, block: PlannedBlock, prefixes: Sequence[Prefix], known: _Known) -> str:
    """Return what has addresses of these prefixes in a block, so that `networks.associate` would refuse; or nothing."""
    own = key(network.id)
    for prefix in prefixes:
        for held in known.taken.overlapping(prefix):
            if held.block is block and held.subject != own:
                return held.name
        for held in known.blocks.overlapping(prefix):
            if held.block.space == block.space and not held.prefix.contains(prefix):
                return f"block {held.name}"
    return ""


def _gone(blocks: Sequence[PlannedBlock], snapshot: Snapshot, known: _Known) -> list[Standing]:
    """Return the networks of the plan that are not seen any more."""
    missing = {key(n.id): n for block in blocks for n in block.networks if snapshot.network(n.id) is None}
    return [
        Standing(
            n.id, n.name, objects.NETWORK, tuple(p for spot in known.placed[own] for p in spot.prefixes), "",
            subscription_of(n.id), known.subscriptions.get(subscription_of(n.id).lower(), ""), 0, 0,
            0, None, GONE, tuple(known.placed[own]), (), (), (),
        )
        for own, n in missing.items()
    ]  # fmt: skip


def in_sight(rows: Iterable[Standing], visibility: Visibility) -> list[Standing]:
    """Return the rows of networks that a caller may know of; others that overlap them are not named."""
    seen = [row for row in rows if _sees(row, visibility)]
    if visibility.caller.admin:
        return seen
    names = {row.name for row in seen}
    return [
        msgspec.structs.replace(
            row, overlaps=tuple(n if n in names else HIDDEN for n in row.overlaps),
            fits=tuple(_without_strangers(spot, names) for spot in row.fits),
        )
        for row in seen
    ]  # fmt: skip


def _without_strangers(spot: Spot, names: Collection[str]) -> Spot:
    kind, _, name = spot.taken.partition(" ")
    if kind != objects.NETWORK or name in names:
        return spot
    return msgspec.structs.replace(spot, taken=f"{objects.NETWORK} {HIDDEN}")


def _sees(row: Standing, visibility: Visibility) -> bool:
    if visibility.caller.admin or key(row.id) in visibility.seen:
        return True
    return any(visibility.sees(spot.space, row.id) for spot in row.places)
