"""The datastore's lock: while it holds, calico/node and kube-controllers leave the cluster's state alone.

It is `datastoreReady: false` of the ClusterInformation, as `calicoctl datastore migrate lock` sets it. It stops no ADD.
"""

from __future__ import annotations

from unipam.dialects.calico.calicoctl.observing import cluster_of
from unipam.dialects.calico.datastore.keys import ClusterKey
from unipam.dialects.calico.engine.counting import too_busy
from unipam.dialects.calico.engine.world import TRIES, World
from unipam.model.errors import Conflict, Refused


def set_locked(world: World, *, locked: bool) -> bool:
    """Lock or unlock the datastore; whether that changed anything. Raises Missing where there is no cluster."""
    for _ in range(TRIES):
        if cluster_of(world).locked == locked:
            return False
        item = world.datastore.get(ClusterKey(), world.deadline)
        spec = {**(item.document.get("spec") or {}), "datastoreReady": not locked}
        try:
            world.datastore.update(item._replace(document={**item.document, "spec": spec}), world.deadline)
            return True
        except Conflict:
            continue
    raise too_busy()


def require_locked(world: World) -> None:
    """Raise Refused unless the datastore is locked."""
    if not cluster_of(world).locked:
        raise Refused(
            "datastore is not locked. Run `unipam calico datastore lock` (or `calicoctl datastore migrate lock`) in"
            " order to split the IP pools"
        )


def require_unlocked(world: World, what: str) -> None:
    """Raise Refused while the datastore is locked: somebody else is moving it."""
    if cluster_of(world).locked:
        raise Refused(f"the datastore is locked, so {what} is not done: see who moves it, then unlock it")
