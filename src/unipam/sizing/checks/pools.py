"""Checks of the pools: pods, surge, operating system, zones, auto-provisioning (1.3, 1.4, 1.7, 2.11)."""

from __future__ import annotations

from collections.abc import Iterator

from unipam.sizing import arithmetic, limits, rules
from unipam.sizing.cluster import Cluster, NodePool, Policy
from unipam.sizing.findings import Finding, error, note, warning


def max_pods(cluster: Cluster) -> Iterator[Finding]:
    """Check M4: a pool offers 30 pods. (M3, the bounds of max pods, is bad input.)"""
    floor = limits.POOL_PODS.value
    for pool in cluster.pools:
        offered = pool.nodes * pool.max_pods
        if pool.nodes and offered < floor:
            needed = -(-floor // pool.max_pods)
            yield error(
                limits.POOL_PODS,
                f"pool {pool.name}: {pool.nodes} nodes x {pool.max_pods} pods = {offered}, fewer than {floor}: "
                f"plan {needed} nodes or raise max_pods",
            )
        if pool.nodes == 2 and pool.max_pods == limits.TWO_NODES_REFUSED.value:
            size = f"2 nodes x {pool.max_pods} pods"
            yield warning(limits.TWO_NODES_REFUSED, f"pool {pool.name}: {size} were reported to fail: plan 3 nodes")
        if pool.running_pods > pool.max_pods:
            yield error(
                rules.M6,
                f"pool {pool.name}: {pool.running_pods} pods a node exceed max pods {pool.max_pods}: raise it now",
            )


def surge(cluster: Cluster) -> Iterator[Finding]:
    """Check U3, U4, U7: what upgrades add."""
    for pool in cluster.pools:
        yield from _no_surge(pool)
        yield from _default_surge(pool)
    total = sum(pool.surge for pool in cluster.pools)
    if len(cluster.pools) > 1 and total:
        yield note(rules.U7, f"if all {len(cluster.pools)} pools upgrade together they add {total} nodes")
    if any(pool.autoscaled for pool in cluster.pools):
        names = ", ".join(pool.name for pool in cluster.pools if pool.autoscaled)
        yield note(rules.P3, f"autoscaled pools count with their maximum: {names}")
    if cluster.kubernetes is not None and cluster.kubernetes >= limits.SURGE_FALLBACK_KUBERNETES.value:
        yield note(rules.U6, "an upgrade may fall back to one surge node; the plan does not rely on it")


def _no_surge(pool: NodePool) -> Iterator[Finding]:
    if pool.nodes and pool.max_surge is not None and pool.surge == 0:
        if pool.system:
            yield error(rules.U3, f"pool {pool.name} is a system pool, its max_surge cannot be 0: set 1 or more")
        elif arithmetic.share_of(pool.nodes, pool.max_unavailable) == 0:
            yield error(rules.U3, f"pool {pool.name} has max_surge 0 and max_unavailable 0: set one of them above 0")


def _default_surge(pool: NodePool) -> Iterator[Finding]:
    if pool.max_surge is None and pool.surge > 1:
        yield note(
            limits.DEFAULT_SURGE,
            f"pool {pool.name} is planned with the default surge of {limits.DEFAULT_SURGE.value}%, {pool.surge} nodes; "
            "older pools may keep 1: set max_surge to be sure",
        )


def windows(cluster: Cluster) -> Iterator[Finding]:
    """Check 2.11 and M8: what Windows pools may be."""
    pools = [pool for pool in cluster.pools if pool.windows]
    if not pools:
        return
    if not cluster.variant.windows:
        yield error(rules.W_WINDOWS, f"{cluster.variant.name} has no Windows nodes (pool {pools[0].name}): use overlay")
    if cluster.pools[0].windows:
        yield error(
            rules.W_WINDOWS, f"the first pool {cluster.pools[0].name} is Windows: put a Linux system pool first"
        )
    for pool in pools:
        if pool.max_pods > limits.WINDOWS_MAX_PODS.value:
            yield warning(
                limits.WINDOWS_MAX_PODS,
                f"pool {pool.name}: {pool.max_pods} max pods; {limits.WINDOWS_MAX_PODS.value} is recommended",
            )
    yield note(rules.W_PATCH, "Windows pools are patched by image upgrade: keep the surge addresses free all the time")


def zones(cluster: Cluster) -> Iterator[Finding]:
    """Check P7, S7: what zones mean for pools and subnets."""
    for pool in cluster.pools:
        if len(pool.zones) > 1:
            yield note(
                rules.P7, f"pool {pool.name} spans {len(pool.zones)} zones: set pool_per_zone to plan one pool a zone"
            )
    if any(pool.zones for pool in cluster.pools):
        yield note(rules.S7, "a subnet spans all zones: none needs a subnet of its own")


def auto_provisioning(cluster: Cluster) -> Iterator[Finding]:
    """Check P11: where node auto-provisioning works."""
    if not cluster.auto_provisioning:
        return
    if not cluster.variant.auto_provisioning:
        yield error(rules.P11, f"node auto-provisioning does not support {cluster.variant.name}: use overlay")
    if cluster.policy is Policy.CALICO or cluster.variant.name == "node-subnet-calico":
        yield error(rules.P11, "node auto-provisioning does not support Calico policy: use cilium")
