"""A controller's first round waits for the list of its nodes, instead of failing because it is not there yet."""

from __future__ import annotations

from typing import Any

import pytest
from tests.controllers.cilium.simulation import Simulation as Cilium
from tests.controllers.driven import NoWait
from tests.controllers.kubenet.simulation import Simulation as Kubenet


class Listed(NoWait):
    """A term in which the list comes to whoever waits for it."""

    def __init__(self, cluster: Any) -> None:
        super().__init__()
        self._cluster = cluster

    def wait(self, seconds: float) -> bool:
        self._cluster.away = self._cluster.away and not seconds
        return True


@pytest.mark.parametrize("name", ["cilium", "kubenet"])
def test_the_first_round_waits_for_the_list(name: str) -> None:
    cilium, kubenet = Cilium(1), Kubenet()
    kubenet.add("n0")
    controller, cluster = {
        "cilium": (cilium.operator, cilium.cluster),
        "kubenet": (kubenet.controller, kubenet.cluster),
    }[name]
    cluster.away = True
    assert len(controller.observe(Listed(cluster)).nodes) == 1
