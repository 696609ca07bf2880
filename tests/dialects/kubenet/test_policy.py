"""Flags of kube-controller-manager's nodeipam: what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from unipam.dialects.kubenet.policy import policy
from unipam.model.errors import BadConfig

V4, V6 = "10.244.0.0/16", "fd00:1::/48"


@pytest.mark.parametrize(
    ("cidrs", "given", "says"),
    [
        ("", {}, "Controller: Must specify --cluster-cidr if --allocate-node-cidrs is set"),
        (f"{V4},10.0.0.0/16", {}, "len of ClusterCIDRs==2 and they are not configured as dual stack"),
        (f"{V4},{V6},fd00:2::/48", {}, "length of clusterCIDRs is:3 more than max allowed of 2"),
        (f"{V4},{V6}", {"mask": 24}, "usage of --node-cidr-mask-size is not allowed with dual-stack clusters"),
        (V4, {"mask": 24, "mask_v4": 24}, "is not allowed if --node-cidr-mask-size is set"),
        (V4, {"mask_v6": 64}, "--node-cidr-mask-size-ipv6"),
        (V6, {"mask_v4": 24}, "--node-cidr-mask-size-ipv4"),
        (V4, {"mask": 15}, "mask size of cluster CIDR must be less than or equal to --node-cidr-mask-size"),
        (V4, {"mask": 33}, "mask size of cluster CIDR must be less"),
        ("fd00::/47", {}, "New CIDR set failed; the node CIDR size is too big"),
        ("10.244.0.1/16", {}, "host bits are set"),
        ("pods", {}, "invalid CIDR"),
        (V4, {"services": "10.0.0.0/8"}, "holds the whole cluster range"),
        (V4, {"services": "10.0.0.0/24,10.0.1.0/24"}, "two of different families"),
        (V4, {"further": ["10.244.128.0/17"]}, "overlap"),
        (V4, {"further": ["fd00::/64"]}, "of a family that the cluster has no range of"),
    ],
)
def test_k7_each_refusal(cidrs: str, given: dict[str, Any], says: str) -> None:
    """K7: each refusal of spec §1.1."""
    with pytest.raises(BadConfig, match=says.replace("(", r"\(")):
        policy(cidrs, **given)


def test_k7_what_is_accepted() -> None:
    """K7: an IPv6 difference of 16; IPv4 /8 cut into /28; equal lengths."""
    assert next(iter(policy("fd00::/48").clusters)).slots == 1 << 16
    assert next(iter(policy("10.0.0.0/8", mask=28).clusters)).slots == 1 << 20
    assert next(iter(policy("10.244.0.0/24").clusters)).slots == 1
    assert policy(f"{V6},{V4}").dual
