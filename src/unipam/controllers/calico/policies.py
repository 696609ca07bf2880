"""For how long Calico's garbage is waited for, where nobody said so to the controller itself."""

from __future__ import annotations

import time

from unipam.clients.kubernetes.api import Refusal
from unipam.controllers.election import Tell
from unipam.dialects.calico.datastore.api import Datastore, Document
from unipam.dialects.calico.datastore.keys import ControllersKey
from unipam.dialects.calico.documents.controllers import leak_grace
from unipam.dialects.calico.rules.garbage import Policy
from unipam.model.errors import NotFound, SourceFailed, Unreadable

_WITHIN = 30.0
"""Seconds that reading it may take."""


def of_cluster(datastore: Datastore, tell: Tell) -> Policy:
    """Return what the cluster's KubeControllersConfiguration says, as far as somebody has chosen it.

    `leakGracePeriod: 0` leaves alone what nodes that are there could do without. One that cannot be read, or may not
    be, is told and says nothing. Raises SourceFailed when nobody answers.
    """
    try:
        grace = leak_grace(_document(datastore))
    except Unreadable as error:
        tell("configuration not read", error=error.message)
        return Policy()
    if grace is None:
        return Policy()
    tell("grace by the cluster's configuration", seconds=grace)
    return Policy(grace=grace) if grace else Policy(of_living=False)


def _document(datastore: Datastore) -> Document:
    try:
        return datastore.get(ControllersKey(), time.monotonic() + _WITHIN).document
    except NotFound:
        return {}
    except SourceFailed as error:
        refusal = error.__cause__
        if (refusal.status if isinstance(refusal, Refusal) else error.facts.get("status")) in {403, 404}:
            raise Unreadable(error.message, **error.facts) from error
        raise
