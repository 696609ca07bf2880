"""What an operator would do about a node, and what Cilium's own does in its place: for who thinks of changing over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from unipam.dialects.cilium.node import CiliumNode, Published, spec_patch, status_patch
from unipam.dialects.cilium.planning import Grow, Short
from unipam.dialects.cilium.releasing import Handshake


class Difference(NamedTuple):
    """`action` is for machines; `detail` says what would be done, `theirs` what Cilium's operator does."""

    node: str
    action: str
    detail: str
    theirs: str


def differences(
    node: CiliumNode,
    growth: Grow | Short | None,
    release: Handshake,
    said: Published | None,
    taken: Mapping[str, str],
    delay: float,
) -> Iterator[Difference]:
    """Yield what would be done about a node; nothing for one that is as it should be."""
    if isinstance(growth, Grow) and growth.more:
        of_blocks = f", {growth.blocks} blocks among them" if growth.blocks else ""
        detail = f"give {growth.nic.name} {growth.more} addresses more of {growth.wanted} wanted{of_blocks}"
        yield Difference(node.name, "grow", detail, "the same, by six requests instead of two")
    elif isinstance(growth, Short):
        yield Difference(node.name, "tell", growth.why, "says nothing in the CiliumNode")
    if taken:
        detail = f"leave {_some(sorted(taken))} to the pods that have them"
        yield Difference(node.name, "hold back", detail, "offers them to the agent")
    if release.since or release.take:
        count = len({*release.since, *release.take})
        yield Difference(node.name, "release", f"take back {count} addresses in {delay:.0f} s", "keeps them")
    if node.wants_static_ip:
        tags = ", ".join(f"{tag}={value}" for tag, value in sorted(node.static_tags.items()))
        yield Difference(node.name, "static address", f"give a public address of a prefix with {tags}", "the same")
    if said is not None:
        yield from _written(node, said)


def _written(node: CiliumNode, said: Published) -> Iterator[Difference]:
    pool = spec_patch(node, said).get("pool", {})
    if new := [ip for ip, value in pool.items() if value is not None]:
        yield Difference(node.name, "publish", f"add {_some(new)} to the pool", "the same, once it has looked")
    if gone := [ip for ip, value in pool.items() if value is None]:
        yield Difference(node.name, "withdraw", f"take {_some(gone)} out of the pool", "the same, once it has looked")
    status = status_patch(node, said)
    if "azure" in status:
        text = "write the interfaces, gateways and ranges that Azure shows"
        yield Difference(node.name, "status", text, "the same, once it has looked")


def _some(addresses: Sequence[str]) -> str:
    more = f" and {len(addresses) - 3} more" if len(addresses) > 3 else ""
    return ", ".join(addresses[:3]) + more
