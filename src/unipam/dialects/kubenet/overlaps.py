"""Whether a cluster's ranges overlap what else can be reached from its nodes (spec kubenet §2.3 and §4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from unipam.addr.prefix import Prefix, parse_prefix
from unipam.dialects.kubenet.policy import Policy
from unipam.model.finding import Finding

RESERVED = tuple(map(parse_prefix, ("169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24")))
"""Ranges that AKS forbids."""


def overlaps(policy: Policy, networks: Mapping[str, Iterable[Prefix]]) -> list[Finding]:
    """Return every overlap of the cluster's and the services' ranges with each other and with `networks` by name."""
    own = [("the pods' range", each.prefix) for each in policy.clusters]
    own += [("the services' range", each) for each in policy.services]
    others = [(name, prefix) for name, prefixes in networks.items() for prefix in prefixes]
    others += [("a range that AKS forbids", each) for each in RESERVED]
    pairs = [(one, other) for one in own for other in others]
    pairs += [(one, other) for index, one in enumerate(own) for other in own[index + 1 :]]
    return [
        Finding(
            "ranges overlap",
            str(prefix),
            f"{name} {prefix} overlaps {whose} {other}",
            "choose another range for the one that can still be changed: packets to the overlap find only one of them",
        )
        for (name, prefix), (whose, other) in pairs
        if prefix.overlaps(other)
    ]
