"""The cluster's pods that wait for an address, and those that have one which Cilium has not given them.

They are looked at every few seconds, not with each change: what they say is never urgent.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from unipam.clients.kubernetes.api import KubernetesApi, Object, Refusal
from unipam.clients.kubernetes.collection import read_all
from unipam.clients.kubernetes.objects import Objects
from unipam.controllers.election import Tell
from unipam.model.errors import SourceFailed

PODS, ENDPOINTS = "/api/v1/pods", "/apis/cilium.io/v2/ciliumendpoints"
_EVERY, _ENDPOINTS_EVERY = 5.0, 60.0
"""Seconds between two looks at pods, and at Cilium's endpoints."""
_FIRST, _PATIENCE = 0.2, 15.0
"""Seconds between looks until pods were read once, and for how long addresses are not offered without that."""
_WITHIN = 30.0
_ENDED = frozenset(("Succeeded", "Failed"))

Name = tuple[str, str]


class Pod(NamedTuple):
    """Where a pod is, its addresses, and whether it waits for one. One of the host's network has neither."""

    node: str
    addresses: tuple[str, ...]
    waits: bool


class Mirrored(Protocol):
    """The pods, as a mirror keeps them."""

    def snapshot(self) -> Mapping[Name, Pod]:
        """Return them by namespace and name. Raises SourceFailed."""

    def close(self) -> None:
        """Let go of the watch."""


class Listed:
    """Pods that were read once."""

    def __init__(self, found: Mapping[Name, Pod]) -> None:
        self._found = found

    def snapshot(self) -> Mapping[Name, Pod]:
        """See `Mirrored.snapshot`."""
        return self._found

    def close(self) -> None:
        """See `Mirrored.close`."""


def pods(api: KubernetesApi) -> Objects[Name, Pod]:
    """Return all pods of a cluster."""
    return Objects(api, PODS, name_of, pod_of)


def name_of(found: Object) -> Name:
    """Return what a pod, or an endpoint, is called."""
    return sys.intern(found["metadata"]["namespace"]), found["metadata"]["name"]


def pod_of(found: Object) -> Pod:
    """Return what is kept of a pod."""
    spec, status = found.get("spec") or {}, found.get("status") or {}
    if spec.get("hostNetwork") or status.get("phase") in _ENDED:
        return Pod("", (), waits=False)
    addresses = tuple(str(each["ip"]) for each in status.get("podIPs") or () if each.get("ip"))
    node = sys.intern(spec.get("nodeName") or "")
    return Pod(node, addresses, waits=status.get("phase") == "Pending" and not addresses)


def endpoints_of(api: KubernetesApi) -> Callable[[], set[Name] | None]:
    """Return what lists the pods that Cilium runs; it returns None where the cluster has no such list, or not now."""

    def listed() -> set[Name] | None:
        try:
            return set(read_all(api, ENDPOINTS, name_of, time.monotonic() + _WITHIN)[1])
        except (Refusal, SourceFailed):
            return None

    return listed


class Pods:
    """What was last seen of them; what cannot be read stays as it was."""

    def __init__(self, mirror: Mirrored, endpoints: Callable[[], set[Name] | None], tell: Tell) -> None:
        self._mirror, self._endpoints, self._tell = mirror, endpoints, tell
        self._next = self._next_endpoints = 0.0
        self._began, self._read = 0.0, False
        self._problem = ""
        self._waiting: Counter[str] = Counter()
        self._by_node: dict[str, dict[str, Name]] = {}
        self._of_cilium: set[Name] | None = None

    def look(self, now: float) -> float:
        """See how pods are, if it is time; return when to look again."""
        if now >= self._next:
            self._began = self._began or now
            self._next = now + (_EVERY if self._look(now) or self.known(now) else _FIRST)
        return self._next

    def known(self, now: float) -> bool:
        """Return whether pods were read, or are waited for no longer."""
        return self._read or now >= self._began + _PATIENCE

    def _look(self, now: float) -> bool:
        try:
            found = self._mirror.snapshot()
        except SourceFailed as error:
            if self.known(now) and error.message != self._problem:
                self._tell("pods not read", error=error.message)
                self._problem = error.message
            return False
        self._read, self._problem = True, ""
        self._waiting = Counter(each.node for each in found.values() if each.waits and each.node)
        self._by_node = by_node(found)
        return True

    def waiting(self, node: str) -> int:
        """Return how many pods of a node wait for an address."""
        return self._waiting[node]

    def foreign(self, node: str, addresses: Iterable[str], now: float) -> dict[str, str]:
        """Return those of a node's pods, by these addresses, that Cilium does not run; none where that is not known."""
        here = self._by_node.get(node, {})
        suspects = {ip: here[ip] for ip in addresses if ip in here}
        if suspects and now >= self._next_endpoints:
            self._next_endpoints = now + _ENDPOINTS_EVERY
            self._of_cilium = self._endpoints()
        if self._of_cilium is None:
            return {}
        return {ip: "/".join(pod) for ip, pod in suspects.items() if pod not in self._of_cilium}

    def close(self) -> None:
        """Let go of the watch."""
        self._mirror.close()


def by_node(found: Mapping[Name, Pod]) -> dict[str, dict[str, Name]]:
    """Return the pods by their nodes and addresses."""
    made: dict[str, dict[str, Name]] = defaultdict(dict)
    for name, each in found.items():
        for ip in each.addresses:
            made[each.node][ip] = name
    return made
