"""What Prometheus is told: kube-controller-manager's names where it has any (spec kubenet §1.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from unipam.controllers.kubenet.table import TableKeeper
from unipam.controllers.kubenet.turnover import Turnover
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Cluster, Policy
from unipam.dialects.kubenet.ranges import usage
from unipam.model.finding import Finding


def metrics(
    nodes: Sequence[Node],
    policy: Policy,
    found: Iterable[Finding],
    keeper: TableKeeper | None = None,
    turnover: Turnover | None = None,
) -> Iterator[Metric]:
    """Yield how full the ranges and the table are, how many nodes have routes, and what is wrong."""
    yield from _of_ranges(nodes, policy)
    if turnover is not None:
        yield _counted("node_ipam_controller_cidrset_cidrs_allocations", "Ranges taken.", turnover.allocations)
        yield _counted("node_ipam_controller_cidrset_cidrs_releases", "Ranges given back.", turnover.releases)
    served = GaugeMetricFamily("unipam_kubenet_nodes", "Nodes by whether their route is created.", labels=("route",))
    for reason, count in Counter(each.condition[1] or "unknown" for each in nodes).items():
        served.add_metric((reason,), float(count))
    yield served
    if keeper is not None and keeper.table is not None:
        held, most_routes = len(keeper.table.routes), keeper.settings.limit
        yield GaugeMetricFamily("unipam_kubenet_table_routes", "Routes in the table, of anybody.", value=held)
        yield GaugeMetricFamily("unipam_kubenet_table_limit", "How many it may have.", value=most_routes)
    wrong = GaugeMetricFamily("unipam_kubenet_findings", "What is wrong, by kind.", labels=("kind",))
    for kind, count in Counter(each.kind for each in found).items():
        wrong.add_metric((kind,), float(count))
    yield wrong


def _of_ranges(nodes: Sequence[Node], policy: Policy) -> Iterator[Metric]:
    """Yield how full the ranges are: what services have counts as used, as it does with the original."""
    used = GaugeMetricFamily(
        "node_ipam_controller_cidrset_usage_cidrs", "Share of the ranges that are used.", labels=("clusterCIDR",)
    )
    most = GaugeMetricFamily(
        "node_ipam_controller_cirdset_max_cidrs", "How many ranges there are.", labels=("clusterCIDR",)
    )
    for each in usage(nodes, policy):
        used.add_metric((str(each.cluster.prefix),), (each.used + each.reserved) / each.cluster.slots)
        most.add_metric((str(each.cluster.prefix),), float(each.cluster.slots))
    yield used
    yield most


def _counted(name: str, text: str, counts: Counter[Cluster]) -> Metric:
    counter = CounterMetricFamily(name, text, labels=("clusterCIDR",))
    for cluster, count in list(counts.items()):
        counter.add_metric((str(cluster.prefix),), float(count))
    return counter
