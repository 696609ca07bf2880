"""What the tests of the agent share."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import host_local

POOL = {"subnet": "10.1.2.0/24"}


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """A network whose ledger lies in the test's directory."""
    return host_local(tmp_path / "data", "1.0.0", [POOL])


@pytest.fixture
def port() -> int:
    """A port at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
