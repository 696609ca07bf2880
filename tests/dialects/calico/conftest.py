"""What the tests of Calico's rules and engine share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dialects.calico.cluster import Cluster


@pytest.fixture(params=[True, False], ids=["known", "cold"])
def known(request: pytest.FixtureRequest) -> bool:
    """Whether calls go by what an agent keeps at hand."""
    return bool(request.param)


@pytest.fixture(params=[True, False], ids=["at once", "in turn"])
def cluster(request: pytest.FixtureRequest, known: bool) -> Iterator[Cluster]:
    """A cluster without pools whose datastore writes several objects at once, as etcd, or in turn, as Kubernetes."""
    made = Cluster(transactional=bool(request.param), known=known)
    for host in ("host-a", "host-b"):
        made.node(host)
    yield made
    made.close()
