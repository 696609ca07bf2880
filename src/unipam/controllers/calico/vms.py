"""KubeVirt's virtual machines, which keep their addresses while no pod runs them."""

from __future__ import annotations

import time

from unipam.clients.kubernetes.api import KubernetesApi, Refusal
from unipam.clients.kubernetes.collection import read_all
from unipam.controllers.calico.pods import pod_name
from unipam.dialects.calico.rules.garbage import Seen
from unipam.dialects.calico.rules.leases import Kind
from unipam.dialects.calico.rules.liveness import PodName
from unipam.model.errors import SourceFailed

_GROUP = "/apis/kubevirt.io/v1"
_WITHIN = 60.0
"""Seconds for a list of all."""


def list_all(api: KubernetesApi) -> frozenset[PodName] | None:
    """Return namespace and name of every machine, and of every instance without one.

    None where the cluster has no KubeVirt (any more): nothing is known then. Raises SourceFailed.
    """
    found: set[PodName] = set()
    for plural in ("virtualmachines", "virtualmachineinstances"):
        try:
            _, names = read_all(api, f"{_GROUP}/{plural}", pod_name, time.monotonic() + _WITHIN)
        except Refusal as error:
            if error.status == 404:
                return None
            raise SourceFailed(f"{api.name}: {error}", source=api.name) from error
        found.update(names)
    return frozenset(found)


class Machines:
    """The virtual machines of a cluster, listed every so many seconds, and only where machines hold addresses."""

    def __init__(self, api: KubernetesApi, interval: float) -> None:
        self._api, self._interval = api, interval
        self._listed = float("-inf")
        self._known: frozenset[PodName] | None = None

    def known(self, seen: Seen) -> frozenset[PodName] | None:
        """Return which there are; None where nobody knows. Raises SourceFailed."""
        if time.monotonic() >= self._listed + self._interval and _has_leases(seen):
            self._known = list_all(self._api)
            self._listed = time.monotonic()
        return self._known


def _has_leases(seen: Seen) -> bool:
    return any(lease.kind is Kind.VM for block in seen.blocks.values() if block for lease in block.leases)
