"""What the tests of the agent share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.conftest import host_local

POOL = {"subnet": "10.1.2.0/24"}


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """A network whose ledger lies in the test's directory."""
    return host_local(tmp_path / "data", "1.0.0", [POOL])
