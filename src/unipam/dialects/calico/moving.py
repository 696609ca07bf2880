"""A node's host-local leases become Calico's, while its pods run (spec §1.14).

Calico then hands out of pools that are wider than the node's own range. So the ranges of all nodes are claimed first,
block by block, each for its node: else the first node to move could be given a block of a range from which another
node's host-local still hands out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix, format_address, parse_address, parse_interface
from unipam.dialects.calico.calicoctl.allocations import Allocation
from unipam.dialects.calico.calicoctl.observing import listed
from unipam.dialects.calico.calicoctl.showing import holder
from unipam.dialects.calico.datastore.keys import NodeKey, WorkloadKey
from unipam.dialects.calico.documents import node as nodes
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.engine import affinities, explicit, releasing
from unipam.dialects.calico.engine.counting import too_busy
from unipam.dialects.calico.engine.session import TRIES, Owner, Session
from unipam.dialects.calico.rules import names, pools, tunnels
from unipam.dialects.calico.rules.names import Tunnel
from unipam.dialects.calico.rules.releasing import Wish
from unipam.model.errors import BadValue, Conflict, Missing, NotEmpty, NotFound, Outside, Taken, UnipamError


class Lease(NamedTuple):
    """An address that host-local has handed out, and to which container."""

    address: int
    container: str


class Step(NamedTuple):
    """What becomes of an address, and why; `handle` is empty where nothing is assigned."""

    address: int
    what: str
    why: str = ""
    handle: str = ""
    attributes: Mapping[str, str] = MappingProxyType({})
    tunnel: Tunnel | None = None

    def row(self) -> dict[str, str]:
        """Return it for people and machines."""
        return {"address": format_address(self.address), "action": self.what, "handle": self.handle, "why": self.why}


ASSIGN, KEEP, DROP, REFUSE = "assign", "keep", "drop", "refuse"


class Plan(NamedTuple):
    """What moving a node does: blocks that are claimed for which node, and what becomes of each address."""

    node: str
    claims: tuple[tuple[str, Prefix], ...]
    steps: tuple[Step, ...]

    @property
    def refused(self) -> list[Step]:
        """What cannot be moved."""
        return [step for step in self.steps if step.what == REFUSE]


def plan(session: Session, node: str, network: str, leases: Sequence[Lease]) -> Plan:
    """Return what moving a node's leases of a network does; nothing is changed. Raises Missing for a node unknown."""
    documents = {item.key.name: item.document for item in listed(session, NodeKey) if isinstance(item.key, NodeKey)}
    if node not in documents:
        raise Missing(f"there is no node {node}: name the one that this machine is in Kubernetes", node=node)
    known = [pool for pool in session.pools() if pool.enabled]
    pods = _pods(session, node)
    steps = [_step(session, node, network, lease, known, pods) for lease in leases]
    return Plan(node, tuple(_claims(documents, known)), (*steps, *_tunnels(session, node, documents[node], known)))


def _pods(session: Session, node: str) -> dict[int, dict[str, str]]:
    """Return the pods of a node, by their addresses."""
    found = {}
    for item in listed(session, WorkloadKey):
        assert isinstance(item.key, WorkloadKey)
        spec = item.document.get("spec") or {}
        for network in spec.get("ipNetworks") or () if spec.get("node", node) == node else ():
            with suppress(ValueError):
                pod = {"namespace": item.key.namespace, "pod": str(spec.get("pod") or item.key.name)}
                found[parse_address(str(network).partition("/")[0])] = pod
    return found


def _step(
    session: Session, node: str, network: str, lease: Lease, known: list[Pool], pods: dict[int, dict[str, str]]
) -> Step:  # fmt: skip
    address, handle = lease.address, names.pod(network, lease.container)
    if address not in pods:
        return Step(address, DROP, "no pod of the node has it")
    attributes = {"node": node, **pods[address]}
    if pools.find(known, address) is None:
        return Step(address, REFUSE, "it lies in no enabled pool: make one that covers it", handle)
    found = holder(session, address)
    if found is None:
        return Step(address, ASSIGN, "", handle, attributes)
    if found.handle == handle:
        return Step(address, KEEP, "it is assigned already", handle)
    return Step(address, REFUSE, f"Calico has it assigned to {found.handle or 'nobody'}", handle)


def _claims(documents: dict[str, dict[str, Any]], known: list[Pool]) -> Iterator[tuple[str, Prefix]]:
    """Yield the range of each node that lies in a pool, and so is claimed."""
    for name, document in sorted(documents.items()):
        for prefix in _ranges(document):
            pool = pools.find(known, prefix.first)
            if pool and pool.prefix.contains(prefix) and prefix.length <= pool.block_length:
                yield name, prefix


def _ranges(document: dict[str, Any]) -> Iterator[Prefix]:
    for text in (document.get("status") or {}).get("podCIDRs") or ():
        with suppress(ValueError):
            yield parse_interface(str(text))[1]


# Tunnels -----------------------------------------------------------------------------------------------------------

_FIELDS: dict[Tunnel, tuple[str, ...]] = {
    Tunnel.IPIP: ("bgp", "ipv4IPIPTunnelAddr"),
    Tunnel.VXLAN: ("ipv4VXLANTunnelAddr",),
    Tunnel.VXLAN_V6: ("ipv6VXLANTunnelAddr",),
    Tunnel.WIREGUARD: ("wireguard", "interfaceIPv4Address"),
    Tunnel.WIREGUARD_V6: ("wireguard", "interfaceIPv6Address"),
}
"""Where in a node's spec the address of each tunnel stands."""


