"""The door: a description of a cluster, as JSON or YAML give it, becomes a `Cluster`, or a list of what is wrong.

Here: which fields there are and their bounds. Not here: reading files (the command does), and whether a well-formed
plan works (`checks`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from enum import Enum

from unipam.sizing import limits, rules
from unipam.sizing.arithmetic import Share
from unipam.sizing.cluster import Cluster, Extras, FreeBlock, Networks, Policy, Subnet, Use
from unipam.sizing.fields import NAME, NAME_RULE, Bounds, Fields, InvalidClusterError, nearest, shown, upto
from unipam.sizing.needs import RESERVED_NAMES
from unipam.sizing.pools import MOST_GROWTH, read_pools
from unipam.sizing.variants import VARIANTS, Variant

_COUNT = Bounds(0, 10_000_000)
_SERVICE_BITS = Bounds(
    limits.SHORTEST_SERVICE_RANGE.value, limits.LONGEST_SERVICE_RANGE.value, limits.SHORTEST_SERVICE_RANGE
)
_KUBERNETES = re.compile(r"1\.([0-9]{1,3})(\.[0-9]{1,4})?", re.ASCII)
_MOST_WHAT_IFS = 25


class Tier(Enum):
    """The price tier of the control plane."""

    FREE = "free"
    STANDARD = "standard"
    PREMIUM = "premium"


def read(document: object) -> Cluster:
    """Read the cluster that a document describes. Raises InvalidClusterError with every problem found."""
    if not isinstance(document, dict):
        raise InvalidClusterError(
            [f"document: {shown(document)} is not a mapping of fields: begin with 'variant:' and 'pools:'"]
        )
    fields = Fields(document)
    variant = _variant(fields, "variant")
    if variant is None:
        if not fields.has("variant"):
            fields.problem("variant", f"is missing: choose {', '.join(VARIANTS)}")
        raise InvalidClusterError(fields.problems)
    cluster = _cluster(fields, variant)
    fields.refuse_unknown()
    if not fields.problems:
        _cross_checks(fields, cluster)
    if fields.problems:
        raise InvalidClusterError(fields.problems)
    return cluster


def _cluster(fields: Fields, variant: Variant) -> Cluster:
    return Cluster(
        name=fields.name("name", "cluster"),
        variant=variant,
        pools=read_pools(fields, variant),
        extras=_extras(fields.section("extras")),
        networks=_networks(fields.section("networks")),
        free=tuple(_free(fields)),
        kubernetes=_kubernetes(fields),
        policy=fields.choice("network_policy", Policy, Policy.NONE),
        free_tier=fields.choice("tier", Tier, Tier.STANDARD) is Tier.FREE,
        auto_provisioning=fields.boolean("auto_provisioning"),
        blue_green=fields.boolean("blue_green"),
        dual_stack=fields.boolean("dual_stack"),
        migrate_from=_variant(fields, "migrate_from"),
        what_if=tuple(_what_ifs(fields)),
    )


def _variant(fields: Fields, key: str) -> Variant | None:
    value = fields.raw(key)
    found = VARIANTS.get(value) if isinstance(value, str) else None
    if value is not None and found is None:
        near = nearest(value, VARIANTS)
        hint = f"did you mean {' or '.join(near)}?" if near else f"choose {', '.join(VARIANTS)}"
        fields.problem(key, f"{shown(value)} is unknown: {hint}")
    return found


def _kubernetes(fields: Fields) -> int | None:
    value = fields.raw("kubernetes")
    if value is None:
        return None
    match = _KUBERNETES.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        # YAML reads 1.30 as the number 1.3.
        fields.problem("kubernetes", f"{shown(value)} is not a version: write it in quotes, as '1.33'")
    return int(match[1]) if match else None


def _extras(fields: Fields) -> Extras:
    extras = Extras(
        internal_load_balancers=fields.integer("internal_load_balancers", _COUNT),
        private_link_addresses=sum(_private_links(fields)),
        load_balancer_subnet=fields.name("load_balancer_subnet", "") or None,
        load_balanced_services=fields.integer("load_balanced_services", _COUNT),
        private_cluster=fields.boolean("private_cluster"),
        api_server_clusters=fields.integer("api_server_clusters", _COUNT),
        application_gateway=fields.boolean("application_gateway"),
        virtual_node_pods=fields.integer("virtual_node_pods", _COUNT),
        other_addresses=fields.integer("other_addresses", _COUNT),
        pod_churn=fields.integer("pod_churn", _COUNT),
    )
    fields.refuse_unknown()
    return extras


def _private_links(fields: Fields) -> Iterator[int]:
    """Yield NAT addresses of each Private Link Service (X2)."""
    for key, value in fields.items("private_link_services"):
        yield Fields({key: value}, fields.path, fields.problems).integer(key, upto(limits.PRIVATE_LINK_NAT, 1))


def _networks(fields: Fields) -> Networks:
    networks = Networks(
        vnet=fields.prefixes("vnet"),
        subnets=dict(_subnets(fields.section("subnets"))),
        pod_cidr=fields.prefix("pod_cidr"),
        pod_cidr_now=fields.prefix("pod_cidr_now"),
        service_cidr=fields.prefix("service_cidr"),
        service_bits=fields.integer("service_prefix", _SERVICE_BITS, limits.DEFAULT_SERVICE_RANGE.bits),
        pod_cidr_ipv6=fields.prefix("pod_cidr_ipv6", 6),
        service_cidr_ipv6=fields.prefix("service_cidr_ipv6", 6),
        dns_service_ip=fields.address("dns_service_ip"),
        docker_bridge=fields.prefix("docker_bridge"),
        peered=fields.prefixes("peered", most=limits.PEERINGS_PER_VNET.value),
        on_premises=fields.prefixes("on_premises"),
        own_routes=fields.integer("own_routes", upto(limits.ROUTES)),
        vnet_addresses=fields.integer("vnet_addresses", _COUNT),
        peered_addresses=fields.integer("peered_addresses", _COUNT),
    )
    fields.refuse_unknown()
    return networks


def _subnets(fields: Fields) -> Iterator[tuple[str, Subnet]]:
    """Yield `name: prefix`, or `name: {prefix: ..., used: n}`."""
    if len(fields.values) > limits.SUBNETS_PER_VNET.value:
        fields.problem("", f"{len(fields.values)} subnets; give {upto(limits.SUBNETS_PER_VNET)}")
        return
    for name in fields.values:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            fields.problem("", f"{shown(name)} is not the name of a subnet: {NAME_RULE}")
        elif subnet := _subnet(fields, name):
            yield name, subnet


def _subnet(fields: Fields, name: str) -> Subnet | None:
    if not isinstance(fields.raw(name), dict):
        prefix = fields.prefix(name)
        return Subnet(prefix) if prefix else None
    inner = fields.section(name)
    prefix, used = inner.prefix("prefix"), inner.integer("used", _COUNT)
    if not inner.has("prefix"):
        inner.problem("prefix", "is missing: give the prefix of the subnet")
    inner.refuse_unknown()
    return Subnet(prefix, used) if prefix else None


def _free(fields: Fields) -> Iterator[FreeBlock]:
    """Yield blocks of the address plan: a prefix, or `{block: ..., used: [...], use: subnets|ranges}`."""
    for key, value in fields.items("free"):
        inner = fields.as_section(key, value if isinstance(value, dict) else {"block": value})
        if block := _free_block(inner):
            yield block


def _free_block(inner: Fields) -> FreeBlock | None:
    block = inner.prefix("block")
    if not inner.has("block"):
        inner.problem("block", "is missing: give the prefix of the block")
    used, use = inner.prefixes("used", (4,)), inner.choice("use", Use, Use.SUBNETS)
    inner.refuse_unknown()
    return FreeBlock(block, used, use) if block else None


def _what_ifs(fields: Fields) -> Iterator[Share]:
    for index, (key, value) in enumerate(fields.items("what_if")):
        if index == _MOST_WHAT_IFS:
            fields.problem("what_if", f"more than {_MOST_WHAT_IFS} questions: ask fewer at a time")
            return
        growth = fields.as_share(key, value, upto(limits.CLUSTER_NODES), MOST_GROWTH)
        if growth is not None:
            yield growth


def _cross_checks(fields: Fields, cluster: Cluster) -> None:
    """Check fields that are each well-formed and contradict one another."""
    networks, name = cluster.networks, cluster.variant.name
    if networks.pod_cidr and not cluster.variant.pods.has_pod_range:
        fields.problem("networks.pod_cidr", f"has no meaning with {name}, whose pods live in subnets: leave it out")
    if networks.own_routes and not cluster.variant.kubenet:
        fields.problem("networks.own_routes", f"has no meaning with {name}, which uses no routes: leave it out")
    if cluster.dual_stack and not cluster.variant.overlay:
        fields.problem(
            "dual_stack", f"is planned for overlay and cilium-overlay only, not {name} (rule {rules.O14.id})"
        )
    if (networks.pod_cidr_ipv6 or networks.service_cidr_ipv6) and not cluster.dual_stack:
        fields.problem("networks", f"IPv6 ranges are given without dual_stack: true (rule {rules.O14.id})")
    if cluster.auto_provisioning and not any(pool.autoscaled for pool in cluster.pools):
        fields.problem("auto_provisioning", f"has no node limit of its own: give a pool with max (rule {rules.P11.id})")
    _subnet_names(fields, cluster)
    _pool_names(fields, cluster)


def _subnet_names(fields: Fields, cluster: Cluster) -> None:
    """Check that a subnet is for nodes or for pods (X6, X8), and the delegated ones have names of their own."""
    pools, longest = cluster.pools, limits.OVERLAY_NAME
    nodes = {pool.node_subnet for pool in pools} | {cluster.extras.load_balancer_subnet or pools[0].node_subnet}
    pods = {pool.pod_subnet for pool in pools} if cluster.variant.pods.has_pod_subnet else set()
    for name in sorted(nodes & pods):
        fields.problem("pools", f"subnet {name} cannot hold both nodes and pods: name two (rule {rules.X6.id})")
    for name in sorted((nodes | pods) & RESERVED_NAMES):
        fields.problem("pools", f"subnet {name} is delegated to a service: choose another name (rule {rules.X8.id})")
    for name in sorted(nodes):
        if cluster.variant.overlay and len(name) > longest.value:
            fields.problem("pools", f"the name of subnet {name} is longer than {longest.value} (rule {longest.id})")


def _pool_names(fields: Fields, cluster: Cluster) -> None:
    for name, count in Counter(pool.name for pool in cluster.pools).items():
        if count > 1:
            fields.problem("pools", f"the name {name} is given {count} times: names of pools are unique")
