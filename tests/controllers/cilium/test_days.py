"""Days with faults: nothing that a pod uses is unassigned, nothing is handed out twice, nothing leaks for good.

`UNIPAM_CILIUM_DAYS` says how many, `UNIPAM_CILIUM_SEED` with which one to begin; a failure prints its seed, and the
fewest events that it takes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import pytest
from tests.controllers.cilium.day import RARE, USUAL, Day
from tests.controllers.scenarios import failures

from unipam.controllers.cilium import controller

DAYS = int(os.environ.get("UNIPAM_CILIUM_DAYS", "200"))
FIRST = int(os.environ.get("UNIPAM_CILIUM_SEED", "0"))


def in_turn(work: Callable[[object], bool], items: Sequence[object]) -> int:
    """One after the other, so that a seed gives the same day each time."""
    return sum(map(work, items))


def test_a10_days_with_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A10: and whatever else may happen within some hours."""
    monkeypatch.setattr(controller, "together", in_turn)
    found = list(failures(Day, range(FIRST, FIRST + DAYS), USUAL, RARE))
    assert not found, "\n\n".join(map(str, found[:5]))
