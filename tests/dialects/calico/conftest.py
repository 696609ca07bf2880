"""What the tests of Calico's rules and engine share."""

from __future__ import annotations

import pytest
from tests.dialects.calico.cluster import Cluster


@pytest.fixture(params=[True, False], ids=["at once", "in turn"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A cluster without pools whose datastore writes several objects at once, as etcd, or in turn, as Kubernetes."""
    made = Cluster(transactional=bool(request.param))
    for host in ("host-a", "host-b"):
        made.node(host)
    return made
