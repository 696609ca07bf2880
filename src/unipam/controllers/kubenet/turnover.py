"""How ranges come and go, counted as kube-controller-manager counts it (spec kubenet §1.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from unipam.addr.ranges import RangeSet
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Cluster, Policy
from unipam.dialects.kubenet.ranges import occupied


class Turnover:
    """How many slots of each range were taken, by nodes or services, and given back since this process first led."""

    def __init__(self) -> None:
        self._occupied: dict[Cluster, RangeSet] = {}
        self.allocations: Counter[Cluster] = Counter()
        self.releases: Counter[Cluster] = Counter()

    def note(self, nodes: Iterable[Node], policy: Policy) -> None:
        """Count what has changed since the last time."""
        for cluster, slots in occupied(nodes, policy).items():
            before = self._occupied.get(cluster, RangeSet())
            self.allocations[cluster] += (slots - before).size
            self.releases[cluster] += (before - slots).size
            self._occupied[cluster] = slots
