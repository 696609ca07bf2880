"""Days with faults: no living node's route is taken away, no range has two nodes, nothing leaks for good.

`UNIPAM_KUBENET_DAYS` says how many, `UNIPAM_KUBENET_SEED` with which one to begin; a failure prints its seed, and the
fewest events that it takes.
"""

from __future__ import annotations

import os

import pytest
from tests.controllers.cilium.test_days import in_turn
from tests.controllers.kubenet.day import RARE, USUAL, Day
from tests.controllers.scenarios import failures

from unipam.controllers.kubenet import controller, ranges

DAYS = int(os.environ.get("UNIPAM_KUBENET_DAYS", "200"))
FIRST = int(os.environ.get("UNIPAM_KUBENET_SEED", "0"))


def test_k4_k11_k19_days_with_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """K4, K11, K19: and whatever else may happen within some hours."""
    for module in (controller, ranges):
        monkeypatch.setattr(module, "together", in_turn)
    found = list(failures(Day, range(FIRST, FIRST + DAYS), USUAL, RARE))
    assert not found, "\n\n".join(map(str, found[:5]))
