"""The checks of a plan, in the order of section 3: first what can never work, last what will stop working one day.

Each check takes a cluster and yields findings. Not here: bad input, which never becomes a cluster (`document`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from unipam.sizing.checks import capacity, pools, ranges, support
from unipam.sizing.cluster import Cluster
from unipam.sizing.findings import Finding

CHECKS: tuple[Callable[[Cluster], Iterable[Finding]], ...] = (
    ranges.kept_by_aks,
    ranges.network,
    ranges.service_range,
    ranges.dns_service_address,
    ranges.pod_range,
    pools.max_pods,
    pools.surge,
    pools.windows,
    pools.zones,
    pools.auto_provisioning,
    capacity.cluster_limits,
    capacity.fits,
    capacity.replacement,
    capacity.network_limits,
    capacity.placements,
    support.extras,
    support.variant,
    support.retirement,
)


def run(cluster: Cluster) -> tuple[Finding, ...]:
    """Return every finding about the cluster, in the order of the checks."""
    return tuple(finding for check in CHECKS for finding in check(cluster))
