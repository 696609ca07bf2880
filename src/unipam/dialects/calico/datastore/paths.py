"""What etcd calls Calico's documents (spec calico-ipam §4.2)."""

from __future__ import annotations

import sys

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
_NAMED: dict[str, type[PoolKey | ReservationKey | NodeKey | HandleKey]] = {
    _PREFIXES[kind]: kind for kind in (PoolKey, ReservationKey, NodeKey, HandleKey)
}
"""The kinds whose keys are a prefix and a name, by the prefix."""


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
    prefix, _, name = path.rpartition("/")
    if kind := _NAMED.get(f"{prefix}/"):
        return kind(sys.intern(name)) if name else None  # of handles blocks have the same texts, by the ten thousand
    if path.startswith(_WORKLOADS):
        namespace, _, name = path.removeprefix(_WORKLOADS).partition("/")
        return WorkloadKey(namespace, name) if namespace and name and "/" not in name else None
    if not path.startswith(_IPAM):
        return None
    match path.removeprefix(_IPAM).split("/"):
        case ["assignment", "ipv4" | "ipv6", "block", name] if cidr := _cidr(name):
            return BlockKey(cidr)
        case [owner, host, "ipv4" | "ipv6", "block", name] if owner in {HOST, VIRTUAL} and host:
            return AffinityKey(host, cidr, owner) if (cidr := _cidr(name)) else None
    return None


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


def _cidr(name: str) -> str:
    """Return the CIDR that a key names; empty where it names none."""
    address, _, length = name.rpartition("-")
    return f"{address}/{length}" if address and length.isdecimal() else ""


def _family(cidr: str) -> str:
    return f"ipv{6 if ':' in cidr else 4}/block/{cidr.replace('/', '-')}"


def _all_below(prefix: str) -> tuple[bytes, bytes]:
    return prefix.encode(), f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}".encode()
