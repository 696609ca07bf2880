"""Every datastore, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dialects.calico.datastore.backends import BACKENDS, Backend

from unipam.dialects.calico.datastore.api import Datastore


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    made = BACKENDS[request.param]()
    yield made
    made.close()


@pytest.fixture
def store(backend: Backend) -> Datastore:
    return backend.open()
