"""Every store, one after the other."""

from __future__ import annotations

import pytest
from tests.store.backends import Backend

from unipam.store.api import Store


@pytest.fixture
def store(backend: Backend) -> Store:
    return backend.open()
