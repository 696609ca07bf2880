"""What Calico's garbage controller looks at: mirrors of Calico's documents, of pods and of nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from unipam.addr.prefix import Prefix
from unipam.clients.kubernetes.api import KubernetesApi
from unipam.clients.mirror import Mirror, Source
from unipam.controllers.calico import documents, pods
from unipam.controllers.calico.documents import Broken, Documents
from unipam.dialects.calico.datastore.api import Datastore, Selection
from unipam.dialects.calico.datastore.keys import (
    AffinityKey,
    BlockKey,
    ClusterKey,
    ConfigKey,
    HandleKey,
    NodeKey,
    PoolKey,
    ReservationKey,
)
from unipam.dialects.calico.documents import configuration, pool
from unipam.dialects.calico.documents.configuration import LONGEST_COOLDOWN, Configuration
from unipam.dialects.calico.documents.pool import Pool
from unipam.dialects.calico.rules.garbage import Seen, Suspect
from unipam.dialects.calico.rules.leases import SeenBlock, SeenHandle
from unipam.dialects.calico.rules.liveness import Living, PodName
from unipam.model.errors import Behind


class Observed(NamedTuple):
    """A cluster at one moment (`at`: `time.monotonic()`), and since when its suspects have been ones.

    `locked`: somebody moves the datastore, and nothing may be written.
    """

    seen: Seen
    pools: tuple[Pool, ...]
    reserved: tuple[Prefix, ...]
    locked: bool
    before: Mapping[Suspect, float]
    at: float

    def with_machines(self, machines: frozenset[PodName] | None) -> Observed:
        """Return the same, with the virtual machines that there are."""
        return self._replace(seen=self.seen._replace(living=self.seen.living._replace(vms=machines)))


class Mirrors:
    """The mirrors, from when they are made until they are closed. `changed` is called after each change of one."""

    def __init__(self, datastore: Datastore, api: KubernetesApi, changed: Callable[[], None]) -> None:
        sources: dict[str, Source[Any, Any]] = {
            "blocks": Documents(datastore, Selection(BlockKey), documents.read_block),
            "handles": Documents(datastore, Selection(HandleKey), documents.read_handle, leaving=True),
            "affinities": Documents(datastore, Selection(AffinityKey), documents.read_revision),
            "configuration": Documents(datastore, Selection(ConfigKey), lambda item: configuration.read(item.document)),
            "cluster": Documents(datastore, Selection(ClusterKey), documents.read_ready),
            "pools": Documents(datastore, Selection(PoolKey), lambda item: pool.read(item.document)),
            "reservations": Documents(datastore, Selection(ReservationKey), documents.read_reservation),
            "nodes": pods.nodes(api),
            "pods": pods.pods(api),
        }  # the largest lists first, while little is kept
        if datastore.transactional:  # in etcd Calico has nodes of its own
            sources["calico nodes"] = Documents(datastore, Selection(NodeKey), documents.read_kubernetes_name)
        turns = threading.Lock()
        self._mirrors = {name: Mirror(source, changed, turns=turns) for name, source in sources.items()}

    @property
    def problems(self) -> list[str]:
        """Why mirrors are not up to date."""
        return [f"{name}: {mirror.problem}" for name, mirror in self._mirrors.items() if mirror.problem]

    def look(self, before: Mapping[Suspect, float], at: float) -> Observed:
        """Return what there is. Raises Behind where a mirror is not up to date."""
        try:
            found = {name: mirror.snapshot() for name, mirror in self._mirrors.items()}
        except Behind as error:
            error.over = lambda: not self.problems  # each of them is needed
            raise
        nodes, foreign = _nodes(frozenset(found["nodes"]), found.get("calico nodes"))
        seen = Seen(
            _blocks(found["blocks"]),
            {key.id: each for key, each in found["handles"].items() if isinstance(each, SeenHandle)},
            {key: each for key, each in found["affinities"].items() if isinstance(key, AffinityKey)},
            Living(found["pods"], nodes, foreign),
            _cooldown(found["configuration"].values()),
        )
        pools = sorted((each for each in found["pools"].values() if isinstance(each, Pool)), key=lambda each: each.name)
        taken = [prefix for each in found["reservations"].values() if isinstance(each, list) for prefix in each]
        return Observed(seen, tuple(pools), tuple(taken), False in found["cluster"].values(), before, at)

    def close(self) -> None:
        """End every mirror."""
        for mirror in self._mirrors.values():
            mirror.close()


def _blocks(found: Mapping[Any, SeenBlock | Broken]) -> dict[str, SeenBlock | None]:
    return {
        getattr(key, "cidr", str(key)): each if isinstance(each, SeenBlock) else None for key, each in found.items()
    }


def _nodes(kubernetes: frozenset[str], calico: Mapping[Any, Any] | None) -> tuple[frozenset[str], frozenset[str]]:
    """Return the nodes that are there by Calico's names for them, and Calico's nodes that are none of Kubernetes.

    A node that Calico does not know (yet, or by that name) counts as there.
    """
    if calico is None:
        return kubernetes, frozenset()
    names = {key.name: each for key, each in calico.items() if isinstance(key, NodeKey) and isinstance(each, str)}
    there = {name for name, known in names.items() if known in kubernetes}
    return frozenset(there | (kubernetes - set(names))), frozenset(name for name, known in names.items() if not known)


def _cooldown(found: Iterable[Configuration | Broken]) -> int:
    """Return the cooldown; the longest that may be where the configuration is broken."""
    return max((each.cooldown if isinstance(each, Configuration) else LONGEST_COOLDOWN for each in found), default=0)
