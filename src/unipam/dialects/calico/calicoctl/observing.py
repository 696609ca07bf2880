"""All that a cluster's IPAM says, and who uses addresses, read once (spec §3.2).

Blocks are read first and users after them, as by calicoctl: what is assigned in between may look as if it were not
there, never as if nobody used it who was there all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from unipam.addr.prefix import parse_address, parse_interface
from unipam.dialects.calico.datastore.api import Item, Selection
from unipam.dialects.calico.datastore.keys import (
    AffinityKey,
    BlockKey,
    ClusterKey,
    ControllersKey,
    HandleKey,
    NodeKey,
    WorkloadKey,
)
from unipam.dialects.calico.documents import block as blocks
from unipam.dialects.calico.documents.block import Block
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.engine.session import Session, Stored
from unipam.dialects.calico.rules.services import are_calicos
from unipam.model.errors import BadValue, Missing, NotFound, Unreadable

Services = Callable[[], list[dict[str, Any]]]
"""Reads every Service of the cluster."""


class Use(NamedTuple):
    """An address, and who uses it, as a person is told: `Workload(default/node1-k8s-web-eth0)`."""

    address: int
    who: str


class Cluster(NamedTuple):
    """What the ClusterInformation says, and its revision."""

    guid: str
    kind: str
    version: str
    locked: bool
    revision: str


class Observed(NamedTuple):
    """A cluster. `broken` has the blocks that cannot be read; `balancers` is None where Services have no addresses.

    Among the `handles` are those that are marked as deleted and still there, as calicoctl counts them.
    """

    cluster: Cluster
    blocks: tuple[Stored[Block], ...]
    broken: tuple[tuple[str, str], ...]
    pools: tuple[Pool, ...]
    tunnels: tuple[Use, ...]
    balancers: int | None
    services: tuple[Use, ...]
    workloads: tuple[Use, ...]
    handles: dict[str, Item]


def observe(session: Session, services: Services) -> Observed:
    """Read a cluster. Raises Missing where it says nothing of itself, SourceFailed, BadValue for an odd address."""
    cluster = cluster_of(session)
    found, broken = read_blocks(session)
    pools = tuple(session.pools())
    tunnels = tuple(_tunnels(session))
    balancers, of_services = _services(session, services)
    workloads = tuple(_workloads(session))
    several = session.datastore.list(Selection(HandleKey), session.deadline)
    handles = {item.key.id: item for item in several.items + several.leaving if isinstance(item.key, HandleKey)}
    return Observed(cluster, found, broken, pools, tunnels, balancers, of_services, workloads, handles)


def listed(session: Session, kind: Any) -> tuple[Item, ...]:
    """Return every object of a kind of key."""
    return session.datastore.list(Selection(kind), session.deadline).items


def cluster_of(session: Session) -> Cluster:
    """Return what a cluster says of itself. Raises Missing."""
    try:
        item = session.datastore.get(ClusterKey(), session.deadline)
    except NotFound as error:
        problem = "resource does not exist: ClusterInformation(default): is this Calico's datastore?"
        raise Missing(problem, key="ClusterInformation(default)") from error
    spec = item.document.get("spec") or {}
    guid, kind, version = (str(spec.get(name) or "") for name in ("clusterGUID", "clusterType", "calicoVersion"))
    return Cluster(guid, kind, version, spec.get("datastoreReady") is False, item.revision)


def read_blocks(session: Session) -> tuple[tuple[Stored[Block], ...], tuple[tuple[str, str], ...]]:
    """Return the blocks that can be read, and the name of each other one with what is wrong with it."""
    listing = session.datastore.list(Selection(BlockKey), session.deadline)
    found, broken = [], [(each.name, each.why) for each in listing.broken]
    for item in listing.items:
        assert isinstance(item.key, BlockKey)
        try:
            found.append(Stored(blocks.read(item.document), item))
        except Unreadable as error:
            broken.append((item.key.cidr, error.message))
    return tuple(found), tuple(broken)


_TUNNELS = (("ipv4VXLANTunnelAddr",), ("ipv6VXLANTunnelAddr",), ("wireguard", "interfaceIPv4Address"),
            ("wireguard", "interfaceIPv6Address"), ("bgp", "ipv4IPIPTunnelAddr"))  # fmt: skip
"""Where in a node's spec its tunnels' addresses stand. calicoctl knows those of IPv4 only."""


def _tunnels(session: Session) -> Iterator[Use]:
    for item in listed(session, NodeKey):
        assert isinstance(item.key, NodeKey)
        for where in _TUNNELS:
            found: Any = item.document.get("spec") or {}
            for step in where:
                found = found.get(step) if isinstance(found, dict) else None
            if found:
                yield Use(_address(str(found), f"node {item.key.name}"), f"Node({item.key.name})")


def _workloads(session: Session) -> Iterator[Use]:
    for item in listed(session, WorkloadKey):
        assert isinstance(item.key, WorkloadKey)
        name = f"{item.key.namespace}/{(item.document.get('metadata') or {}).get('name', item.key.name)}"
        for network in (item.document.get("spec") or {}).get("ipNetworks") or ():
            yield Use(_address(str(network), f"workload {name}"), f"Workload({name})")


def _services(session: Session, services: Services) -> tuple[int | None, tuple[Use, ...]]:
    """Return how many Services have addresses of Calico's, and these; None where it assigns none."""
    try:
        document = session.datastore.get(ControllersKey(), session.deadline).document
    except NotFound:
        document = {}
    balancing = ((document.get("spec") or {}).get("controllers") or {}).get("loadBalancer")
    if balancing is None:
        return None, ()
    found = [each for each in services() if are_calicos(each, str(balancing.get("assignIPs") or ""))]
    return len(found), tuple(_of_services(found))


def _of_services(services: Iterable[dict[str, Any]]) -> Iterator[Use]:
    for each in services:
        for ingress in ((each.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ():
            if ingress.get("ip"):
                name = str(each["metadata"]["name"])
                yield Use(_address(str(ingress["ip"]), f"service {name}"), name)


def _address(text: str, of: str) -> int:
    try:
        return parse_interface(text)[0] if "/" in text else parse_address(text)
    except ValueError as error:
        raise BadValue(f"{of} has an address that is none: {error}", field="address", value=text) from error


def affinities(session: Session) -> tuple[Item, ...]:
    """Return every claim on a block, whoever's it is."""
    return listed(session, AffinityKey)
