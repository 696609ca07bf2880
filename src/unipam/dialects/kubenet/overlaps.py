"""Whether a cluster's ranges overlap what else can be reached from its nodes (spec kubenet §2.3 and §4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.dialects.kubenet.policy import Policy
from unipam.model.finding import Finding

RESERVED = tuple(map(parse_prefix, ("169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24")))
"""Ranges that AKS forbids."""


def overlaps(policy: Policy, networks: Mapping[str, Iterable[Prefix]]) -> list[Finding]:
    """Return every overlap of the pods' and services' ranges with `networks` by name, and with what AKS forbids.

    A node's address in such an overlap leads astray, so the first range is not given.
    """
    others = [(name, prefix) for name, prefixes in networks.items() for prefix in prefixes]
    others += [("a range that AKS forbids", each) for each in RESERVED]
    way_out = "choose another range for the one that can still be changed: packets to the overlap find only one of them"
    return [
        Finding("ranges overlap", str(prefix), f"{name} {prefix} overlaps {whose} {other}", way_out)
        for name, prefix in _own(policy)
        for whose, other in others
        if prefix.overlaps(other)
    ]


def within(policy: Policy) -> list[Finding]:
    """Return which services' ranges lie within the pods': they are given to no node, so they hinder nothing."""
    way_out = "nothing need be done, but for the nodes that the cluster has less room for"
    return [
        Finding("ranges overlap", str(service), f"the services' range {service} lies within {each.prefix}", way_out)
        for each in policy.clusters
        for service in policy.services
        if each.prefix.overlaps(service)
    ]


def _own(policy: Policy) -> Iterator[tuple[str, Prefix]]:
    yield from (("the pods' range", each.prefix) for each in policy.clusters)
    yield from (("the services' range", each) for each in policy.services)
