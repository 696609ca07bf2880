"""An API server that has one CiliumNode, and a Node of the same name; it can be away."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.clients.fake_api_server import Asked, FakeApiServer, Say, fake_api_server, status

NIC = (
    "/subscriptions/s/resourceGroups/MC_g/providers/Microsoft.Compute/virtualMachineScaleSets/np"
    "/virtualMachines/0/networkInterfaces/aks-nic"
)
INTERFACE = {
    "id": NIC, "name": "aks-nic", "mac": "00:22:48:AA:BB:CC", "ip": "10.240.0.4", "gateway": "10.240.0.1",
    "cidr": "10.240.0.0/16", "subnet": {"id": "subnets/nodes", "cidr": "10.240.0.0/16"},
}  # fmt: skip


def cilium_node(*addresses: str, release: dict[str, str] | None = None, used: dict[str, Any] | None = None) -> Any:
    """A CiliumNode whose one interface has these addresses."""
    ipam: dict[str, Any] = {}
    if release:
        ipam["release-ips"] = release
    if used:
        ipam["used"] = used
    return {
        "apiVersion": "cilium.io/v2", "kind": "CiliumNode",
        "metadata": {"name": "n1", "uid": "u1", "resourceVersion": "10"},
        "spec": {
            "instance-id": NIC.rpartition("/networkInterfaces")[0].lower(),
            "ipam": {"pre-allocate": 8, "pool": {each: {"resource": NIC} for each in addresses}},
        },
        "status": {"azure": {"interfaces": [INTERFACE]}, "ipam": ipam},
    }  # fmt: skip


class Cluster:
    """Answers as an API server does; what watches is told when it asks again, every half second."""

    def __init__(self, server: FakeApiServer, document: Any) -> None:
        self.server, self.away, self.refused = server, False, 0
        self.patches: list[Any] = []
        self._lock = threading.Lock()
        self._document = document
        self._events: list[tuple[int, Any]] = []
        self._revision = 10

    @property
    def document(self) -> Any:
        """The CiliumNode as it is."""
        with self._lock:
            return copy.deepcopy(self._document)

    @property
    def ipam(self) -> Any:
        """Its `status.ipam`."""
        return (self.document.get("status") or {}).get("ipam") or {}

    def merge(self, patch: Any) -> Any:
        """Change it, as anybody may."""
        with self._lock:
            return self._merge(patch)

    def remove(self) -> None:
        """Remove it."""
        with self._lock:
            self._revision += 1
            gone, self._document = self._document, None
            gone["metadata"]["resourceVersion"] = str(self._revision)
            self._events.append((self._revision, {"type": "DELETED", "object": gone}))

    def __call__(self, asked: Asked) -> Say:
        if self.away:
            return status(503, "ServiceUnavailable", "away")
        with self._lock:
            return self._answer(asked)

    def _answer(self, asked: Asked) -> Say:
        query = {name: found[0] for name, found in parse_qs(urlsplit(asked.target).query).items()}
        if query.get("watch"):
            since = int(query["resourceVersion"])
            return Say(200, [event for revision, event in self._events if revision > since])
        if asked.method == "PATCH":
            return self._patch(asked.body)
        if "fieldSelector" in query:
            items = [self._document] if self._document else []
            return Say(200, {"metadata": {"resourceVersion": str(self._revision)}, "items": copy.deepcopy(items)})
        if self._document is None:
            return status(404, "NotFound", 'ciliumnodes.cilium.io "n1" not found', "n1")
        return Say(200, copy.deepcopy(self._document))

    def _patch(self, body: Any) -> Say:
        if self._document is None:
            return status(404, "NotFound", 'ciliumnodes.cilium.io "n1" not found', "n1")
        about, now = body.pop("metadata", {}), self._document["metadata"]
        if any(now[name] != value for name, value in about.items()):
            self.refused += 1
            return status(409, "Conflict", "the object has been modified", "n1")
        self.patches.append(body)
        return Say(200, self._merge(body))

    def _merge(self, patch: Any) -> Any:
        self._revision += 1
        made = merged(self._document, patch)
        made["metadata"]["resourceVersion"] = str(self._revision)
        self._document = made
        self._events.append((self._revision, {"type": "MODIFIED", "object": copy.deepcopy(made)}))
        return copy.deepcopy(made)


def merged(old: Any, patch: Any) -> Any:
    """What a JSON merge patch makes of a document (RFC 7396)."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    made = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = merged(made.get(name), value)
    return copy.deepcopy(made)


@contextlib.contextmanager
def cluster(directory: Path, *addresses: str) -> Iterator[Cluster]:
    """One whose CiliumNode has these addresses."""
    with fake_api_server(directory) as server:
        made = Cluster(server, cilium_node(*addresses))
        server._then = made
        yield made
