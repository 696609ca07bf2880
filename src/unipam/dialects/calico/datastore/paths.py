"""What etcd calls Calico's documents (spec calico-ipam §4.2)."""

from __future__ import annotations

import re

from unipam.dialects.calico.datastore.api import Selection
from unipam.dialects.calico.datastore.keys import (
    HOST,
    VIRTUAL,
    AffinityKey,
    BlockKey,
    ClusterKey,
    ConfigKey,
    ControllersKey,
    HandleKey,
    Key,
    NodeKey,
    PoolKey,
    ReservationKey,
    WorkloadKey,
)

_IPAM = "/calico/ipam/v2/"
_RESOURCES = "/calico/resources/v3/projectcalico.org/"
_CONFIG, _CLUSTER = f"{_IPAM}config", f"{_RESOURCES}clusterinformations/default"
_CONTROLLERS, _WORKLOADS = f"{_RESOURCES}kubecontrollersconfigurations/default", f"{_RESOURCES}workloadendpoints/"
_SINGLE: dict[str, ConfigKey | ClusterKey | ControllersKey] = {
    _CONFIG: ConfigKey(),
    _CLUSTER: ClusterKey(),
    _CONTROLLERS: ControllersKey(),
}
"""The kinds of which there is one, by its key."""
_BLOCKS, _HANDLES = f"{_IPAM}assignment/", f"{_IPAM}handle/"
_PREFIXES: dict[type[Key], str] = {
    BlockKey: _BLOCKS,
    HandleKey: _HANDLES,
    ConfigKey: _CONFIG,
    PoolKey: f"{_RESOURCES}ippools/",
    ReservationKey: f"{_RESOURCES}ipreservations/",
    NodeKey: f"{_RESOURCES}nodes/",
    ClusterKey: _CLUSTER,
    ControllersKey: _CONTROLLERS,
    WorkloadKey: _WORKLOADS,
}
_NAMED = (PoolKey, ReservationKey, NodeKey, HandleKey)
"""The kinds whose keys are a prefix and a name."""

_BLOCK = re.compile(rf"{_BLOCKS}ipv[46]/block/([^/]+)-(\d+)")
_WORKLOAD = re.compile(rf"{_WORKLOADS}([^/]+)/([^/]+)")
_AFFINITY = re.compile(rf"{_IPAM}({HOST}|{VIRTUAL})/([^/]+)/ipv[46]/block/([^/]+)-(\d+)")


def path(key: Key) -> str:
    """Return the key that etcd has for an object."""
    match key:
        case BlockKey(cidr):
            return f"{_BLOCKS}{_family(cidr)}"
        case AffinityKey(host, cidr, kind):
            return f"{_IPAM}{kind}/{host}/{_family(cidr)}"
        case PoolKey(name) | ReservationKey(name) | NodeKey(name) | HandleKey(name):
            return f"{_PREFIXES[type(key)]}{name}"
        case ConfigKey():
            return _CONFIG
        case ClusterKey():
            return _CLUSTER
        case ControllersKey():
            return _CONTROLLERS
        case WorkloadKey(namespace, name):
            return f"{_WORKLOADS}{namespace}/{name}"


def key(path: str) -> Key | None:
    """Return the object that an etcd key belongs to; None where it is none of those known here."""
    if path in _SINGLE:
        return _SINGLE[path]
    if found := _BLOCK.fullmatch(path):
        return BlockKey(f"{found[1]}/{found[2]}")
    if found := _AFFINITY.fullmatch(path):
        return AffinityKey(found[2], f"{found[3]}/{found[4]}", found[1])
    if found := _WORKLOAD.fullmatch(path):
        return WorkloadKey(found[1], found[2])
    prefix, _, name = path.rpartition("/")
    kind = next((kind for kind in _NAMED if f"{prefix}/" == _PREFIXES[kind]), None)
    return kind(name) if kind and name else None


def span(selection: Selection) -> tuple[bytes, bytes]:
    """Return the first key of a selection's range in etcd, and the end of the range, which it does not contain.

    Among the keys of a range may be others, too.
    """
    if selection.kind in {ConfigKey, ClusterKey, ControllersKey}:
        return _PREFIXES[selection.kind].encode(), b""
    if selection.kind is NodeKey and selection.host:
        return path(NodeKey(selection.host)).encode(), b""
    if selection.kind is not AffinityKey:
        return _all_below(_PREFIXES[selection.kind])
    owners = (selection.owner,) if selection.owner else (HOST, VIRTUAL)
    tail = f"{selection.host}/" if selection.host else ""
    first, _ = _all_below(f"{_IPAM}{owners[0]}/{tail}")
    _, end = _all_below(f"{_IPAM}{owners[-1]}/{tail}")
    return first, end


def selected(found: Key | None, selection: Selection) -> bool:
    """Return whether a key belongs to a selection."""
    if not isinstance(found, selection.kind):
        return False
    if isinstance(found, AffinityKey):
        return selection.host in {"", found.host} and selection.owner in {"", found.kind}
    return not isinstance(found, NodeKey) or selection.host in {"", found.name}


def _family(cidr: str) -> str:
    return f"ipv{6 if ':' in cidr else 4}/block/{cidr.replace('/', '-')}"


def _all_below(prefix: str) -> tuple[bytes, bytes]:
    return prefix.encode(), f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}".encode()
