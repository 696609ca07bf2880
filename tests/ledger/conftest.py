"""A store of every kind, a plan on it, and a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.plan.plans import World
from tests.store.backends import BACKENDS, Backend

from unipam.plan import blocks


@dataclass
class Clock:
    """Seconds since the epoch, as a test says."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made = BACKENDS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def world(backend: Backend) -> Iterator[World]:
    """A plan with the space S, which holds the block B of 10.0.0.0/16; its store is sound at the end."""
    made = World(backend.open())
    made.do(blocks.create_space, "S", "a space")
    made.block("B", "10.0.0.0/16")
    yield made
    assert made.plan.store.check() == []
