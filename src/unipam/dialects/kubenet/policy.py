"""Which ranges nodes may be given: kube-controller-manager's flags, their rules and their words (spec kubenet §1.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from unipam.addr.prefix import Prefix, line_length, parse_prefix
from unipam.model.errors import BadConfig

MASKS = {4: 24, 6: 64}
"""The lengths of node ranges where nobody says another."""
_MOST_BITS_V6 = 16
"""kube-controller-manager's bound on a cluster range of IPv6: 65,536 nodes."""
REST = 30.0
"""Seconds that the range of a deleted node is not given to another, while there is any other."""


class Cluster(NamedTuple):
    """A cluster's range, cut into slots of `length` (on the line), one for a node."""

    prefix: Prefix
    length: int

    @property
    def slots(self) -> int:
        """Return how many nodes it has room for."""
        return 1 << (self.length - self.prefix.length)

    def slot(self, index: int) -> Prefix:
        """Return a node's range."""
        return Prefix(self.prefix.first | index << (128 - self.length), self.length)

    def covered(self, prefix: Prefix) -> tuple[int, int] | None:
        """Return the first and the last slot that a prefix touches."""
        if not self.prefix.overlaps(prefix):
            return None
        shift = 128 - self.length
        first, last = max(prefix.first, self.prefix.first), min(prefix.last, self.prefix.last)
        return (first - self.prefix.first) >> shift, (last - self.prefix.first) >> shift


class Policy(NamedTuple):
    """`families`: the ranges of the first family, then those of the second; a node gets one of each.

    Of one family the first range with room serves. What overlaps a `services` range is given to nobody.
    """

    families: tuple[tuple[Cluster, ...], ...]
    services: tuple[Prefix, ...] = ()
    rest: float = REST

    @property
    def dual(self) -> bool:
        """Return whether nodes have a range of each family."""
        return len(self.families) == 2

    @property
    def clusters(self) -> Iterator[Cluster]:
        """Yield every range."""
        for each in self.families:
            yield from each


def policy(  # noqa: PLR0913 (kube-controller-manager's flags)
    cluster_cidr: str,
    *,
    mask: int | None = None,
    mask_v4: int | None = None,
    mask_v6: int | None = None,
    services: str = "",
    further: Sequence[str] = (),
    rest: float = REST,
) -> Policy:
    """Return the policy that the flags mean. `further` ranges serve when the first of their family is full.

    Raises BadConfig, in kube-controller-manager's words where it has any.
    """
    firsts = _firsts(cluster_cidr)
    _check_masks(firsts, mask, mask_v4, mask_v6)
    masks = {4: mask_v4 or mask or MASKS[4], 6: mask_v6 or mask or MASKS[6]}
    families = [[_cluster(first, masks[first.family])] for first in firsts]
    for prefix in map(_prefix, further):
        _of_family(families, prefix).append(_cluster(prefix, masks[prefix.family]))
    _check_disjoint([each.prefix for of_one in families for each in of_one])
    made = Policy(tuple(map(tuple, families)), tuple(_services(services)), rest)
    _check_services(made)
    return made


def _firsts(text: str) -> list[Prefix]:
    firsts = [_prefix(each.strip()) for each in text.split(",") if each.strip()]
    if not firsts:
        raise BadConfig("Controller: Must specify --cluster-cidr if --allocate-node-cidrs is set")
    if len(firsts) > 2:
        raise BadConfig(f"length of clusterCIDRs is:{len(firsts)} more than max allowed of 2")
    if len(firsts) == 2 and firsts[0].family == firsts[1].family:
        raise BadConfig(
            "len of ClusterCIDRs==2 and they are not configured as dual stack (at least one from each IPFamily"
        )
    return firsts


def _check_masks(firsts: list[Prefix], mask: int | None, mask_v4: int | None, mask_v6: int | None) -> None:
    families = {each.family for each in firsts}
    if mask is not None and len(families) == 2:
        raise BadConfig("usage of --node-cidr-mask-size is not allowed with dual-stack clusters")
    if mask is not None and (mask_v4 is not None or mask_v6 is not None):
        raise BadConfig(
            "usage of --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 is not allowed if --node-cidr-mask-size"
            " is set. For dual-stack clusters please unset it and use IPFamily specific flags"
        )
    for of_family, given in ((4, mask_v4), (6, mask_v6)):
        if given is not None and of_family not in families:
            raise BadConfig(
                f"usage of --node-cidr-mask-size-ipv{of_family} is not allowed: no cluster range is IPv{of_family}"
            )


def _cluster(prefix: Prefix, mask: int) -> Cluster:
    length = line_length(mask, prefix.family)
    if not prefix.length <= length <= 128:
        raise BadConfig(
            "Controller: Invalid --cluster-cidr, mask size of cluster CIDR must be less than or equal to"
            f" --node-cidr-mask-size configured for CIDR family: {prefix}, /{mask}"
        )
    if prefix.family == 6 and length - prefix.length > _MOST_BITS_V6:
        raise BadConfig(f"New CIDR set failed; the node CIDR size is too big: {prefix} in parts of /{mask}")
    return Cluster(prefix, length)


def _of_family(families: list[list[Cluster]], prefix: Prefix) -> list[Cluster]:
    for each in families:
        if each[0].prefix.family == prefix.family:
            return each
    raise BadConfig(f"the further range {prefix} is of a family that the cluster has no range of")


def _check_disjoint(prefixes: list[Prefix]) -> None:
    for index, one in enumerate(prefixes):
        for other in prefixes[:index]:
            if one.overlaps(other):
                raise BadConfig(f"the cluster's ranges {other} and {one} overlap")


def _services(text: str) -> Iterator[Prefix]:
    found = [_prefix(each.strip()) for each in text.split(",") if each.strip()]
    if len(found) > 2 or (len(found) == 2 and found[0].family == found[1].family):
        raise BadConfig(f"--service-cluster-ip-range {text!r} must be one range, or two of different families")
    yield from found


def _check_services(made: Policy) -> None:
    for cluster in made.clusters:
        for service in made.services:
            if service.contains(cluster.prefix):
                raise BadConfig(
                    f"the services' range {service} holds the whole cluster range {cluster.prefix}: no node could have"
                    " a range; choose others"
                )


def _prefix(text: str) -> Prefix:
    try:
        return parse_prefix(text)
    except ValueError as error:
        raise BadConfig(f"{error}; a range is written as 10.244.0.0/16") from error
