"""Clusters as a look for garbage sees them, for tests: blocks with their holders, pods, nodes, handles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unipam.addr.prefix import parse_address, parse_prefix
from unipam.dialects.calico.datastore.keys import AffinityKey
from unipam.dialects.calico.documents.block import Attribute, Block
from unipam.dialects.calico.documents.pod import Pod
from unipam.dialects.calico.documents.times import SECOND
from unipam.dialects.calico.rules.blocks import Holder, assign, create
from unipam.dialects.calico.rules.garbage import Seen
from unipam.dialects.calico.rules.leases import SeenHandle, of_block
from unipam.dialects.calico.rules.liveness import Living
from unipam.dialects.calico.rules.names import Tunnel

NOW = 1_756_728_000
"""The moment of all tests, in seconds since the epoch."""


def block(cidr: str, affinity: str | None, *holders: tuple[str, Attribute]) -> Block:
    made = create(parse_prefix(cidr), affinity or "", NOW * SECOND)
    made.affinity = affinity
    for address, attribute in holders:
        held = Holder(affinity or "", attribute.get("handle_id"), dict(attribute.get("secondary") or {}))
        assign(made, parse_address(address), held, strict=False)
    return made


def pod(name: str, node: str = "n1", handle: str = "", namespace: str = "ns") -> Attribute:
    return {"handle_id": handle or f"net.{name}", "secondary": {"namespace": namespace, "pod": name, "node": node}}


def tunnel(node: str) -> Attribute:
    return {
        "handle_id": Tunnel.VXLAN.handle(node), "secondary": {"node": node, "type": Tunnel.VXLAN.attribute},
    }  # fmt: skip


def seen(
    *blocks: Block,
    pods: dict[str, Pod] | None = None,
    nodes: Iterable[str] = ("n1",),
    handles: dict[str, dict[str, int]] | None = None,
    affinities: Iterable[tuple[str, str]] | None = None,
    **more: Any,
) -> Seen:
    living = Living(
        {("ns", name): each for name, each in (pods or {}).items()}, frozenset(nodes), vms=more.pop("vms", None)
    )
    owned = [(each.affinity.partition(":")[2], each.cidr) for each in blocks if each.affinity]
    claims = {AffinityKey(*each): "1" for each in (owned if affinities is None else affinities)}
    counted = {name: SeenHandle(tuple(counts.items()), "7") for name, counts in (handles or {}).items()}
    return Seen({each.cidr: of_block(each) for each in blocks}, counted, claims, living, **more)


def running(*addresses: str, node: str = "n1", finished: bool = False) -> Pod:
    return Pod(node, tuple(map(parse_address, addresses)), finished)
