"""The datastore's lock: while it holds, calico/node and kube-controllers leave the cluster's state alone.

It is `datastoreReady: false` of the ClusterInformation, as `calicoctl datastore migrate lock` sets it. It stops no ADD.
"""

from __future__ import annotations

from unipam.dialects.calico.calicoctl.observing import cluster_of
from unipam.dialects.calico.datastore.keys import ClusterKey
from unipam.dialects.calico.engine.counting import too_busy
from unipam.dialects.calico.engine.session import TRIES, Session
from unipam.model.errors import Conflict, Refused


def set_locked(session: Session, *, locked: bool) -> bool:
    """Lock or unlock the datastore; whether that changed anything. Raises Missing where there is no cluster."""
    for _ in range(TRIES):
        if cluster_of(session).locked == locked:
            return False
        item = session.datastore.get(ClusterKey(), session.deadline)
        spec = {**(item.document.get("spec") or {}), "datastoreReady": not locked}
        try:
            session.datastore.update(item._replace(document={**item.document, "spec": spec}), session.deadline)
            return True
        except Conflict:
            continue
    raise too_busy()


def require_locked(session: Session) -> None:
    """Raise Refused unless the datastore is locked."""
    if not cluster_of(session).locked:
        raise Refused(
            "datastore is not locked. Run `unipam calico datastore lock` (or `calicoctl datastore migrate lock`) in"
            " order to split the IP pools"
        )


def require_unlocked(session: Session, what: str) -> None:
    """Raise Refused while the datastore is locked: somebody else is moving it."""
    if cluster_of(session).locked:
        raise Refused(f"the datastore is locked, so {what} is not done: see who moves it, then unlock it")
