"""What a measurement needs beyond Python and a C compiler, and what is left out on a machine that lacks it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import NamedTuple

from bench import spawn


class Need(NamedTuple):
    """Something that a machine has or has not (`met`); `rows` says what cannot be measured without it."""

    name: str
    met: Callable[[], bool]
    rows: str

    def __str__(self) -> str:
        return f"without {self.name}: {self.rows}"


def program(name: str, package: str, rows: str) -> Need:
    """Return the need for a program in PATH."""
    return Need(f"{name} (Debian: {package})", lambda: shutil.which(name) is not None, rows)


ROOT = Need("root's rights, for a network namespace", lambda: os.getuid() == 0, "every row")
MUSL = Need(
    "musl-gcc (Debian: musl-tools)",
    lambda: shutil.which("musl-gcc") is not None or spawn.NOTHING.exists(),
    "the rows against an empty program",
)
