"""The native API's operations that list: objects of a kind, part of the tree, what is seen of the cloud.

See `operations`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from unipam.model.cloud import CloudNetwork, Endpoint, Snapshot
from unipam.model.errors import BadValue
from unipam.plan.branches import SHOWN, Branch, Filter, Tree, split
from unipam.plan.listing import Wish
from unipam.plan.permissions import Visibility
from unipam.plan.settled import any_part
from unipam.server.native.operations import Read, Shape
from unipam.store.api import Tx


class Asked(NamedTuple):
    """Which part of the tree: beneath this path (names with slashes; empty: the spaces), so many levels, as it was
    `at` this moment (seconds since the epoch; None: now).
    """

    under: str
    wanted: Filter
    depth: int = 1
    at: float | None = None

    @property
    def path(self) -> tuple[str, ...]:
        """Return the names of the path; the last may be a prefix, which has a slash of its own."""
        return split(self.under)


def list_objects(visibility: Visibility, wish: Wish) -> Read:
    """Return objects of one kind across blocks and spaces."""

    def work(tx: Tx) -> Shape:
        part = any_part(tx, wish, visibility)
        return {"items": [msgspec.structs.asdict(row) for row in part.rows], "next": part.next, "total": part.total}

    return work


def list_branches(visibility: Visibility, snapshot: Snapshot, asked: Asked) -> Read:
    """Return part of the tree. Raises BadValue for a filter that makes no sense."""
    if asked.wanted.show not in SHOWN:
        raise BadValue(f"show: {asked.wanted.show!r} is none of {', '.join(SHOWN)}", field="show")

    def work(tx: Tx) -> Shape:
        tree = Tree(tx, visibility, snapshot, asked.at)
        if not asked.path:
            rows = tree.spaces(asked.wanted, asked.depth)
            return {"items": [shape_of(row) for row in rows], "next": None, "total": len(rows)}
        found = tree.under(asked.path, asked.wanted, asked.depth)
        return {"items": [shape_of(row) for row in found.rows], "next": found.next, "total": found.total}

    return work


def shape_of(row: Branch) -> Shape:
    """Return a row of the tree with those beneath it."""
    shape: Shape = msgspec.to_builtins(row)
    return shape


def network_rows(snapshot: Snapshot) -> Iterator[Shape]:
    """Yield the networks of the cloud with their tags and peerings."""
    for network in snapshot.networks.values():
        yield {
            "id": network.id, "name": network.name, "kind": network.kind, "prefixes": list(map(str, network.prefixes)),
            "resource_group": network.resource_group, "subscription": network.subscription, "tags": dict(network.tags),
            "peerings": [{"name": p.name, "remote": p.remote, "state": p.state} for p in network.peerings],
        }  # fmt: skip


def subnet_rows(networks: Iterable[CloudNetwork], taken: float) -> Iterator[Shape]:
    """Yield the subnets of networks of the cloud."""
    for network in networks:
        for subnet in network.subnets:
            yield {
                "id": subnet.id, "name": subnet.name, "network": network.id, "network_name": network.name,
                "prefixes": list(map(str, subnet.prefixes)), "used": subnet.used, "kind": subnet.kind,
                "size": sum(p.size for p in subnet.prefixes if p.family == 4),
                "size_ipv6": sum(p.size for p in subnet.prefixes if p.family == 6), "seen_on": taken,
            }  # fmt: skip


def endpoint_rows(endpoints: Iterable[Endpoint]) -> Iterator[Shape]:
    """Yield what has an address in the cloud."""
    for each in endpoints:
        row: dict[str, Any] = each._asdict()
        yield {**row, "metadata": dict(each.metadata)}
