"""Checks of the given ranges: reserved ones, the network, the service range, the pod range (1.1, 1.6)."""

from __future__ import annotations

from collections.abc import Iterator

from unipam.addr.prefix import format_address
from unipam.sizing import limits, overlap, rules
from unipam.sizing.cluster import Cluster
from unipam.sizing.findings import Finding, error, note, warning
from unipam.sizing.variants import PodSource


def kept_by_aks(cluster: Cluster) -> Iterator[Finding]:
    """Check O1: ranges AKS keeps to itself."""
    yield from overlap.check(cluster, overlap.KEPT)


def network(cluster: Cluster) -> Iterator[Finding]:
    """Check S4, S5, S6 and peers: the network and its subnets."""
    yield from overlap.check(cluster, overlap.NETWORK)
    for name, subnet in cluster.networks.subnets.items():
        prefix = subnet.prefix
        if not limits.SHORTEST_SUBNET.value <= prefix.bits <= limits.LONGEST_SUBNET.value:
            bounds = f"/{limits.SHORTEST_SUBNET.value} to /{limits.LONGEST_SUBNET.value}"
            yield error(limits.LONGEST_SUBNET, f"subnet {name} {prefix}: the prefix of a subnet is {bounds}")
        if cluster.networks.vnet and not any(space.contains(prefix) for space in cluster.networks.vnet):
            space = ", ".join(map(str, cluster.networks.vnet))
            yield error(rules.S6, f"subnet {name} {prefix} is outside the network {space}: move it, or extend vnet")


def service_range(cluster: Cluster) -> Iterator[Finding]:
    """Check O2, O4, O10: length and overlap of the service range; O6: the Docker bridge of old plans."""
    yield from overlap.check(cluster, overlap.SERVICES)
    prefix = cluster.service_range
    if prefix and prefix.bits < limits.SHORTEST_SERVICE_RANGE.value:
        yield error(
            limits.SHORTEST_SERVICE_RANGE,
            f"service range {prefix} is too large: take /{limits.SHORTEST_SERVICE_RANGE.value} or longer",
        )
    if cluster.kubernetes is not None and cluster.kubernetes >= limits.EXTENDABLE_SERVICES_KUBERNETES.value:
        yield note(rules.O3, f"the service range can be extended later (Kubernetes 1.{cluster.kubernetes})")
    if cluster.networks.docker_bridge:
        yield warning(rules.O6, f"docker_bridge {cluster.networks.docker_bridge} has no effect: leave it out")


def dns_service_address(cluster: Cluster) -> Iterator[Finding]:
    """Check O5: inside the service range, and not its first usable address, which is `kubernetes.default`."""
    address, prefix = cluster.networks.dns_service_ip, cluster.service_range
    if address is None:
        return
    text = format_address(address)
    if prefix is None:
        yield error(rules.O5, f"dns_service_ip {text} is given without the service_cidr it belongs to: give both")
    elif not prefix.first <= address <= prefix.last:
        yield error(rules.O5, f"dns_service_ip {text} is outside the service range {prefix}: the convention is its .10")
    elif address - prefix.first in (0, 1) or address == prefix.last:
        yield error(rules.O5, f"dns_service_ip {text} is taken in {prefix}: the convention is its .10")


def pod_range(cluster: Cluster) -> Iterator[Finding]:
    """Check O7 to O10 and O14: overlap, kind and length of the pod range."""
    if not cluster.variant.pods.has_pod_range:
        return
    yield from overlap.check(cluster, overlap.POD_RANGES)
    prefix = cluster.pod_range
    if prefix and not any(private.contains(prefix) for private in limits.PRIVATE):
        yield warning(rules.O9, f"pod range {prefix} is public space: take a part of RFC 1918 or RFC 6598")
    if cluster.variant.pods is PodSource.PLUGIN and prefix is None:
        yield warning(rules.V_BYO, "pod_cidr is missing: name the range the plugin will use, so that it can be checked")
    yield from _expansion(cluster)
    if cluster.dual_stack:
        yield from _dual_stack(cluster)


def _expansion(cluster: Cluster) -> Iterator[Finding]:
    """Check E3, E4: what a pod range may be replaced by."""
    now, later = cluster.networks.pod_cidr_now, cluster.networks.pod_cidr
    if now is None or later is None or now == later:
        return
    if cluster.variant.name.startswith("byo"):
        yield note(
            rules.E7, f"pod_cidr can change from {now} to {later} as a preview; change the plugin's pool with it"
        )
    elif not cluster.variant.expandable:
        rule = rules.E4 if cluster.variant.kubenet else rules.E3
        yield error(
            rule, f"pod_cidr cannot change from {now} to {later} with {cluster.variant.name}: build a new cluster"
        )
    elif not later.contains(now):
        yield error(rules.E3, f"pod_cidr {later} does not contain the present {now}: it can only grow to a superset")
    elif cluster.dual_stack or any(pool.windows for pool in cluster.pools):
        yield error(rules.E3, f"pod_cidr {now} cannot grow to {later} with Windows nodes or IPv6: build a new cluster")


def _dual_stack(cluster: Cluster) -> Iterator[Finding]:
    pods, services = cluster.networks.pod_cidr_ipv6, cluster.networks.service_cidr_ipv6
    if pods and pods.bits != limits.POD_RANGE_IPV6.value:
        yield error(limits.POD_RANGE_IPV6, f"pod_cidr_ipv6 {pods} must be a /{limits.POD_RANGE_IPV6.value}")
    if services and services.bits < limits.SHORTEST_SERVICE_RANGE_IPV6.value:
        yield error(
            limits.SHORTEST_SERVICE_RANGE_IPV6,
            f"service_cidr_ipv6 {services} is too large: take /{limits.SHORTEST_SERVICE_RANGE_IPV6.value} or longer",
        )
    for key, given in (("pod_cidr_ipv6", pods), ("service_cidr_ipv6", services)):
        if given is None:
            yield note(rules.O14, f"{key} is not given: AKS makes one up (RFC 4193); name it to have it checked")
    yield note(
        limits.IPV6_SUBNET, f"each node subnet also needs an IPv6 /{limits.IPV6_SUBNET.value}: {_node_subnets(cluster)}"
    )


def _node_subnets(cluster: Cluster) -> str:
    return ", ".join(dict.fromkeys(pool.node_subnet for pool in cluster.pools))
