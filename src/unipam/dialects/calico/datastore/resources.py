"""Kubernetes' objects as items, and back: which resource a kind of key is, and what surrounds the document."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote

import msgspec

from unipam.dialects.calico.datastore import metadata, names, nodes, specs, workloads
from unipam.dialects.calico.datastore.api import Document, Item, Selection
from unipam.dialects.calico.datastore.keys import (
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

STORED, NATIVE = "crd.projectcalico.org/v1", "projectcalico.org/v3"
"""The groups in which a cluster may keep Calico's resources."""
_SINGLE = (ConfigKey, ClusterKey, ControllersKey)
_KUBERNETES: dict[type[Key], str] = {NodeKey: "/api/v1/nodes", WorkloadKey: "/api/v1/pods"}
"""What is Kubernetes' own, and read as Calico sees it."""
_IPAM = (BlockKey, AffinityKey, HandleKey, ConfigKey)

BRIEF = (BlockKey, HandleKey)
"""Of what is written the server need not say what it was told: a block of 1,000 leases is 150 KB."""


class Resource(NamedTuple):
    """The plural by which an API server knows a kind of object, and the kind's name; both also in NATIVE."""

    plural: str
    kind: str
    native_plural: str = ""
    native_kind: str = ""


RESOURCES: dict[type[Key], Resource] = {
    BlockKey: Resource("ipamblocks", "IPAMBlock"),
    AffinityKey: Resource("blockaffinities", "BlockAffinity"),
    HandleKey: Resource("ipamhandles", "IPAMHandle"),
    ConfigKey: Resource("ipamconfigs", "IPAMConfig", "ipamconfigurations", "IPAMConfiguration"),
    PoolKey: Resource("ippools", "IPPool"),
    ReservationKey: Resource("ipreservations", "IPReservation"),
    ClusterKey: Resource("clusterinformations", "ClusterInformation"),
    ControllersKey: Resource("kubecontrollersconfigurations", "KubeControllersConfiguration"),
}


UNMANAGED: list[Document] = [{}]
"""Managed fields that forget whose each field is, and find it out no more: that would take the API server a quarter of
the time of a block's write, and nobody applies blocks (Kubernetes, "Server-Side Apply", clearing managedFields)."""


class Objects(NamedTuple):
    """The objects of a cluster that keeps them in `group`."""

    group: str

    def collection(self, kind: type[Key]) -> str:
        """Return the path of all objects of a kind."""
        if kind in _KUBERNETES:
            return _KUBERNETES[kind]
        resource = RESOURCES[kind]
        plural = (resource.native_plural if self.group == NATIVE else "") or resource.plural
        return f"/apis/{self.group}/{plural}"

    def path(self, key: Key) -> str:
        """Return the path of one object."""
        if isinstance(key, WorkloadKey):
            return f"/api/v1/namespaces/{quote(key.namespace, safe='')}/pods/{quote(key.name, safe='')}"
        return f"{self.collection(type(key))}/{quote(name_of(key), safe='')}"

    def write(self, item: Item) -> Document:
        """Return the object of an item; without a revision when the item has none. Nodes are not written whole."""
        resource, name = RESOURCES[type(item.key)], name_of(item.key)
        kind = (resource.native_kind if self.group == NATIVE else "") or resource.kind
        written: Document = {"apiVersion": self.group, "kind": kind}
        if isinstance(item.key, _IPAM):
            written["metadata"] = self._ipam_metadata(item, name)
            written["spec"] = specs.write(item.key, item.document, native=self.group == NATIVE)
        else:
            written = {**item.document, **written, "metadata": self._metadata(item, name)}
        if item.revision:
            written["metadata"]["resourceVersion"] = item.revision
            if isinstance(item.key, BlockKey):
                written["metadata"]["managedFields"] = UNMANAGED
        return written

    def read(self, kind: type[Key], found: Document) -> Item:
        """Return the item of an object.

        Raises ValueError, KeyError or TypeError when it is not what its kind must be.
        """
        about = found["metadata"]
        key, document = self._read(kind, found, about)
        return Item(key, document, about["resourceVersion"], about)

    def _read(self, kind: type[Key], found: Document, about: Document) -> tuple[Key, Document]:
        if kind is NodeKey:
            return NodeKey(about["name"]), nodes.show(found)
        if kind is WorkloadKey:
            return WorkloadKey(about["namespace"], about["name"]), workloads.show(found)
        if kind in _IPAM:
            return specs.read(kind, found["spec"])
        shown = metadata.show(about) if self.group == STORED else _without(about, "resourceVersion", "managedFields")
        document = {**found, "kind": RESOURCES[kind].kind, "apiVersion": NATIVE, "metadata": shown}
        return (kind() if kind in _SINGLE else kind(about["name"])), document  # type: ignore[call-arg]

    def _metadata(self, item: Item, name: str) -> Document:
        shown = item.document.get("metadata") or {}
        if self.group == STORED:
            return metadata.hide(shown, name)
        return {**_without(shown, "uid", "creationTimestamp"), "name": name}

    def _ipam_metadata(self, item: Item, name: str) -> Document:
        """Return the object's metadata with the labels by which it is found, and the annotation that others read."""
        before = item.origin if isinstance(item.origin, dict) else {}
        about = {**_without(before, "managedFields"), "name": name}
        labels = names.labels(item.key) if isinstance(item.key, AffinityKey) else {}
        if labels:
            about["labels"] = {**(before.get("labels") or {}), **labels}
        if self.group == STORED:
            hidden = msgspec.json.encode({"labels": labels} if labels else {}).decode()
            about["annotations"] = {metadata.HIDDEN: hidden} | (before.get("annotations") or {})
        return about


def name_of(key: Key) -> str:
    """Return what Kubernetes calls an object."""
    match key:
        case BlockKey(cidr):
            return names.of_cidr(cidr)
        case AffinityKey():
            return names.of_affinity(key)
        case HandleKey(identity):
            return identity.lower()
        case PoolKey(name) | ReservationKey(name) | NodeKey(name) | WorkloadKey(_, name):
            return name
        case ConfigKey() | ClusterKey() | ControllersKey():
            return "default"


def selectors(selection: Selection) -> tuple[dict[str, str], ...]:
    """Return the queries whose answers together hold a selection; the first is the one to watch.

    Affinities that an older Calico made have no labels, so those are asked for besides.
    """
    if selection.kind is NodeKey and selection.host:
        return ({"fieldSelector": f"metadata.name={selection.host}"},)
    if selection.kind in _SINGLE:
        return ({"fieldSelector": "metadata.name=default"},)
    if selection.kind is not AffinityKey:
        return ({},)
    labels = [f"{names.HOSTNAME_HASH}={names.hostname_hash(selection.host)}"] if selection.host else []
    labels += [f"{names.AFFINITY_TYPE}={selection.owner}"] if selection.owner else []
    if not labels:
        return ({},)
    return {"labelSelector": ",".join(labels)}, {"labelSelector": f"!{names.HOSTNAME_HASH}"}


def _without(of: Document, *names: str) -> Document:
    return {name: value for name, value in of.items() if name not in names}
