"""What is known of one node or one address: at Azure, in the CiliumNode, at the agent, and of pods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from unipam.dialects.cilium.formulas import excess, needed
from unipam.dialects.cilium.nics import Address, Nic
from unipam.dialects.cilium.node import CiliumNode, section

Nics = Mapping[str, Sequence[Nic]]
"""Interfaces by machine (small letters)."""


class Fact(NamedTuple):
    """`fact` is what is told of a node, or of an address there."""

    node: str
    fact: str
    value: str


def node_facts(node: CiliumNode, nics: Nics | None) -> Iterator[Fact]:
    """Yield what a node has, needs and asks for; of its interfaces where Azure was asked."""

    def fact(name: str, value: object) -> Fact:
        return Fact(node.name, name, str(value))

    wanted = node.wanted
    yield fact("machine", node.instance)
    yield fact("asks for", f"pre-allocate {wanted.pre}, min {wanted.least}, max {wanted.most or 'of Azure'}, "
                           f"watermark {wanted.watermark}, interface {wanted.interface or 'any'}")  # fmt: skip
    yield fact("has", f"{len(node.pool)} in its pool, {node.in_use} in use")
    yield fact("needs", needed(len(node.pool), node.in_use, wanted))
    yield fact("too many", max(0, excess(len(node.pool), node.in_use, wanted)))
    for state in sorted(set(node.release.values())):
        yield fact(state, ", ".join(sorted(ip for ip, of in node.release.items() if of == state)))
    if node.static_tags:
        yield fact("public address", node.static_ip or "none yet")
    if node.error:
        yield fact("operator says", node.error)
    for nic in (nics or {}).get(node.instance, ()):
        state = "is being written" if nic.updating else "is not being written"
        counts = f"{len(nic.available)} addresses ready, {nic.configured} of 256 configurations, {nic.blocks} blocks"
        yield fact(f"interface {nic.name}", f"{counts}; it {state}")


def address_facts(address: str, node: CiliumNode, nics: Nics | None, pods: Mapping[str, str] | None) -> Iterator[Fact]:
    """Yield how an address stands with a node, in each of the three places; nothing where it knows nothing of it."""
    at = [(nic, each) for nic in (nics or {}).get(node.instance, ()) for each in nic.addresses if each.ip == address]
    if not (at or address in node.pool or address in node.used or address in node.release):
        return
    used, pool = _inner(node, "status", "used"), _inner(node, "spec", "pool")
    yield Fact(node.name, "in the pool", "yes" if address in pool else "no")
    yield Fact(node.name, "interface", str(section(pool, address).get("resource", "")))
    yield Fact(node.name, "used by", str(section(used, address).get("owner", "nobody")))
    if address in node.release:
        yield Fact(node.name, "release", node.release[address])
    if nics is not None:
        yield Fact(node.name, "at Azure", "; ".join(_at(*each) for each in at) or "no interface of this machine has it")
    if pods is not None:
        yield Fact(node.name, "pod", pods.get(address, "none has it"))


def _at(nic: Nic, address: Address) -> str:
    kind = "primary" if address.primary else f"in the block {address.block}" if address.block else "secondary"
    return f"{nic.name}, configuration {address.configuration}, {kind}, {address.state}"


def _inner(node: CiliumNode, part: str, name: str) -> Mapping[str, Any]:
    return section(section(section(node.document, part), "ipam"), name)
