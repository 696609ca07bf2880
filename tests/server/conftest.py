"""A running register for every test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.server.live import Live, serve


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """A register on a fresh SQLite file."""
    with serve(str(tmp_path / "register.db"), tmp_path) as running:
        yield running
