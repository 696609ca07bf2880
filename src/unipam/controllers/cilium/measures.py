"""What Prometheus is told: the names of Cilium's operator (spec cilium §1.10)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from unipam.controllers.cilium.inventory import Inventory
from unipam.dialects.cilium.nics import capacity
from unipam.dialects.cilium.node import CiliumNode
from unipam.dialects.cilium.planning import deficit

_PREFIX = "cilium_operator_ipam_"
_PER_NODE = {
    "available_ips": "How many addresses the node may have in all.",
    "used_ips": "Addresses in use.",
    "needed_ips": "Addresses that the node needs.",
}


class Measures:
    """Counts since the start; all else is told by what there is at the moment."""

    def __init__(self) -> None:
        self._allocated: Counter[str] = Counter()
        self._released: Counter[str] = Counter()
        self._failures = 0

    def served(self, subnet: str, changed: int) -> None:
        """Count addresses that were added, or with a negative number removed."""
        if changed:
            (self._allocated if changed > 0 else self._released)[subnet] += abs(changed)

    def failed(self) -> None:
        """Count a machine that could not be served."""
        self._failures += 1

    def metrics(self, nodes: Iterable[CiliumNode], inventory: Inventory) -> Iterator[Metric]:
        """Yield everything, by these nodes."""
        nodes = list(nodes)
        yield from _per_node(nodes, inventory)
        yield _categories(nodes, inventory)
        free = GaugeMetricFamily(f"{_PREFIX}available_ips_per_subnet", "Free addresses.", labels=("subnet_id",))
        for each in inventory.room().values():
            free.add_metric((each.id,), float(each.free))
        yield free
        for name, counts in (("ip_allocation_ops", self._allocated), ("ip_release_ops", self._released)):
            family = CounterMetricFamily(f"{_PREFIX}{name}", "Addresses, by subnet.", labels=("subnet_id",))
            for subnet, count in counts.items():
                family.add_metric((subnet,), float(count))
            yield family
        yield CounterMetricFamily("unipam_cilium_failures", "Machines that could not be served.", value=self._failures)


def _per_node(nodes: list[CiliumNode], inventory: Inventory) -> Iterator[Metric]:
    families = {
        name: GaugeMetricFamily(_PREFIX + name, text, labels=("target_node",)) for name, text in _PER_NODE.items()
    }
    for node in nodes:
        nics = inventory.nics(node.instance)
        families["available_ips"].add_metric((node.name,), float(capacity(nics)))
        families["used_ips"].add_metric((node.name,), float(node.in_use))
        families["needed_ips"].add_metric((node.name,), float(deficit(node, nics)))
    yield from families.values()


def _categories(nodes: list[CiliumNode], inventory: Inventory) -> Metric:
    """Return how many nodes there are, lack addresses, and can have no more (none free, and no room)."""
    short = sum(1 for each in nodes if deficit(each, inventory.nics(each.instance)))
    full = sum(1 for each in nodes if _is_full(each, inventory))
    family = GaugeMetricFamily(f"{_PREFIX}nodes", "Nodes by category.", labels=("category",))
    for category, count in (("total", len(nodes)), ("in-deficit", short), ("at-capacity", full)):
        family.add_metric((category,), float(count))
    return family


def _is_full(node: CiliumNode, inventory: Inventory) -> bool:
    nics = inventory.nics(node.instance)
    available = sum(len(each.available) for each in nics)
    return bool(nics) and available <= node.in_use and all(each.room <= 0 for each in nics)
