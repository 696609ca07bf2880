"""What Prometheus is told: the names of Cilium's operator (spec cilium §1.10, §9.2).

Counters have its names too, without the ending that the exposition format wants, so they are told without a type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from unipam.controllers.cilium.durations import Durations
from unipam.controllers.cilium.inventory import Inventory
from unipam.dialects.cilium.nics import capacity
from unipam.dialects.cilium.node import CiliumNode
from unipam.dialects.cilium.planning import Policy, deficit, is_named

_PREFIX = "cilium_operator_ipam_"
_PER_NODE = {
    "available_ips": "How many addresses the node may have in all.",
    "used_ips": "Addresses in use.",
    "needed_ips": "Addresses that the node needs.",
}
_DURATION = ("type", "status", "subnet_id")


class Measures:
    """Counts since the start; all else is told by what there is at the moment."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._allocated: Counter[str] = Counter()
        self._released: Counter[str] = Counter()
        self._failures = self._rounds = 0
        self._durations = {
            "allocateIP": Durations(f"{_PREFIX}allocation_duration_seconds", "Allocations at Azure.", _DURATION),
            "releaseIP": Durations(f"{_PREFIX}release_duration_seconds", "Releases at Azure.", _DURATION),
        }
        self._surveys = Durations(f"{_PREFIX}background_sync_duration_seconds", "Surveys of everything.", ("status",))

    def served(self, subnet: str, changed: int) -> None:
        """Count addresses that were added, or with a negative number removed."""
        if changed:
            (self._allocated if changed > 0 else self._released)[subnet] += abs(changed)

    def failed(self) -> None:
        """Count a machine that could not be served."""
        self._failures += 1

    def took(self, seconds: float, subnet: str, *, released: bool, well: bool) -> None:
        """Count a job for a machine."""
        kind = "releaseIP" if released else "allocateIP"
        self._durations[kind].took(seconds, kind, _status(well=well), subnet)

    def surveyed(self, seconds: float, *, well: bool) -> None:
        """Count a survey, after which every node is looked at."""
        self._surveys.took(seconds, _status(well=well))
        self._rounds += 1

    def metrics(self, nodes: Iterable[CiliumNode], inventory: Inventory) -> Iterator[Metric]:
        """Yield everything, by these nodes."""
        nodes = list(nodes)
        yield from self._per_node(nodes, inventory)
        yield self._categories(nodes, inventory)
        yield _candidates(nodes, inventory)
        yield GaugeMetricFamily(f"{_PREFIX}empty_interface_slots", "Azure adds no interfaces.", value=0.0)
        yield _per_subnet(inventory)
        yield _counter("ip_allocation_ops", "Addresses given.", ("subnet_id",), self._allocated)
        yield _counter("ip_release_ops", "Addresses taken.", ("subnet_id",), self._released)
        yield _counter("resync_total", "Surveys after which every node was looked at.", (), {"": self._rounds})
        for each in (*self._durations.values(), self._surveys):
            yield each.family()
        yield CounterMetricFamily("unipam_cilium_failures", "Machines that could not be served.", value=self._failures)

    def _per_node(self, nodes: list[CiliumNode], inventory: Inventory) -> Iterator[Metric]:
        families = {
            name: GaugeMetricFamily(_PREFIX + name, text, labels=("target_node",)) for name, text in _PER_NODE.items()
        }
        for node in nodes:
            nics = inventory.nics(node.instance)
            may = capacity(nics, blocks=self._policy.blocks)
            families["available_ips"].add_metric((node.name,), float(may))
            families["used_ips"].add_metric((node.name,), float(node.in_use))
            families["needed_ips"].add_metric((node.name,), float(deficit(node, nics, self._policy)))
        yield from families.values()

    def _categories(self, nodes: list[CiliumNode], inventory: Inventory) -> Metric:
        """Return how many nodes there are, lack addresses, and can have no more (none free, and no room)."""
        short = sum(1 for each in nodes if deficit(each, inventory.nics(each.instance), self._policy))
        full = sum(1 for each in nodes if _is_full(each, inventory))
        family = GaugeMetricFamily(f"{_PREFIX}nodes", "Nodes by category.", labels=("category",))
        for category, count in (("total", len(nodes)), ("in-deficit", short), ("at-capacity", full)):
            family.add_metric((category,), float(count))
        return family


def _candidates(nodes: Iterable[CiliumNode], inventory: Inventory) -> Metric:
    """Return how many interfaces could be given an address."""
    room = inventory.room()
    found = sum(
        1
        for node in nodes
        for nic in inventory.nics(node.instance)
        if is_named(nic, node.wanted.interface)
        and nic.room > 0
        and (subnet := room.get(nic.subnet.lower()))
        and subnet.free > 0
    )
    text = "Interfaces that could be given an address."
    return GaugeMetricFamily(f"{_PREFIX}interface_candidates", text, value=float(found))


def _per_subnet(inventory: Inventory) -> Metric:
    labels = ("subnet_id", "availability_zone")  # a subnet of Azure spans the zones: theirs is empty as well
    family = GaugeMetricFamily(f"{_PREFIX}available_ips_per_subnet", "Free addresses.", labels=labels)
    for each in inventory.room().values():
        family.add_metric((each.id, ""), float(each.free))
    return family


def _counter(name: str, text: str, labels: Sequence[str], counts: dict[str, int]) -> Metric:
    made = Metric(_PREFIX + name, text, "unknown")
    for value, count in counts.items():
        made.add_sample(_PREFIX + name, dict(zip(labels, (value,), strict=False)), float(count))
    return made


def _status(*, well: bool) -> str:
    return "success" if well else "failed"


def _is_full(node: CiliumNode, inventory: Inventory) -> bool:
    nics = inventory.nics(node.instance)
    available = sum(len(each.available) for each in nics)
    return bool(nics) and available <= node.in_use and all(each.room <= 0 for each in nics)