def _tunnels(session: Session, node: str, document: dict[str, Any], known: list[Pool]) -> Iterator[Step]:
    """Yield what becomes of the node's tunnel addresses: each that it has, and an IPIP one where none is written down.

    With host-local, that is the first address of the node's range.
    """
    for tunnel in Tunnel:
        text = _field(document, tunnel)
        if not text and tunnel is not Tunnel.IPIP:
            continue
        eligible = tunnels.eligible(known, tunnel, nodes.labels(document))
        address = _parsed(text) if text else _first(document)
        if address is None:
            continue
        found = holder(session, address)
        standing = tunnels.Standing(address, found.attribute if found else None) if text else None
        step = tunnels.decide(tunnel, node, standing, eligible)
        yield from _tunnel_step(node, tunnel, address, step, found, eligible)


def _tunnel_step(
    node: str, tunnel: Tunnel, address: int, step: tunnels.Step, found: Allocation | None, eligible: list[Pool]
) -> Iterator[Step]:  # fmt: skip
    handle = tunnel.handle(node)
    if step in {"assign", "reassign"} and found is None and pools.find(eligible, address):
        attributes = {"node": node, "type": tunnel.attribute}
        yield Step(address, ASSIGN, "", handle, attributes, tunnel)
    elif found is not None and found.handle == handle:
        yield Step(address, KEEP, "it is assigned already", handle, tunnel=tunnel)
    elif step not in {"none", "clear"}:
        yield Step(address, DROP, "calico/node assigns the tunnel another address", tunnel=tunnel)


def _field(document: dict[str, Any], tunnel: Tunnel) -> str:
    found: Any = document.get("spec") or {}
    for name in _FIELDS[tunnel]:
        found = found.get(name) if isinstance(found, dict) else None
    return str(found or "")


def _parsed(text: str) -> int | None:
    with suppress(ValueError):
        return parse_address(text.partition("/")[0])
    return None


def _first(document: dict[str, Any]) -> int | None:
    return next((prefix.first + 1 for prefix in _ranges(document) if prefix.family == 4), None)


def write_tunnel(session: Session, node: str, tunnel: Tunnel, text: str, before: str | None = None) -> None:
    """Write a tunnel's address down with its node; with `before` only if that stands there. Raises NotFound."""
    for _ in range(TRIES):
        item = session.datastore.get(NodeKey(node), session.deadline)
        found = _field(item.document, tunnel)
        if found == text or before not in {None, found}:
            return
        spec = item.document.setdefault("spec", {})
        *outer, name = _FIELDS[tunnel]
        for each in outer:
            spec = spec.setdefault(each, {})
        if text:
            spec[name] = text
        else:
            spec.pop(name, None)
        try:
            session.datastore.update(item, session.deadline)
            return
        except Conflict:
            continue
    raise too_busy()


# Doing and undoing -------------------------------------------------------------------------------------------------


def claim(session: Session, claims: Sequence[tuple[str, Prefix]]) -> Iterator[tuple[str, str]]:
    """Claim every block of each node's range for it; yield node and block of those that are somebody else's."""
    for node, prefix in claims:
        try:
            for failed in affinities.claim_cidr(session, Owner(node), prefix).failed:
                yield node, str(failed)
        except (Outside, BadValue) as error:
            yield node, error.message


def assign(session: Session, node: str, step: Step) -> None:
    """Assign an address as its step says. Raises Taken where somebody else was faster, and what AssignIP raises."""
    wanted = explicit.Request(step.address, node, step.handle, step.attributes)
    try:
        explicit.assign(session, wanted)
    except Taken:
        found = holder(session, step.address)
        if found is None or found.handle != step.handle:
            raise
    if step.tunnel is not None:
        write_tunnel(session, node, step.tunnel, format_address(step.address))


def give_back(session: Session, node: str, steps: Sequence[Step]) -> tuple[list[int], list[UnipamError]]:
    """Release what was assigned; the addresses that their containers have given up meanwhile, and what went wrong."""
    gone, failed = [], []
    for step in steps:
        outcome = releasing.release(session, [Wish(step.address, step.handle)])
        gone += outcome.unheld
        if isinstance(outcome.error, Conflict):
            gone.append(step.address)  # somebody else has it by now
        elif outcome.error:
            failed.append(outcome.error)
        elif step.tunnel is not None:
            with suppress(NotFound):
                write_tunnel(session, node, step.tunnel, "", before=format_address(step.address))
    return gone, failed


def unclaim(session: Session, node: str) -> None:
    """Give up the blocks of a node in which it has nothing."""
    with suppress(NotEmpty):
        affinities.give_up_host(session, Owner(node), must_be_empty=True)


def strangers(session: Session, node: str, known: Sequence[str]) -> list[str]:
    """Return the pods of a node that Calico has given addresses since: host-local does not know them."""
    from unipam.dialects.calico.calicoctl.allocations import of_blocks

    blocks = [stored.value for stored in session.blocks().values() if stored]
    found = (each for each in of_blocks(blocks) if each.node == node and each.noted.get("pod"))
    return sorted(f"{e.noted.get('namespace')}/{e.noted['pod']} ({e.text})" for e in found if e.handle not in known)
