"""What the tests of the diagnosis share: where the captured inputs are, and a report as words."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from unipam.diagnose import diagnose, diagnose_bytes
from unipam.diagnose.render.text import Writer
from unipam.diagnose.report import Report

SHARED = Path(os.environ.get("UNIPAM_SHARED") or Path(__file__).parents[3] / "shared")
Told = Callable[[Report], str]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The directory of captured inputs; tests that need it are left out where it is not."""
    if not (SHARED / "fixtures").is_dir():
        pytest.skip(f"no captured inputs at {SHARED} (UNIPAM_SHARED names another place)")
    return SHARED


@pytest.fixture(scope="session")
def told() -> Told:
    """The report as the terminal would show it, in one line, so that wrapping does not matter."""

    def words(report: Report) -> str:
        return " ".join("\n".join(Writer(colour=False, width=100_000).lines(report)).split())

    return words


@pytest.fixture
def read() -> Callable[[str], Report]:
    """Diagnose a pasted text."""
    return lambda text: diagnose_bytes(text.encode())


@pytest.fixture
def read_file() -> Callable[[Path], Report]:
    """Diagnose one file."""
    return lambda path: diagnose([path])
