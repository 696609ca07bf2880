"""What Prometheus is told: kube-controller-manager's names where it has any (spec kubenet §1.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from unipam.controllers.kubenet.table import TableKeeper
from unipam.dialects.kubenet.node import Node
from unipam.dialects.kubenet.policy import Policy
from unipam.dialects.kubenet.ranges import usage
from unipam.model.finding import Finding


def metrics(
    nodes: Sequence[Node], policy: Policy, found: Iterable[Finding], keeper: TableKeeper | None = None
) -> Iterator[Metric]:
    """Yield how full the ranges and the table are, how many nodes have routes, and what is wrong."""
    used = GaugeMetricFamily(
        "node_ipam_controller_cidrset_usage_cidrs", "Share of the ranges that nodes have.", labels=("clusterCIDR",)
    )
    most = GaugeMetricFamily(
        "node_ipam_controller_cirdset_max_cidrs", "How many ranges nodes may have.", labels=("clusterCIDR",)
    )
    for each in usage(nodes, policy):
        used.add_metric((str(each.cluster.prefix),), each.used / each.cluster.slots)
        most.add_metric((str(each.cluster.prefix),), float(each.cluster.slots - each.reserved))
    yield used
    yield most
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
