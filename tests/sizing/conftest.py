"""What the tests of the planner share: clusters in a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from unipam.sizing.cluster import Cluster
from unipam.sizing.document import read

Make = Callable[..., Cluster]


@pytest.fixture
def make() -> Make:
    """A cluster of a variant, by default with one pool of three nodes and a surge of one."""

    def make(variant: str = "overlay", pools: list[dict[str, Any]] | None = None, **fields: Any) -> Cluster:
        default = [{"name": "system", "nodes": 3, "max_pods": 30, "max_surge": 1}]
        return read({"variant": variant, "pools": default if pools is None else pools, **fields})

    return make
