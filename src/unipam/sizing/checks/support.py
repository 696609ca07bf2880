"""Checks of what lies around the cluster: extras, versions, growing later, retirement (1.5, 1.8, 1.9, 2)."""

from __future__ import annotations

from collections.abc import Iterator

from unipam.sizing import arithmetic, limits, rules
from unipam.sizing.cluster import Cluster, Policy
from unipam.sizing.findings import Finding, error, note, warning
from unipam.sizing.variants import PodSource


def extras(cluster: Cluster) -> Iterator[Finding]:
    """Check L7, X3 and the margin of dynamic pod subnets."""
    services = cluster.extras.load_balanced_services + cluster.extras.internal_load_balancers
    if services > limits.LOAD_BALANCED_SERVICES.value:
        yield error(
            limits.LOAD_BALANCED_SERVICES,
            f"{services} load-balanced Services exceed {limits.LOAD_BALANCED_SERVICES.value} a cluster: use an ingress",
        )
    if cluster.extras.private_cluster and len({pool.node_subnet for pool in cluster.pools}) > 1:
        yield warning(
            rules.X3,
            f"the private endpoint is in {cluster.pools[0].node_subnet} and moves if another pool becomes first",
        )
    if cluster.extras.private_link_addresses and cluster.variant.pods is PodSource.STATIC_SUBNET:
        yield error(rules.V_STATIC, "static blocks do not work with a Private Link Service: use pod-subnet instead")
    if cluster.variant.pods is PodSource.DYNAMIC_SUBNET and not cluster.extras.pod_churn:
        yield note(
            rules.V_CHURN, "no margin for late release is planned: set extras.pod_churn if pods come and go in crowds"
        )


def variant(cluster: Cluster) -> Iterator[Finding]:
    """Tell what the chosen variant brings with it (2), and what it lets change later (1.8)."""
    source = cluster.variant.pods
    if source is PodSource.NODE_SUBNET:
        yield _likely(cluster)
    elif source is PodSource.DYNAMIC_SUBNET:
        yield note(rules.V_DYNAMIC, _tight_and_safe(cluster))
    elif source is PodSource.STATIC_SUBNET:
        yield from _static_blocks(cluster)
    elif source is PodSource.NODE_RANGES:
        yield from _node_ranges(cluster)
    if cluster.variant.name.startswith("byo"):
        yield note(rules.M9, "max pods does not limit addresses: size the plugin's pool by what it really hands out")
        yield note(rules.V_BYO, "the pod range named to AKS must be the one the plugin uses")
    if source is PodSource.PLUGIN:
        yield warning(rules.V_BYO, "pods are not counted: their addresses are the plugin's own business")
    yield from _migration(cluster)


def _likely(cluster: Cluster) -> Finding:
    linux = sum(pool.nodes for pool in cluster.pools if not pool.windows)
    saved = linux * limits.HOST_NETWORK_SAVING.value
    fewer = f"{limits.HOST_NETWORK_SAVING.value} fewer each, {saved:,} in all"
    return note(rules.V_LIKELY, f"Linux nodes likely reserve {fewer}; the plan does not rely on it")


def _tight_and_safe(cluster: Cluster) -> str:
    pool = max(cluster.pools, key=lambda each: each.running_pods)
    safe = arithmetic.dynamic_hold(pool.running_pods)
    tight = arithmetic.dynamic_hold(pool.running_pods, pool.max_pods)
    return (
        f"a {pool.name} node with {pool.running_pods} pods holds {safe} addresses, {tight} if batches stop at max pods"
    )


def _static_blocks(cluster: Cluster) -> Iterator[Finding]:
    yield note(rules.V_STATIC_EDGE, "two blocks of each pod subnet are counted as lost; which ones is not documented")
    for pool in cluster.pools:
        wasted = arithmetic.static_pod_addresses(pool.max_pods) - pool.max_pods
        if wasted:
            fitting = pool.max_pods + wasted
            yield note(
                rules.V_STATIC,
                f"pool {pool.name} wastes {wasted} addresses a node: max_pods {fitting} costs no more blocks",
            )
    yield from _too_old(cluster, limits.STATIC_KUBERNETES)


def _node_ranges(cluster: Cluster) -> Iterator[Finding]:
    if cluster.variant.overlay and cluster.nodes > limits.OVERLAY_OLD_NODES.value:
        yield note(limits.OVERLAY_OLD_NODES, f"{cluster.nodes:,} nodes are more than older texts allow for Overlay")
    if cluster.variant.kubenet and max(pool.max_pods for pool in cluster.pools) > limits.KUBENET_OLD_MAX_PODS.value:
        yield note(limits.KUBENET_OLD_MAX_PODS, "older pages allow kubenet fewer pods a node; more were seen to work")
    if cluster.variant.overlay:
        yield note(rules.V_SHRINK, "AKS sums the maxima of all pools against the pod range; it can grow, never shrink")
    if cluster.variant.kubenet:
        yield note(rules.E4, "the pod range of kubenet never changes: size it for the end, or migrate to Overlay")
        yield note(rules.P10, "no other cluster may use this subnet or its route table")
    if cluster.variant.name == "byo-cilium" and cluster.pod_range == limits.DEFAULT_CILIUM_RANGE:
        yield warning(rules.V_BYO_CILIUM, "Cilium's default 10.0.0.0/8 overlaps most plans: name another pod_cidr")


def _migration(cluster: Cluster) -> Iterator[Finding]:
    """Check E5: from where, and to where, a cluster can migrate."""
    source = cluster.migrate_from
    if source is None:
        return
    if not cluster.variant.overlay or not (source.kubenet or source.pods is PodSource.NODE_SUBNET):
        yield error(rules.E5, f"{source.name} cannot become {cluster.variant.name}: build a new cluster")
    if cluster.policy is not Policy.NONE:
        yield error(
            rules.E5, f"migration runs without network policy, not with {cluster.policy.value}: remove it first"
        )
    yield from _too_old(cluster, limits.MIGRATION_KUBERNETES)
    yield note(rules.E5, "the migration re-images all pools at once: all surge nodes exist together")


def _too_old(cluster: Cluster, needed: limits.Limit) -> Iterator[Finding]:
    if cluster.kubernetes is not None and cluster.kubernetes < needed.value:
        upgrade = f"upgrade to Kubernetes 1.{needed.value} first"
        yield error(needed, f"{needed.statement}: 1.{cluster.kubernetes} is too old, {upgrade}")


def retirement(cluster: Cluster) -> Iterator[Finding]:
    """Check 1.9: what will end."""
    if cluster.variant.kubenet:
        yield warning(rules.R_KUBENET, "kubenet is retired on 31 March 2028: plan for overlay")
    if cluster.variant.pods is PodSource.NODE_SUBNET:
        yield note(rules.R_NODE_SUBNET, "Node Subnet is labelled legacy, no date is known")
    if cluster.variant.pods is PodSource.STATIC_SUBNET:
        yield note(
            rules.R_STATIC, "static blocks left preview in December 2025, so an issue says; pages may still differ"
        )
    if cluster.policy is Policy.AZURE:
        yield warning(
            rules.R_NPM, "Azure NPM ends on 30 September 2028 (Windows: 2026), new subscriptions cannot enable it"
        )
