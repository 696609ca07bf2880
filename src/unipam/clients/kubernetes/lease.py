"""Leadership as Kubernetes' own components have it: who holds a Lease of coordination.k8s.io, and renews it.

How old a Lease is is told by the clock of whoever looks, from when he first saw it so: clocks of two machines are never
compared.
"""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

from unipam.clients.inbox import Inbox
from unipam.clients.kubernetes.api import KubernetesApi, Object, Refusal


class Held(NamedTuple):
    """A Lease as it was read: who holds it (empty: nobody), for how many seconds after each renewal, and the object."""

    holder: str
    seconds: int
    document: Object

    @property
    def revision(self) -> str:
        """The revision that it was read at."""
        return str(self.document["metadata"]["resourceVersion"])


class Lease:
    """One Lease of a cluster. Deadlines are readings of `time.monotonic()`."""

    def __init__(self, api: KubernetesApi, namespace: str, name: str) -> None:
        self._api, self._namespace, self._name = api, namespace, name
        self._all = f"/apis/coordination.k8s.io/v1/namespaces/{quote(namespace, safe='')}/leases"

    def __str__(self) -> str:
        return f"lease {self._namespace}/{self._name}"

    def read(self, deadline: float) -> Held | None:
        """Read it; None where there is none. Raises SourceFailed, Refusal."""
        try:
            return held(self._api.get(self._path, deadline))
        except Refusal as error:
            if error.status == 404:
                return None
            raise

    def write(self, before: Held | None, spec: dict[str, Any], deadline: float) -> Held | None:
        """Write it unless somebody was faster: then None. Raises SourceFailed, Unanswered, Refusal."""
        try:
            if before is None:
                metadata = {"name": self._name, "namespace": self._namespace}
                return held(self._api.create(self._all, {**_KIND, "metadata": metadata, "spec": spec}, deadline))
            changed = {**before.document, "spec": {**(before.document.get("spec") or {}), **spec}}
            return held(self._api.replace(self._path, changed, deadline))
        except Refusal as error:
            if error.status in {404, 409} and (before or error.reason == "AlreadyExists"):
                return None
            raise

    def watch(self, after: Held, deadline: float) -> Inbox[Object]:
        """Watch what becomes of it. Raises SourceFailed, Expired, Refusal; reading it also WatchEnded."""
        return self._api.watch(self._all, after.revision, deadline, fieldSelector=f"metadata.name={self._name}")

    @property
    def _path(self) -> str:
        return f"{self._all}/{quote(self._name, safe='')}"


_KIND = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}


def held(document: Object) -> Held:
    """Read who holds a Lease, as far as it says."""
    spec = document.get("spec") or {}
    return Held(str(spec.get("holderIdentity") or ""), int(spec.get("leaseDurationSeconds") or 0), document)


def taken(before: Held | None, identity: str, seconds: int, now: float) -> dict[str, Any]:
    """Return what a Lease says when somebody takes it from whoever held it before; `now` is since the epoch."""
    spec = (before.document.get("spec") or {}) if before else {}
    transitions = int(spec.get("leaseTransitions") or 0) + bool(before and before.holder != identity)
    moment = _time(now)
    return {
        "holderIdentity": identity, "leaseDurationSeconds": seconds, "acquireTime": moment, "renewTime": moment,
        "leaseTransitions": transitions,
    }  # fmt: skip


def renewed(now: float) -> dict[str, Any]:
    """Return what changes in a Lease that its holder renews."""
    return {"renewTime": _time(now)}


def released(now: float) -> dict[str, Any]:
    """Return what changes in a Lease that its holder gives back, so that nobody has to wait for its end."""
    return {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _time(now)}


def _time(now: float) -> str:
    return datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
