"""Which ranges may not overlap, and which of the given ones do.

Here: one table of exclusions (1.1 S5 S6, 1.6), read in three ways: to list them, to check given ranges, and to say
what a range that is still to be placed must avoid. Not here: sizes (`needs`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import combinations, product

from unipam.addr.prefix import Prefix
from unipam.sizing import limits, rules
from unipam.sizing.cluster import Cluster
from unipam.sizing.findings import Finding, Severity
from unipam.sizing.rules import Rule


class Role(Enum):
    """What a range is to the cluster."""

    VNET = "network"
    SUBNET = "subnet"
    POD_RANGE = "pod range"
    SERVICE_RANGE = "service range"
    PEER = "peered network"
    ON_PREMISES = "on-premises network"
    KEPT_BY_AKS = "range kept by AKS"
    NEVER_IN_VNET = "range no network may hold"
    MANAGED_VNET = "network that AKS makes itself"


@dataclass(frozen=True, slots=True)
class NamedRange:
    """A prefix with its role and the name users know it by."""

    role: Role
    name: str
    prefix: Prefix

    def __str__(self) -> str:
        return f"{self.role.value} {self.name} {self.prefix}" if self.name else f"{self.role.value} {self.prefix}"


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Ranges of role `one` and ranges of any role in `others` share no address, by `rule`."""

    one: Role
    others: tuple[Role, ...]
    rule: Rule
    severity: Severity = Severity.ERROR
    way_out: str = "choose another range"

    def excludes(self, role: Role) -> Iterator[Role]:
        """Yield the roles that a range of `role` must stay clear of by this exclusion."""
        if role is self.one:
            yield from self.others
        if role in self.others:
            yield self.one


_MOVE_SERVICE = "name another service_cidr; it cannot change after creation"
_MOVE_POD = "name another pod_cidr"

KEPT = tuple(
    Exclusion(role, (Role.KEPT_BY_AKS,), rules.O1)
    for role in (Role.VNET, Role.SUBNET, Role.POD_RANGE, Role.SERVICE_RANGE)
)
NETWORK = (
    Exclusion(Role.VNET, (Role.NEVER_IN_VNET,), rules.S5),
    Exclusion(Role.SUBNET, (Role.NEVER_IN_VNET,), rules.S5),
    Exclusion(Role.SUBNET, (Role.SUBNET,), rules.S6),
    Exclusion(Role.VNET, (Role.PEER,), rules.G_PEERS),
    Exclusion(Role.VNET, (Role.ON_PREMISES,), rules.G_PEERS, Severity.WARNING),
    Exclusion(Role.SUBNET, (Role.PEER, Role.ON_PREMISES), rules.G_PEERS),
)
SERVICES = (
    Exclusion(Role.SERVICE_RANGE, (Role.SUBNET, Role.PEER, Role.ON_PREMISES), rules.O2, way_out=_MOVE_SERVICE),
    Exclusion(Role.SERVICE_RANGE, (Role.VNET,), rules.O4, Severity.WARNING, _MOVE_SERVICE),
    Exclusion(Role.SERVICE_RANGE, (Role.MANAGED_VNET,), rules.O10, Severity.WARNING, _MOVE_SERVICE),
)
POD_RANGES = (
    Exclusion(
        Role.POD_RANGE, (Role.SUBNET, Role.SERVICE_RANGE, Role.PEER, Role.ON_PREMISES), rules.O7, way_out=_MOVE_POD
    ),
    Exclusion(Role.POD_RANGE, (Role.VNET,), rules.O8, way_out=_MOVE_POD),
    Exclusion(Role.POD_RANGE, (Role.MANAGED_VNET,), rules.O10, Severity.WARNING, _MOVE_POD),
)
EXCLUSIONS = (*KEPT, *NETWORK, *SERVICES, *POD_RANGES)


def ranges(cluster: Cluster) -> tuple[NamedRange, ...]:
    """Return every range that is known: given, default, or fixed by Azure."""
    networks = cluster.networks
    return (
        *(NamedRange(Role.KEPT_BY_AKS, "", prefix) for prefix in limits.KEPT_BY_AKS),
        *(NamedRange(Role.NEVER_IN_VNET, "", prefix) for prefix in limits.NEVER_IN_VNET),
        *_managed_vnet(cluster),
        *(NamedRange(Role.VNET, "", prefix) for prefix in networks.vnet),
        *(NamedRange(Role.SUBNET, name, subnet.prefix) for name, subnet in networks.subnets.items()),
        *_optional(Role.SERVICE_RANGE, cluster.service_range, networks.service_cidr),
        *_optional(Role.SERVICE_RANGE, networks.service_cidr_ipv6, networks.service_cidr_ipv6),
        *_optional(Role.POD_RANGE, cluster.pod_range, networks.pod_cidr),
        *_optional(Role.POD_RANGE, networks.pod_cidr_ipv6, networks.pod_cidr_ipv6),
        *(NamedRange(Role.PEER, "", prefix) for prefix in networks.peered),
        *(NamedRange(Role.ON_PREMISES, "", prefix) for prefix in networks.on_premises),
    )


def _managed_vnet(cluster: Cluster) -> Iterator[NamedRange]:
    """Yield the network that AKS makes if none is given; where free blocks are given, someone else makes it."""
    if not (cluster.networks.vnet or cluster.networks.subnets or cluster.free):
        yield NamedRange(Role.MANAGED_VNET, "", limits.MANAGED_VNET)


def _optional(role: Role, prefix: Prefix | None, given: Prefix | None) -> Iterator[NamedRange]:
    if prefix is not None:
        yield NamedRange(role, "" if given else "(default)", prefix)


def clashes(known: Iterable[NamedRange], exclusion: Exclusion) -> Iterator[tuple[NamedRange, NamedRange]]:
    """Yield the pairs of known ranges that break one exclusion."""
    known = tuple(known)
    ones = [item for item in known if item.role is exclusion.one]
    for role in exclusion.others:
        others = (item for item in known if item.role is role)
        pairs = combinations(ones, 2) if role is exclusion.one else product(ones, others)
        yield from (pair for pair in pairs if pair[0].prefix.overlaps(pair[1].prefix))


def check(cluster: Cluster, exclusions: Iterable[Exclusion]) -> Iterator[Finding]:
    """Yield a finding for every pair of known ranges that break one of the exclusions."""
    known = ranges(cluster)
    for exclusion in exclusions:
        for one, other in clashes(known, exclusion):
            rule = _rule(cluster, exclusion, other)
            yield Finding(exclusion.severity, rule, f"{one} overlaps {other}: {exclusion.way_out}")


def _rule(cluster: Cluster, exclusion: Exclusion, other: NamedRange) -> Rule:
    """Return the rule to name; with node auto-provisioning nobody else looks, so the finding says so (O13)."""
    unchecked = exclusion.one in (Role.POD_RANGE, Role.SERVICE_RANGE) and other.role is Role.SUBNET
    return rules.O13 if cluster.auto_provisioning and unchecked else exclusion.rule


def to_avoid(role: Role) -> frozenset[Role]:
    """Return the roles whose ranges a new range of `role` must stay clear of."""
    return frozenset(other for exclusion in EXCLUSIONS for other in exclusion.excludes(role))
