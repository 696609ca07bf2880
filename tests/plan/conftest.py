"""A plan on a store of every kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.plan.plans import World
from tests.store.backends import Backend

from unipam.plan import blocks


@pytest.fixture
def world(backend: Backend) -> Iterator[World]:
    """A plan with the space S, which holds the block B of 10.0.0.0/16; its store is sound at the end."""
    made = World(backend.open())
    made.do(blocks.create_space, "S", "a space")
    made.block("B", "10.0.0.0/16")
    yield made
    assert made.plan.store.check() == []
